"""The tally of a bundle on labelled rows, against counts made by hand and scikit-learn."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from labelled_rows import PixelEngine, compared, old, opened, write

from batchdigits.evaluation.evaluator import score_labelled


def test_accuracy_and_confidence_of_both(four: Path) -> None:
    comparison = compared(four)
    before, after = comparison.old.as_facts(), comparison.new.as_facts()
    assert (before["accuracy"], after["accuracy"]) == (0.5, 0.5)
    assert before["mean_confidence"] == pytest.approx((1 + 0.75 + 0.5 + 0.75) / 4)
    assert before["mean_confidence_right"] == pytest.approx((1 + 0.75) / 2)
    assert before["mean_confidence_wrong"] == pytest.approx((0.5 + 0.75) / 2)
    losses = [-math.log(p) for p in (1, 0.75, 0.25, 0.125)]
    assert before["log_loss"] == pytest.approx(sum(losses) / 4)
    assert before["rows_per_second"] > 0


def test_log_loss_is_that_of_scikit_learn(tmp_path: Path) -> None:
    """Certain mistakes included, which both clip alike."""
    metrics = pytest.importorskip("sklearn.metrics")
    random = np.random.default_rng(0)
    rows = [(*pair, *pair) for pair in random.integers((0, 6), (3, 17), (50, 2)).tolist()]
    labels = random.integers(0, 3, 50)
    comparison = compared(write(tmp_path / "many.parquet", rows, label=labels)).old.as_facts()
    pixels = np.zeros((50, 64), np.uint8)
    pixels[:, :4] = rows
    probabilities = PixelEngine(3, 0).probabilities(pixels)
    assert comparison["log_loss"] == pytest.approx(
        metrics.log_loss(labels, probabilities), rel=1e-5
    )


def test_rejected_rows_are_counted_and_do_not_shift_the_numbers(tmp_path: Path) -> None:
    rows = [(0, 16, 0, 16), (17, 16, 0, 16), (0, 16, 1, 16)]
    comparison = compared(write(tmp_path / "rows.parquet", rows, label=[0, 0, 0]))
    assert comparison.old.as_facts()["reasons"] == {"out-of-range": 1}
    assert (comparison.old.counts.rows_in, comparison.old.labelled, comparison.new.right) == (
        3,
        2,
        1,
    )
    assert [flip.row for flip in comparison.flips] == [3]


def test_one_bundle_alone(four: Path) -> None:
    """The figures are those that it has in a comparison."""
    evaluator = old()
    with opened(four, label="label") as rows:
        list(score_labelled(rows, [evaluator]))
    alone, with_another = evaluator.tally.as_facts(), compared(four).old.as_facts()
    assert {**alone, "rows_per_second": 0} == {**with_another, "rows_per_second": 0}


def test_off_the_clock_the_figures_are_the_same(tmp_path: Path) -> None:
    """The engine runs once instead of twice; some rows get no probability."""
    random = np.random.default_rng(2)
    rows = random.integers((0, 0, 0, 0), (3, 17, 3, 17), (60, 4)).tolist()
    path = write(tmp_path / "rows.parquet", rows, label=random.integers(0, 4, 60))
    facts = []
    for timed in (True, False):
        evaluator = old(timed=timed)
        with opened(path) as opened_rows:
            list(score_labelled(opened_rows, [evaluator]))
        facts.append({**evaluator.tally.as_facts(), "rows_per_second": None})
    assert facts[0]["reasons"]["no-probability"] > 0
    assert facts[0] == facts[1]
