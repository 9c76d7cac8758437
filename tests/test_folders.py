"""Folders of partitions are scored as a tree, whole or in shards, and found by what follows."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from paths import SAMPLE_DATA

import batchdigits
from batchdigits.errors import UsageError
from batchdigits.evaluate import main as evaluate
from batchdigits.receipts import main as receipts
from batchdigits.scoring.receipt import Receipt

ALL = {"max_rejects": "100%"}
DAYS = ("day=1", "day=2/hour=3", "day=__HIVE_DEFAULT_PARTITION__", "", "plain")


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five files of one name, in folders of days and in one other, and what Spark leaves there."""
    top = tmp_path_factory.mktemp("lake")
    table = pq.read_table(SAMPLE_DATA / "digits.parquet").slice(0, 8)
    for day in DAYS:
        (top / day).mkdir(parents=True, exist_ok=True)
        pq.write_table(table, top / day / "part-0.parquet")
    (top / "day=1" / "_SUCCESS").touch()
    return top


@pytest.fixture(scope="module")
def scored(lake: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out")
    assert batchdigits.score(lake, output=out, recursive=True).exit_code == 0
    return out


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(".receipt.json")
    }


def test_outputs_mirror_the_tree_with_the_columns_of_its_folders(scored: Path) -> None:
    assert sorted(files(scored)) == sorted(
        str(Path(day, "part-0.predictions.parquet")) for day in DAYS
    )
    table = pq.read_table(scored / DAYS[1] / "part-0.predictions.parquet", partitioning=None)
    own = pq.read_table(scored / "part-0.predictions.parquet", partitioning=None).column_names
    at = own.index("prediction")
    assert table.column_names == [*own[:at], "day", "hour", *own[at:]]
    assert set(table["day"].to_pylist()) == {"2"}
    null = pq.read_table(scored / DAYS[2] / "part-0.predictions.parquet", partitioning=None)
    assert set(null["day"].to_pylist()) == {None}


def test_a_second_run_finds_all_of_it_unchanged(lake: Path, scored: Path) -> None:
    again = batchdigits.score(f"{lake}/", output=scored, recursive=True)
    assert {result.status for result in again.inputs} == {"unchanged"}


def test_sixteen_shards_write_the_same_files_as_one_run(
    lake: Path, scored: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "batchdigits")
    done = []
    for i in range(16):
        summary = batchdigits.score(lake, output=tmp_path, recursive=True, shard=f"{i}/16")
        assert summary.exit_code == 0
        done += [result.input for result in summary.inputs]
        empty = f"shard {i}/16: nothing to score (0 of 5 inputs)"
        assert (empty in caplog.messages) == (not summary.inputs)
    assert len(done) == len(set(done)) == len(DAYS)
    assert files(tmp_path) == files(scored)


def test_columns_come_back_from_the_folders_that_arrow_makes_of_them(tmp_path: Path) -> None:
    """pyarrow writes the tree; every value that a text can have comes back, nulls too."""
    values = ["a/b", "Zürich", None, "x y%2F=", "..", "__x", "#?:*", "07", " "]
    table = pq.read_table(SAMPLE_DATA / "digits.parquet").slice(0, len(values))
    table = table.append_column("city", pa.array(values)).append_column(
        "number", pa.array(range(len(values)))
    )
    pq.write_to_dataset(table, tmp_path / "lake", partition_cols=["city"])
    summary = batchdigits.score(tmp_path / "lake", output=tmp_path / "out")
    assert (summary.exit_code, summary.rows_predicted) == (0, len(values))
    found = {}
    for path in (tmp_path / "out").rglob("*.parquet"):
        rows = pq.read_table(path, columns=["number", "city"], partitioning=None).to_pylist()
        found |= {row["number"]: row["city"] for row in rows}
    assert [found[number] for number in range(len(values))] == values


