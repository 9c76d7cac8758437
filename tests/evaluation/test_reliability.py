"""Rows counted by their confidence, against counts made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from batchdigits.evaluation.reliability import CONFIDENCES, ConfidenceCounts

CONFIDENCE = np.array([0.5, 0.55, 0.99, 1.0], np.float32)
IS_RIGHT = np.array([True, False, True, True])


def counted(*parts: slice) -> ConfidenceCounts:
    counts = ConfidenceCounts()
    for part in parts:
        counts.add(CONFIDENCE[part], IS_RIGHT[part])
    return counts


def test_bins_hold_the_rows_up_to_their_upper_end() -> None:
    """Empty bins are left out; a confidence of 1 is in the last."""
    low, middle, last = counted(slice(None)).bins()
    assert (low.low, low.high, low.rows, low.accuracy) == (7 / 15, 8 / 15, 1, 1.0)
    assert (middle.rows, middle.accuracy) == (1, 0.0)
    assert (last.high, last.rows, last.accuracy) == (1.0, 2, 1.0)
    assert last.confidence == pytest.approx(0.995)


def test_the_calibration_error_weighs_each_bin_by_its_rows() -> None:
    expected = (abs(1 - 0.5) + abs(0 - 0.55) + 2 * abs(1 - 0.995)) / 4
    assert counted(slice(None)).calibration_error == pytest.approx(expected)


def test_a_threshold_accepts_what_reaches_it() -> None:
    accepted = {a.confidence: a for a in counted(slice(None)).curve()}
    assert accepted.keys() == set(CONFIDENCES)
    half, most = accepted[0.5], accepted[0.99]
    assert (half.rows, half.coverage, half.errors, half.error) == (4, 1.0, 1, 0.25)
    assert (most.rows, most.coverage, most.errors, most.error) == (2, 0.5, 0, 0.0)


def test_a_threshold_that_accepts_nothing_has_no_error() -> None:
    counts = ConfidenceCounts()
    counts.add(CONFIDENCE[:2], IS_RIGHT[:2])
    assert [a.error for a in counts.curve() if not a.rows] == [None] * 8


def test_how_rows_are_batched_changes_nothing() -> None:
    whole, cut = counted(slice(None)), counted(slice(0, 1), slice(1, 4))
    assert (cut.bins(), cut.curve()) == (whole.bins(), whole.curve())


def test_without_rows_there_is_nothing_to_measure() -> None:
    counts = ConfidenceCounts()
    assert (counts.bins(), counts.curve(), counts.calibration_error) == ((), (), None)
