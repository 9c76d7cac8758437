"""Figures from counts: those of scikit-learn and SciPy wherever these have a number to give."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn import metrics

from batchdigits.evaluation.confusion import (
    balanced_accuracy,
    class_scores,
    cohen_kappa,
    macro_f1,
    matthews,
    most_confused,
    share_interval,
)

PAIRS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30)


@given(PAIRS)
def test_figures_are_those_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    """Classes that nobody has or predicts among them."""
    true, predicted = np.array(pairs).T
    matrix = np.bincount(true * 4 + predicted, minlength=16).reshape(4, 4)
    scores = class_scores(matrix, "abcd")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = metrics.precision_recall_fscore_support(
            true, predicted, labels=range(4), zero_division=0
        )
        balanced = metrics.balanced_accuracy_score(true, predicted)
        kappa = metrics.cohen_kappa_score(true, predicted)
    found = [[one.precision, one.recall, one.f1, one.support] for one in scores]
    assert np.allclose(np.array(found).T, expected)
    assert balanced_accuracy(scores) == pytest.approx(balanced)
    f1 = metrics.f1_score(true, predicted, average="macro", zero_division=0)
    assert macro_f1(matrix, scores) == pytest.approx(f1)
    if len({*true, *predicted}) > 1:
        assert cohen_kappa(matrix) == pytest.approx(kappa)
        expected_correlation = metrics.matthews_corrcoef(true, predicted)
        assert (matthews(matrix) or 0.0) == pytest.approx(expected_correlation)


def test_one_class_agrees_with_nothing_beyond_chance() -> None:
    matrix = np.array([[5, 0], [0, 0]])
    assert (cohen_kappa(matrix), matthews(matrix)) == (None, None)
    assert (cohen_kappa(matrix * 0), balanced_accuracy(class_scores(matrix * 0, "ab"))) == (
        None,
        None,
    )


def test_what_is_no_class_counts_as_wrong_and_is_no_pair() -> None:
    """A label that is no class in the last row, a row without a prediction in the last column."""
    matrix = np.array([[3, 1, 0, 1], [0, 4, 0, 0], [2, 0, 0, 0], [0, 0, 0, 0]])
    first, second = class_scores(matrix, "ab")
    assert (first.precision, first.recall, first.support) == (3 / 5, 3 / 5, 5)
    assert (second.precision, second.recall) == (4 / 5, 1)
    (pair,) = most_confused(matrix, "ab", 10)
    assert (pair.label, pair.prediction, pair.rows) == ("a", "b", 1)


@given(st.integers(1, 500), st.data())
def test_intervals_are_those_of_scipy(rows: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, rows))
    expected = binomtest(hits, rows).proportion_ci(method="wilson")
    assert share_interval(hits, rows) == pytest.approx((expected.low, expected.high), abs=1e-12)