@pytest.mark.slow
def test_shards_that_run_at_once_and_are_killed_write_what_one_run_writes(
    tmp_path: Path,
) -> None:
    """Eight processes on one tree, all killed once while they score, then run to the end."""
    table = pq.read_table(SAMPLE_DATA / "digits.parquet")
    for i in range(24):
        path = tmp_path / "in" / f"day={i % 5}" / f"hour={i % 3}" / f"part-{i}.snappy.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table.slice(i, 900), path)
    assert batchdigits.score(tmp_path / "in", output=tmp_path / "one").exit_code == 0

    def start(i: int) -> subprocess.Popen[bytes]:
        words = [tmp_path / "in", "--output", tmp_path / "many", "--shard", f"{i}/8"]
        return subprocess.Popen(
            [sys.executable, "-m", "batchdigits.predict", *map(str, words), "--workers", "1"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    running = [start(i) for i in range(8)]
    for i, process in enumerate(running):
        time.sleep(0.6 if i == 0 else 0.1)
        process.kill()
    for process in running:
        process.wait()
    assert [process.wait() for process in [start(i) for i in range(8)]] == [0] * 8
    assert files(tmp_path / "many") == files(tmp_path / "one")
    assert not [path for path in (tmp_path / "many").rglob(".*") if path.suffix != ".lock"]


def test_one_file_more_changes_one_shard(lake: Path, tmp_path: Path) -> None:
    """Sixteen shards planned twice, a file delivered in between."""
    shutil.copytree(lake, tmp_path / "in")

    def shards() -> list[list[str]]:
        summaries = [
            batchdigits.score(tmp_path / "in", shard=f"{i}/16", check=True, allow_empty=True)
            for i in range(16)
        ]
        return [[result.input for result in summary.inputs] for summary in summaries]

    before = shards()
    (tmp_path / "in" / "day=3").mkdir()
    shutil.copy(lake / "part-0.parquet", tmp_path / "in" / "day=3" / "part-0.parquet")
    changed = [(old, new) for old, new in zip(before, shards(), strict=True) if old != new]
    ((old, new),) = changed
    assert set(new) - set(old) == {str(tmp_path / "in" / "day=3" / "part-0.parquet")}


def test_two_files_that_would_write_one_name_are_refused_in_every_shard(
    lake: Path, tmp_path: Path
) -> None:
    """Their shards differ, but none may take the name for itself."""
    shutil.copy(lake / "part-0.parquet", tmp_path / "a.parquet")
    shutil.copy(SAMPLE_DATA / "digits.csv", tmp_path / "a.csv")
    shutil.copy(lake / "part-0.parquet", tmp_path / "b.parquet")
    summaries = [batchdigits.score(tmp_path, shard=f"{i}/7") for i in range(7)]
    results = {result.input: result.status for each in summaries for result in each.inputs}
    assert sorted(results.values()) == ["refused", "refused", "scored"]
    assert results[str(tmp_path / "b.parquet")] == "scored"


def test_standard_input_has_no_shard() -> None:
    with pytest.raises(UsageError, match="shard: standard input is not a file"):
        batchdigits.score("-", output="x.csv", shard="0/2")


def test_receipts_know_the_columns_of_folders(
    scored: Path, lake: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The same file scored without them is other work, and says so."""
    receipt = Receipt.read(scored / DAYS[1] / "part-0.receipt.json")
    assert receipt.key.partitions == (("day", "2"), ("hour", "3"))
    assert receipts(["verify", str(scored)]) == 0
    assert capsys.readouterr().out.count("8 rows scored again") == len(DAYS)
    shutil.copytree(lake, tmp_path / "in")
    assert batchdigits.score(tmp_path / "in").exit_code == 0
    (result,) = batchdigits.score(tmp_path / "in/day=1").inputs
    assert result.error is not None
    assert "written with other options (partitions: {'day': '1'}, now {}); " in result.error
    (result,) = batchdigits.score(tmp_path / "in/day=1", on_other="keep").inputs
    assert result.status == "kept"


def test_evaluate_groups_by_folders(lake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate([f"{lake}/day=*", "--by", "day"]) == 0
    groups = json.loads(capsys.readouterr().out)["groups"]
    assert sorted((group["group"]["day"] or "", group["rows"]) for group in groups) == [
        ("", 8),
        ("1", 8),
        ("2", 8),
    ]
