from __future__ import annotations

import numpy as np
import pytest

from batchdigits.errors import UnusableInputError
from batchdigits.monitoring.binomial import upper_bound
from batchdigits.training.review_threshold import LEVEL, find_review_threshold, rows_to_prove


def graded(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Confidences, whether each is right, and how likely it was: surer rows err less."""
    generator = np.random.default_rng(seed)
    confidence = 1 - generator.random(rows) ** 3 / 2
    likely = 1 - (1 - confidence) / 5
    return confidence, generator.random(rows) < likely, likely


def test_a_promise_takes_as_many_rows_as_the_exact_bound_asks_for() -> None:
    """540 rows without an error prove 0.55 %, not 0.5 %: 598 do."""
    assert upper_bound(0, 540, LEVEL) > 0.005 >= upper_bound(0, rows_to_prove(0.005), LEVEL)
    assert rows_to_prove(0.005) == 598
    assert (
        upper_bound(10, rows_to_prove(0.01, 10), LEVEL)
        <= 0.01
        < upper_bound(10, rows_to_prove(0.01, 10) - 1, LEVEL)
    )


def test_the_promise_is_kept_as_often_as_said() -> None:
    """Accepted rows err more than promised in at most one of twenty draws, give or take chance."""
    kept = 0
    for seed in range(200):
        confidence, is_right, likely = graded(3000, seed)
        threshold = find_review_threshold(confidence, is_right, 0.02)
        accepted = confidence.astype(np.float32) >= np.float32(threshold.review_below)
        kept += 1 - likely[accepted].mean() <= 0.02
        assert threshold.coverage == accepted.mean() > 0.3
        assert threshold.errors == (accepted & ~is_right).sum()
    assert kept >= 184


def test_rows_that_are_never_accepted_count_against_coverage_only() -> None:
    is_right = np.arange(2000) >= 100
    confidence = np.where(is_right, 0.99, np.nan)
    threshold = find_review_threshold(confidence, is_right, 0.01)
    assert (threshold.review_below, threshold.accepted, threshold.errors) == (0.0, 1900, 0)
    assert threshold.coverage == 0.95


@pytest.mark.parametrize(
    ("rows", "wrong", "message"),
    [
        (540, 0, "label at least 58 more, or ask for 0.0056"),
        (1000, 20, "more rows of this kind would not help"),
        (1400, 4, r"label about \d+ more rows of this kind"),
    ],
)
def test_where_nothing_is_proven_the_line_says_what_could(
    rows: int, wrong: int, message: str
) -> None:
    is_right = np.arange(rows) >= wrong
    with pytest.raises(UnusableInputError, match=message):
        find_review_threshold(np.full(rows, 0.9), is_right, 0.005)


@pytest.mark.parametrize("rows", [60, 300, 540, 3000])
def test_what_a_refusal_offers_can_be_proven(rows: int) -> None:
    with pytest.raises(UnusableInputError, match="ask for") as caught:
        find_review_threshold(np.full(rows, 0.9), np.ones(rows, bool), 0.0001)
    offered = float(str(caught.value).split("ask for ")[1].split(";")[0])
    assert find_review_threshold(np.full(rows, 0.9), np.ones(rows, bool), offered).errors == 0
