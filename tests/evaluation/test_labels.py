"""What a label means, and which files hold labels."""

from __future__ import annotations

import math
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from labelled_rows import compared, write

from batchdigits.api import evaluate
from batchdigits.errors import NoInputError, UnusableInputError, UsageError
from batchdigits.evaluation.labels import UNKNOWN, UNLABELLED, label_keys, label_places


@pytest.mark.parametrize(
    ("column", "places"),
    [
        (pa.array([0, 2, 5, None]), [0, 2, UNKNOWN, UNLABELLED]),
        (pa.array([0, 2], pa.uint8()), [0, 2]),
        (pa.array([0.0, 2.0, 0.5, math.nan]), [0, 2, UNKNOWN, UNLABELLED]),
        (pa.array(["0", " 2 ", "2.0", "", "NA", "02"]), [0, 2, 2, UNLABELLED, UNLABELLED, UNKNOWN]),
        (pa.array(["1", None]).dictionary_encode(), [1, UNLABELLED]),
        (pa.array(["1", "2"], pa.string_view()), [1, 2]),
        (pa.nulls(2), [UNLABELLED, UNLABELLED]),
    ],
)
def test_a_label_means_the_same_in_every_type(column: pa.Array, places: list[int]) -> None:
    assert label_places(column, label_keys([0, 1, 2])).tolist() == places


def test_booleans_and_text_are_labels_too() -> None:
    flags = label_keys([False, True])
    assert label_places(pa.array([True, False]), flags).tolist() == [1, 0]
    assert label_places(pa.array(["True", "false"]), flags).tolist() == [1, 0]
    letters = label_keys(["a", "A", "na"])
    places = label_places(pa.array(["A", "a", "na", "null"]), letters)
    assert places.tolist() == [1, 0, 2, UNLABELLED]


def test_a_column_of_lists_is_no_label(tmp_path: Path) -> None:
    """The message names the file and the column."""
    lists = pa.array([[1]])
    path = write(tmp_path / "rows.parquet", [(0, 16, 0, 16)], digit=lists, label=lists)
    for label, name in ((None, "label"), ("digit", "digit")):
        message = rf"rows\.parquet: the label column '{name}' is list.*with --label"
        with pytest.raises(UsageError, match=message):
            compared(path, label)


@pytest.mark.parametrize("kind", [pa.string_view(), pa.large_string(), pa.dictionary("i4", "str")])
def test_labels_are_text_in_every_encoding(tmp_path: Path, kind: pa.DataType) -> None:
    labels = pa.array(["0"]).cast(kind)
    comparison = compared(write(tmp_path / "rows.parquet", [(0, 16, 0, 16)], label=labels))
    assert comparison.old.accuracy == 1


def test_files_that_judge_nothing_are_refused(tmp_path: Path) -> None:
    """In one line that names the column, or the flags that may be missing."""
    rows = [(0, 16, 0, 16)]
    path = write(tmp_path / "rows.parquet", rows, id=["a"], label=[9], empty=pa.nulls(1))
    with pytest.raises(UnusableInputError, match="'digit' with labels.*'id', 'label', 'empty'"):
        compared(path, "digit")
    with pytest.raises(UnusableInputError, match="column 'label' is a class of the bundle"):
        compared(path)
    with pytest.raises(UnusableInputError, match="every label in column 'empty' is empty"):
        compared(path, "empty")
    with pytest.raises(UnusableInputError, match="1 out-of-range"):
        compared(write(tmp_path / "bad.parquet", [(17, 0, 0, 0)]))
    with pytest.raises(NoInputError):
        compared(tmp_path / "none.parquet")
    with pytest.raises(UsageError, match="name one"):
        compared(Path("-"))


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_text_that_is_no_text_is_refused_as_labels_and_groups(
    tmp_path: Path, kind: pa.DataType
) -> None:
    """Arrow and Parquet do not check it."""
    broken = pa.array([b"\xff", b"2"] * 30).view(pa.string()).cast(kind)
    pixels = {f"pixel_{n}": [0, 16] * 30 for n in range(64)}
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({**pixels, "label": broken, "good": ["1"] * 60}), path)
    with pytest.raises(UnusableInputError, match=r"rows\.parquet: column 'label' holds text"):
        evaluate(path)
    with pytest.raises(UnusableInputError, match="column 'label' holds text that is not UTF-8"):
        evaluate(path, label="good", by=["label"])
