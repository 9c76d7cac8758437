"""Small input files of a run prove together what none of them can, and drift together."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from paths import SAMPLE_DATA

import batchdigits

Images = NDArray[np.uint8]


@pytest.fixture(scope="module")
def digits() -> Images:
    table = pq.read_table(SAMPLE_DATA / "digits.parquet")
    pixels = [table[f"pixel_{i}"].to_numpy() for i in range(64)]
    return np.column_stack(pixels).astype(np.uint8).reshape(-1, 8, 8)


def write(folder: Path, files: list[Images]) -> Path:
    folder.mkdir()
    for number, images in enumerate(files):
        pixels = {f"pixel_{i}": images.reshape(-1, 64)[:, i] for i in range(64)}
        pq.write_table(pa.table(pixels), folder / f"{number:03}.parquet")
    return folder


def transposed(images: Images) -> Images:
    return np.ascontiguousarray(images.transpose(0, 2, 1))


def numbers(paths: Any) -> list[int]:
    return [int(Path(path).stem) for path in paths]


CHANGES: dict[str, Callable[[Images], Images]] = {
    "transposed": transposed,
    "inverted": lambda images: 16 - images,
    "faint": lambda images: images // 8,
    "blank": lambda images: images * 0,
}


@pytest.mark.parametrize("look", CHANGES)
def test_small_files_are_refused_from_the_one_that_completes_the_proof(
    look: str, digits: Images, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Eleven rows are proof: with three rows a file that is the fourth. The first three stay."""
    files = [CHANGES[look](digits[3 * n : 3 * n + 3]) for n in range(6)]
    summary = batchdigits.score(write(tmp_path / "in", files), output=tmp_path / "out/")
    assert [result.exit_code for result in summary.inputs] == [0, 0, 0, 65, 65, 65]
    assert summary.exit_code == 65
    assert f"looks {look}" in str(summary.suspicion)
    assert "counted over 4 input files" in str(summary.inputs[3].error)
    assert numbers(summary.suspect_inputs) == [0, 1, 2]
    assert len(list((tmp_path / "out").glob("*.predictions.parquet"))) == 3
    last = caplog.records[-1]
    assert (last.levelno, "000.parquet" in last.getMessage()) == (logging.ERROR, True)
    facts = summary.as_dict()
    assert (facts["suspicion"], facts["suspect_inputs"]) == (
        summary.suspicion,
        list(summary.suspect_inputs),
    )


def test_files_of_seventeen_rows_are_refused_one_by_one(digits: Images, tmp_path: Path) -> None:
    files = [16 - digits[17 * n : 17 * n + 17] for n in range(20)]
    summary = batchdigits.score(write(tmp_path / "in", files))
    assert {result.exit_code for result in summary.inputs} == {65}
    assert summary.suspect_inputs == ()


def test_digits_among_turned_files_are_published(digits: Images, tmp_path: Path) -> None:
    """Both before and after the proof; a large file of digits ends the suspicion of its own."""
    files = [transposed(digits[3 * n : 3 * n + 3]) for n in range(8)]
    files[1::2] = [digits[3 * n : 3 * n + 3] for n in range(4)]
    files += [digits[100:400], transposed(digits[:3])]
    summary = batchdigits.score(write(tmp_path / "in", files))
    codes = [result.exit_code for result in summary.inputs]
    assert codes[1::2][:4] == [0, 0, 0, 0]
    assert codes[8] == 0
    assert (numbers(summary.suspect_inputs), summary.suspicion) == ([], None)


def test_small_files_of_digits_are_never_refused(digits: Images, tmp_path: Path) -> None:
    """Nor are they if some cells in each are turned or empty."""
    files = [digits[12 * n : 12 * n + 12].copy() for n in range(30)]
    for images in files:
        images[0], images[5:8] = images[0].T, 0
    summary = batchdigits.score(write(tmp_path / "in", files))
    assert (summary.exit_code, summary.suspicion, summary.suspect_inputs) == (0, None, ())


def test_a_run_that_goes_on_where_another_was_killed_refuses_the_same_files(
    digits: Images, tmp_path: Path
) -> None:
    """The evidence of finished files is in their receipts."""
    files = [transposed(digits[3 * n : 3 * n + 3]) for n in range(6)]
    folder = write(tmp_path / "in", files)
    inputs = sorted(folder.glob("*.parquet"))
    first = batchdigits.score(inputs[:2], output=tmp_path / "out/")
    assert (first.exit_code, first.suspicion) == (0, None)
    for statuses in (["unchanged"] * 2 + ["scored"], ["unchanged"] * 3):
        again = batchdigits.score(inputs, output=tmp_path / "out/")
        assert [result.status for result in again.inputs] == [*statuses, *["refused"] * 3]
        assert numbers(again.suspect_inputs) == [0, 1, 2]


def test_a_run_that_only_finds_suspicious_files_published_ends_with_65(
    digits: Images, tmp_path: Path
) -> None:
    """Shards or tasks published them one by one, when none of them was proof."""
    files = [transposed(digits[3 * n : 3 * n + 3]) for n in range(4)]
    folder = write(tmp_path / "in", files)
    for path in sorted(folder.glob("*.parquet")):
        assert batchdigits.score(path).exit_code == 0
    summary = batchdigits.score(folder, ok=["rejects", "drift"])
    assert {result.status for result in summary.inputs} == {"unchanged"}
    assert numbers(summary.suspect_inputs) == [0, 1, 2, 3]
    assert summary.exit_code == 65
    assert batchdigits.score(folder, allow_suspect=True).exit_code == 0


def test_allowed_files_have_a_receipt_that_says_what_they_look_like_together(
    digits: Images, tmp_path: Path
) -> None:
    files = [transposed(digits[3 * n : 3 * n + 3]) for n in range(5)]
    folder = write(tmp_path / "in", files)
    summary = batchdigits.score(folder, allow_suspect=True)
    assert summary.exit_code == 0
    told = [json.loads(path.read_text())["suspicion"] for path in sorted(folder.glob("*.json"))]
    assert told[:3] == [None, None, None]
    assert "looks transposed" in told[3]


@pytest.mark.parametrize("size", [70, 700])
def test_drift_adds_up_over_files(size: int, digits: Images, tmp_path: Path) -> None:
    """Files of half the ink: together they drift as one file of all their rows does."""
    faint = digits[:1_400] // 2
    files = [faint[n : n + size] for n in range(0, len(faint), size)]
    folder = write(tmp_path / "in", files)
    whole = batchdigits.score(write(tmp_path / "whole", [faint]))
    parts = batchdigits.score(folder)
    assert whole.drift.value == whole.inputs[0].drift
    for name in ("pixels", "classes", "confidence"):
        part, all_of_it = (dict(run.drift.facts or {})[name] for run in (parts, whole))
        assert part["distance"] == pytest.approx(all_of_it["distance"], abs=1e-6)
    assert parts.exit_code == 0
    again = batchdigits.score(folder, max_drift=parts.drift.value - 0.01)
    assert {result.status for result in again.inputs} == {"unchanged"}
    assert again.drift.value == parts.drift.value
    assert again.exit_code == 4
    assert batchdigits.score(folder, max_drift=1).exit_code == 0
