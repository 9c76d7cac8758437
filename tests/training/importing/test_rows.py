"""The labelled rows that decide, from a file or from memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from artefacts import write_labelled

from batchdigits.errors import BatchdigitsError, UnusableInputError, UsageError
from batchdigits.training.importing.rows import rows_in_memory, rows_of_classes

PIXELS = np.random.default_rng(0).integers(0, 17, (6, 64))
LABELS = np.array([3, 1, 3, 1, 2, 2])
FRAME = pd.DataFrame(PIXELS, columns=[f"pixel_{number}" for number in range(64)])


@pytest.mark.parametrize(
    "pixels",
    [PIXELS, PIXELS.astype(float), PIXELS.reshape(6, 8, 8), PIXELS.reshape(6, 8, 8, 1), FRAME],
    ids=["whole", "floats", "images", "channels", "frame"],
)
@pytest.mark.parametrize(
    "labels", [LABELS, LABELS.tolist(), LABELS[:, None], LABELS.astype(np.uint8), pd.Series(LABELS)]
)
def test_rows_come_in_every_form_that_people_have(pixels: Any, labels: Any) -> None:
    data = rows_in_memory((pixels, labels), "label")
    np.testing.assert_array_equal(data.pixels, PIXELS)
    assert data.targets.tolist() == [2, 0, 2, 0, 1, 1]
    assert data.digest == rows_in_memory((PIXELS, LABELS), "label").digest


def test_labels_may_be_words_and_rows_a_file(tmp_path: Path) -> None:
    words = np.array(["c", "a", "c", "a", "b", "b"], object)
    data = rows_in_memory((PIXELS, words), "label")
    assert data.binarizer.classes_.tolist() == ["a", "b", "c"]
    file = rows_in_memory(write_labelled(tmp_path / "rows.csv", rows=40), "label")
    assert (len(file.targets), file.classes) == (40, 10)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ((PIXELS / 16 - 1, LABELS), r"data: row 0 is out-of-range.*before the scaler"),
        ((PIXELS * np.nan, LABELS), "not-finite|missing"),
        ((PIXELS, np.eye(6)), "one label for each row, as they were before the label binarizer"),
        ((PIXELS, LABELS[:5]), "has 6 rows and labels of shape"),
        ((PIXELS[:, :9], LABELS), r"shape \(6, 9\)"),
        (PIXELS, "expected .pixels, labels."),
        ((PIXELS[:0], LABELS[:0]), "no rows"),
        ((PIXELS, [1] * 6), "there are 1, expected 2|every label is 1"),
        ((PIXELS, [1.5] * 3 + [None] * 3), "labels of type NoneType, float"),
    ],
)
def test_rows_that_can_not_be_used_are_refused(data: Any, told: str) -> None:
    with pytest.raises(BatchdigitsError, match=told) as raised:
        rows_in_memory(data, "label")
    assert isinstance(raised.value, UsageError | UnusableInputError)


def test_the_classes_are_those_of_the_model() -> None:
    data = rows_in_memory((PIXELS, LABELS), "label")
    rows = rows_of_classes(data, np.array(["2", "3", "1"]))
    assert rows.binarizer.classes_.tolist() == ["1", "2", "3"]
    assert rows.targets.tolist() == [2, 0, 2, 0, 1, 1]
    with pytest.raises(UnusableInputError, match="no row labelled 4"):
        rows_of_classes(data, np.array([1, 2, 3, 4]))
