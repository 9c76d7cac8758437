from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from batchdigits.archive.thresholds import Thresholds
from batchdigits.scoring.decision import CAUSES, Decider, cause_column, decision_column

LIMITS = Thresholds(
    review_below=0.9, least_ink=100, most_ink=400, least_darkest=8, strange_above=20
)
CELLS = {
    None: np.r_[np.full(20, 10.0), np.zeros(44)],
    "little-ink": np.zeros(64),
    "much-ink": np.full(64, 16.0),
    "pale": np.full(64, 4.0),
}


def decided(decider: Decider, cells: list[np.ndarray], *rest: list[float]) -> list[str | None]:
    """The causes, which must be the same for every layout of the pixels."""
    pixels = np.array(cells)
    arrays = [np.array(values, np.float32) for values in rest]
    codes = [
        decider.decide(arrays[0], layout, *arrays[1:])
        for layout in (
            pixels.astype(np.uint8),
            np.asfortranarray(pixels.astype(np.uint8)),
            np.repeat(pixels.astype(np.uint8), 2, axis=0)[::2],
            pixels.astype(np.float32),
        )
    ]
    assert all((other == codes[0]).all() for other in codes)
    causes: list[str | None] = cause_column(codes[0]).to_pylist()
    decisions = decision_column(codes[0]).to_pylist()
    assert decisions == ["accept" if cause is None else "review" for cause in causes]
    return causes


def test_each_cause_is_found() -> None:
    cells = list(CELLS.values())
    assert decided(Decider(LIMITS), cells, [0.95] * 4) == list(CELLS)
    usual = [CELLS[None]] * 4
    causes = decided(Decider(LIMITS), usual, [0.9, 0.89, np.nan, 0.95], [1, 1, 1, 21])
    assert causes == [None, "low-confidence", "low-confidence", "strange"]


def test_a_row_with_several_causes_gets_the_first() -> None:
    blank, usual = CELLS["little-ink"], CELLS[None]
    causes = decided(Decider(LIMITS), [blank, usual], [0.1, 0.1], [99, np.nan])
    assert causes == ["little-ink", "strange"]
    assert next(iter(CAUSES)) == "little-ink"


def test_ink_and_darkness_are_those_of_each_row_in_every_layout() -> None:
    pixels = np.random.default_rng(0).integers(0, 17, (1000, 64)).astype(np.uint8)
    pixels[::7] = np.minimum(pixels[::7], 7)
    ink, darkest = pixels.sum(axis=1, dtype=int), pixels.max(axis=1)
    much = [None if limit else "much-ink" for limit in ink <= 520]
    pale = ["pale" if limit else None for limit in darkest < 8]
    for limits, causes in (({"most_ink": 520}, much), ({"least_darkest": 8}, pale)):
        assert decided(Decider(Thresholds(**limits)), list(pixels), [1.0] * 1000) == causes


def test_without_other_limits_only_the_confidence_decides() -> None:
    decider = Decider(Thresholds(review_below=0.5))
    assert decided(decider, [CELLS["little-ink"]] * 2, [0.5, 0.4]) == [None, "low-confidence"]


def test_the_threshold_is_compared_in_float32() -> None:
    """A confidence that is written as the threshold is accepted."""
    assert decided(Decider(Thresholds(review_below=0.9)), [CELLS[None]], [0.9]) == [None]


@pytest.mark.parametrize("rows", [0, 1, 8, 1000])
def test_the_columns_are_plain_text(rows: int) -> None:
    codes = np.random.default_rng(rows).integers(0, len(CAUSES) + 1, rows).astype(np.uint8)
    names = [None, *CAUSES]
    decisions, causes = decision_column(codes), cause_column(codes)
    for column in (decisions, causes):
        column.validate(full=True)
        assert column.type == pa.string()
    assert causes.to_pylist() == [names[code] for code in codes]
    assert causes.null_count == (codes == 0).sum()
