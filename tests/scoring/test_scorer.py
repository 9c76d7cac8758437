"""Scored rows: labels, confidences, and rows that the model can't score."""

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from batchdigits.engines.contract import MostProbable, most_probable
from batchdigits.rows.contract import Pixels, Rows
from batchdigits.rows.memory import check_table
from batchdigits.rows.options import ReadOptions
from batchdigits.scoring.scorer import Scorer


class FirstPixels:
    """An engine whose probabilities are the first three pixels; a 9 anywhere gives NaN."""

    name = "first-pixels"
    classes = 3

    def probabilities(self, pixels: Pixels) -> NDArray[np.float32]:
        result = pixels[:, :3].astype(np.float32)
        result[(pixels == 9).any(axis=1)] = np.nan
        return result

    def most_probable(self, pixels: Pixels) -> MostProbable:
        return most_probable(self.probabilities(pixels))


CLASSES = pa.array(["a", "b", "c"])


def rows_of(heads: list[list[float]]) -> Rows:
    pixels = [[*head, *([0.0] * 61)] for head in heads]
    table = pa.table({"id": range(len(heads)), "pixels": pa.array(pixels, pa.list_(pa.float32()))})
    _, (rows,) = check_table(table, ReadOptions())
    return rows


def test_the_most_probable_class_and_its_probability_are_written() -> None:
    scored = Scorer(FirstPixels(), CLASSES).score(rows_of([[0, 1, 0], [0.25, 0, 0.75]]))
    assert scored.predictions.to_pylist() == [
        {"id": 0, "prediction": "b", "confidence": 1.0},
        {"id": 1, "prediction": "c", "confidence": 0.75},
    ]
    assert scored.predictions.schema.field("confidence").type == pa.float32()


def test_probabilities_have_a_column_for_each_class() -> None:
    scorer = Scorer(FirstPixels(), CLASSES, probabilities=True)
    (row,) = scorer.score(rows_of([[0.25, 0.5, 0.25]])).predictions.to_pylist()
    assert (row["proba_a"], row["proba_b"], row["proba_c"]) == (0.25, 0.5, 0.25)


def test_confidence_never_leaves_0_to_1() -> None:
    scored = Scorer(FirstPixels(), CLASSES).score(rows_of([[1.0000001, 0, 0]]))
    assert scored.predictions["confidence"].to_pylist() == [1.0]


def test_a_row_without_a_finite_probability_joins_the_rejects_in_order() -> None:
    """Rejects of the check and of the model are merged by row, each with its own columns."""
    rows = rows_of([[1, 0, 0], [99, 0, 0], [9, 0, 0], [0, 1, 0], [9, 1, 0], [-1, 0, 0]])
    scored = Scorer(FirstPixels(), CLASSES).score(rows)
    assert scored.predictions["id"].to_pylist() == [0, 3]
    assert [(r.row, r.reason) for r in scored.rejects] == [
        (1, "out-of-range"),
        (2, "no-probability"),
        (4, "no-probability"),
        (5, "out-of-range"),
    ]
    assert scored.rejected["id"].to_pylist() == [1, 2, 4, 5]
    assert scored.rows == 6


@pytest.mark.parametrize("heads", [[], [[99, 0, 0]], [[9, 0, 0], [9, 0, 0]]])
def test_a_batch_without_a_scorable_row_is_fine(heads: list[list[float]]) -> None:
    rows = rows_of(heads) if heads else rows_of([[0, 0, 0]])
    if not heads:
        empty = rows.passthrough.slice(0, 0)
        rows = Rows(rows.pixels[:0], empty, (), empty, 0)
    scored = Scorer(FirstPixels(), CLASSES).score(rows)
    assert scored.predictions.num_rows == 0
    assert len(scored.rejects) == scored.rejected.num_rows == len(heads)


@pytest.mark.parametrize("bad", [0, 99])
def test_a_row_without_a_probability_may_have_no_other_columns(bad: int) -> None:
    """Rows are counted where no column passes through, too."""
    heads = [[bad, 0, 0], [9, 0, 0], [0, 1, 0]]
    pixels = pa.array([[*head, *([0] * 61)] for head in heads], pa.list_(pa.uint8()))
    _, (rows,) = check_table(pa.table({"pixels": pixels}), ReadOptions())
    scored = Scorer(FirstPixels(), CLASSES).score(rows)
    expected = 1 + (bad == 99)
    assert scored.predictions.num_rows == 3 - expected
    assert len(scored.rejects) == scored.rejected.num_rows == expected


def test_a_row_without_a_probability_keeps_its_text_view() -> None:
    pixels = pa.array([[9] * 64, [0] * 64], pa.list_(pa.uint8()))
    ids = pa.array(["a", "b"], pa.string_view())
    _, (rows,) = check_table(pa.table({"id": ids, "pixels": pixels}), ReadOptions())
    scored = Scorer(FirstPixels(), CLASSES).score(rows)
    assert scored.rejected["id"].to_pylist() == ["a"]
    assert scored.predictions["id"].to_pylist() == ["b"]
    assert scored.predictions.schema.field("id").type == pa.string_view()
