"""Decisions, from a bundle's thresholds to the columns of a file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from paths import FORMAT_1_BUNDLE, SAMPLE_DATA

from batchdigits import open_bundle
from batchdigits.archive.bundle_file import build_bundle, read_bundle
from batchdigits.archive.thresholds import Thresholds
from batchdigits.packing.onnx.strangeness import add_strangeness
from batchdigits.predict import main

DIGITS = SAMPLE_DATA / "digits.parquet"
LIMITS = {"review_below": 0.9, "least_ink": 100, "most_ink": 600, "strange_above": 28.0}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of format 1 with thresholds, and with every third digit as a usual digit."""
    old = read_bundle(FORMAT_1_BUNDLE)
    model = onnx.load_from_string(old.members["model.onnx"])
    centres = np.array(pixels_of(pq.read_table(DIGITS))[::3], np.float32)
    add_strangeness(model, centres)
    members = {**old.members, "model.onnx": model.SerializeToString()}
    del members["manifest.json"]
    path = tmp_path_factory.mktemp("bundle") / "deciding.bundle"
    path.write_bytes(
        build_bundle(replace(old.manifest, thresholds=Thresholds.parse(LIMITS)), members)
    )
    return path


def pixels_of(table: pa.Table) -> list[list[int]]:
    if "pixels" in table.column_names:
        return table["pixels"].to_pylist()
    return np.stack([table[f"pixel_{i}"].to_numpy() for i in range(64)], axis=1).tolist()


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    """Forty digits, then a blank cell, a full cell and a cell of noise."""
    digits = np.array(pixels_of(pq.read_table(DIGITS)))[:40]
    noise = np.random.default_rng(0).integers(0, 12, 64)
    rows = np.vstack([digits, np.zeros(64, int), np.full(64, 16), noise]).astype(np.uint8)
    path = tmp_path / "cells.parquet"
    pixels = pa.array(list(rows), pa.list_(pa.uint8(), 64))
    pq.write_table(pa.table({"id": range(len(rows)), "pixels": pixels}), path)
    return path


def written(path: Path) -> pa.Table:
    return pq.read_table(path.with_name("cells.predictions.parquet"))


def test_a_bundle_with_a_threshold_decides(bundle: Path, cells: Path) -> None:
    """The columns follow the confidence; the cause of an accepted row is null."""
    assert main([str(cells), "--bundle", str(bundle)]) == 0
    table = written(cells)
    assert table.column_names == ["id", "prediction", "confidence", "decision", "cause"]
    assert table.schema.field("decision").type == table.schema.field("cause").type == pa.string()
    rows = table.to_pylist()
    assert rows[40]["cause"] == "little-ink"
    assert rows[41]["cause"] == "much-ink"
    for row in rows[:40]:
        sure = np.float32(row["confidence"]) >= np.float32(0.9)
        assert (row["decision"], row["cause"]) == (
            ("accept", None) if sure else ("review", "low-confidence")
        )


def test_strangeness_is_written_and_sends_rows_to_review(bundle: Path, cells: Path) -> None:
    assert main([str(cells), "--bundle", str(bundle), "--strangeness", "--probabilities"]) == 0
    table = written(cells)
    assert table.column_names[3:7] == ["decision", "cause", "strangeness", "proba_0"]
    strangeness = table["strangeness"].to_numpy()
    assert table.schema.field("strangeness").type == pa.float32()
    assert strangeness[:40:3].max() < 0.1 < strangeness[1]
    assert strangeness[42] > LIMITS["strange_above"]
    assert table["cause"][42].as_py() == "strange"


