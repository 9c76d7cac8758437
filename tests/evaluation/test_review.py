"""Decisions on labelled rows: the thresholds of a bundle, or a confidence that is given."""

from __future__ import annotations

import numpy as np
import pytest

from batchdigits.archive.thresholds import Thresholds
from batchdigits.evaluation.review import DecisionCounts

PIXELS = np.full((4, 64), 8, np.uint8)
CONFIDENCE = np.array([0.99, 0.9, 0.8, np.nan], np.float32)
IS_RIGHT = np.array([True, False, True, False])


def counts_of(thresholds: Thresholds, review_below: float | None = None) -> DecisionCounts:
    counts = DecisionCounts.of(thresholds, review_below)
    assert counts is not None
    counts.add(PIXELS, CONFIDENCE, IS_RIGHT)
    return counts


def test_accepted_rows_and_their_errors_are_counted() -> None:
    """A row without a probability, whose confidence is NaN, is never accepted."""
    facts = counts_of(Thresholds(review_below=0.9)).as_facts()
    assert (facts["rows"], facts["coverage"], facts["errors"], facts["error"]) == (2, 0.5, 1, 0.5)
    assert facts["error_low"] < 0.5 < facts["error_high"]
    assert facts["causes"] == {"low-confidence": 2}


def test_a_bundle_without_bounds_and_threshold_decides_nothing() -> None:
    assert DecisionCounts.of(Thresholds(strange_above=9.0), None) is None


def test_bounds_of_ink_decide_without_a_threshold() -> None:
    facts = counts_of(Thresholds(least_ink=2_000.0)).as_facts()
    assert (facts["review_below"], facts["rows"], facts["causes"]) == (None, 0, {"little-ink": 4})


def test_a_given_confidence_replaces_that_of_the_bundle_and_its_promise() -> None:
    thresholds = Thresholds(review_below=0.9, facts={"max_error": 0.01})
    assert counts_of(thresholds).max_error == 0.01
    given = counts_of(thresholds, review_below=0.95)
    assert (given.review_below, given.max_error, given.accepted) == (0.95, None, 1)


@pytest.mark.parametrize("promise", ["0.01", True, None])
def test_a_promise_that_is_not_a_number_is_none(promise: object) -> None:
    assert counts_of(Thresholds(review_below=0.9, facts={"max_error": promise})).max_error is None


def test_of_no_accepted_rows_there_is_no_error() -> None:
    facts = counts_of(Thresholds(review_below=1.0)).as_facts()
    assert (facts["rows"], facts["error"], facts["error_low"], facts["error_high"]) == (
        *(0, None, None, None),
    )