def test_strangeness_decides_without_a_threshold_and_rows_to_review_are_counted(
    bundle: Path, cells: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The counts by cause are in the receipt and in the summary, also in that of a second run."""
    file = read_bundle(bundle)
    limits = {key: value for key, value in LIMITS.items() if key != "review_below"}
    members = {name: data for name, data in file.members.items() if name != "manifest.json"}
    other = tmp_path / "unproven.bundle"
    other.write_bytes(
        build_bundle(replace(file.manifest, thresholds=Thresholds.parse(limits)), members)
    )
    for _ in ("scored", "unchanged"):
        assert main([str(cells), "--bundle", str(other), "--strangeness"]) == 0
        table = written(cells)
        causes = {
            cause: table["cause"].to_pylist().count(cause) for cause in ("little-ink", "strange")
        }
        assert causes["little-ink"] == 1 <= causes["strange"]
        summary = json.loads(capsys.readouterr().out)
        review = table["decision"].to_pylist().count("review")
        assert (summary["rows_to_review"], summary["inputs"][0]["rows_to_review"]) == (
            review,
            review,
        )
        assert {**summary["causes"], "much-ink": 1} == {**causes, "much-ink": 1}
    pq.write_table(pq.read_table(cells).slice(0, 0), tmp_path / "none.parquet")
    assert main([str(tmp_path / "none.parquet"), "--bundle", str(other), "--strangeness"]) == 0
    none = json.loads(capsys.readouterr().out)
    assert (none["rows_to_review"], none["causes"]) == (0, {})
    receipt = json.loads(cells.with_name("cells.receipt.json").read_text())
    assert receipt["causes"] == summary["causes"]
    plain_bundle = ["--bundle", str(FORMAT_1_BUNDLE)]
    assert main([str(cells), "--output", str(tmp_path / "plain.parquet"), *plain_bundle]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert (plain["rows_to_review"], plain["causes"]) == (None, None)


def test_the_packaged_bundle_decides_by_ink_without_any_flag(
    cells: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`decision` is a part of the receipt's options, and older receipts lack it."""
    assert main([str(cells)]) == 0
    table = written(cells)
    assert table["decision"].to_pylist() == [*["accept"] * 40, "review", "review", "review"]
    assert table["cause"].to_pylist()[40:] == ["little-ink", "much-ink", "pale"]
    summary = json.loads(capsys.readouterr().out)
    assert (summary["rows_to_review"], summary["inputs_without_decision"]) == (3, 0)
    receipt = json.loads(cells.with_name("cells.receipt.json").read_text())
    assert receipt["options"]["decision"] is True


def test_what_an_older_version_wrote_stays_unchanged_and_is_counted(
    cells: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its receipt has no `decision` and no causes, and its predictions no such columns."""
    older = tmp_path / "older.parquet"
    older.write_bytes(cells.read_bytes())
    for path in (cells, older):
        assert main([str(path)]) == 0
    receipt = tmp_path / "older.receipt.json"
    facts = json.loads(receipt.read_text())
    del facts["options"]["decision"], facts["causes"]
    receipt.write_text(json.dumps(facts))
    capsys.readouterr()
    for flags in ([], ["--check"], ["--overwrite"]):
        assert main([str(cells), str(older), "--output", f"{tmp_path}/", *flags]) == 0
        summary = json.loads(capsys.readouterr().out)
        assert [result["status"] for result in summary["inputs"]] == ["unchanged", "unchanged"]
        assert summary["inputs_without_decision"] == 1
        assert summary["rows_to_review"] == 3
    assert main([str(older), "--probabilities"]) == 73
    assert "(probabilities: False, now True)" in capsys.readouterr().err


def test_the_threshold_of_the_flag_decides_and_is_in_the_receipt(bundle: Path, cells: Path) -> None:
    """Another threshold is other work; a receipt without the option counts as without the flag."""
    call = [str(cells), "--bundle", str(bundle)]
    assert main(call) == 0
    receipt = cells.with_name("cells.receipt.json")
    facts = json.loads(receipt.read_text())
    assert (facts["options"]["review_below"], facts["options"]["strangeness"]) == (None, False)
    del facts["options"]["review_below"], facts["options"]["strangeness"]
    receipt.write_text(json.dumps(facts))
    before = receipt.stat().st_mtime_ns
    assert main(call) == 0
    assert receipt.stat().st_mtime_ns == before
    assert main([*call, "--review-below", "1"]) == 73
    assert main([*call, "--review-below", "1", "--overwrite"]) == 0
    assert json.loads(receipt.read_text())["options"]["review_below"] == 1
    assert set(written(cells)["decision"].to_pylist()) == {"review"}


def test_a_bundle_without_thresholds_decides_by_the_flag_only(cells: Path) -> None:
    output = f"{cells.parent}/plain.csv"
    assert main([str(cells), "--bundle", str(FORMAT_1_BUNDLE), "--output", output]) == 0
    head, *_ = (cells.parent / "plain.csv").read_text().splitlines()
    assert head == "id,prediction,confidence"
    assert main([str(cells), "--bundle", str(FORMAT_1_BUNDLE), "--review-below", "0.9"]) == 0
    assert set(written(cells)["cause"].to_pylist()) <= {None, "low-confidence"}


@pytest.mark.parametrize(
    ("flags", "exit_code", "says"),
    [
        (["--strangeness", "--bundle", str(FORMAT_1_BUNDLE)], 78, "rebuild the bundle with train"),
        (["--strangeness", "--engine", "keras"], 2, "the keras engine can't measure it"),
        (["--review-below", "1.5"], 2, "expected a confidence in 0..1"),
        (["--review-below", "nan"], 2, "expected a confidence in 0..1"),
    ],
)
def test_flags_that_the_bundle_or_the_engine_cannot_serve_are_refused(
    cells: Path, flags: list[str], exit_code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(cells), *flags]) == exit_code
    assert says in capsys.readouterr().err


def test_rows_in_memory_get_the_same_decisions_as_in_files(bundle: Path, cells: Path) -> None:
    assert main([str(cells), "--bundle", str(bundle), "--strangeness"]) == 0
    opened = open_bundle(bundle)
    table = opened.predict(pq.read_table(cells), strangeness=True)
    assert table.equals(written(cells))
    lenient = opened.predict(pq.read_table(cells), review_below=0.0)
    assert lenient["cause"].to_pylist()[:40] == [None] * 40
