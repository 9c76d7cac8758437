"""Figures from counts: those of scikit-learn and SciPy wherever these have a number to give."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn import metrics

from batchdigits.evaluation.confusion import ConfusionMatrix, share_interval

PAIRS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30)


@given(PAIRS)
def test_figures_are_those_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    """Classes that nobody has or predicts among them."""
    true, predicted = np.array(pairs).T
    matrix = ConfusionMatrix.of("abcd", true, predicted)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = metrics.precision_recall_fscore_support(
            true, predicted, labels=range(4), zero_division=0
        )
        balanced = metrics.balanced_accuracy_score(true, predicted)
        kappa = metrics.cohen_kappa_score(true, predicted)
    scores = [[s.precision, s.recall, s.f1, s.support] for s in matrix.scores]
    assert np.allclose(np.array(scores).T, expected)
    assert matrix.accuracy == pytest.approx(metrics.accuracy_score(true, predicted))
    assert matrix.balanced_accuracy == pytest.approx(balanced)
    f1 = metrics.f1_score(true, predicted, average="macro", zero_division=0)
    assert matrix.macro_f1 == pytest.approx(f1)
    if len({*true, *predicted}) > 1:
        assert matrix.cohen_kappa == pytest.approx(kappa)
        expected_correlation = metrics.matthews_corrcoef(true, predicted)
        assert (matrix.matthews or 0.0) == pytest.approx(expected_correlation)


def test_one_class_agrees_with_nothing_beyond_chance() -> None:
    matrix = ConfusionMatrix(("a", "b"), np.array([[5, 0], [0, 0]]))
    assert (matrix.cohen_kappa, matrix.matthews) == (None, None)
    empty = ConfusionMatrix(("a", "b"), np.zeros((2, 2), np.int64))
    assert (empty.cohen_kappa, empty.balanced_accuracy) == (None, None)
    assert (empty.rows, empty.accuracy) == (0, 0.0)


def test_what_is_no_class_counts_as_wrong_and_is_no_pair() -> None:
    """A label that is no class in the last row, a row without a prediction in the last column."""
    counts = np.array([[3, 1, 0, 1], [0, 4, 0, 0], [2, 0, 0, 0], [0, 0, 0, 0]])
    matrix = ConfusionMatrix(("a", "b"), counts)
    first, second = matrix.scores
    assert (first.precision, first.recall, first.support) == (3 / 5, 3 / 5, 5)
    assert (second.precision, second.recall) == (4 / 5, 1)
    (pair,) = matrix.most_confused(10)
    assert (pair.label, pair.prediction, pair.rows) == ("a", "b", 1)
    assert (matrix.rows, matrix.accuracy) == (11, 7 / 11)
    assert matrix.as_facts()["confusion_matrix"] == [[3, 1], [0, 4]]


def test_many_classes_leave_the_matrix_out_of_tables_and_of_json() -> None:
    """Tables end at 20 classes, JSON at 100; the scores of every class stay."""
    for classes, lines, has_facts in (
        (20, 21, True),
        (21, 0, True),
        (100, 0, True),
        (101, 0, False),
    ):
        places = np.arange(classes)
        matrix = ConfusionMatrix.of(range(classes), places, places)
        assert len(matrix.matrix_lines()) == lines
        assert ("confusion_matrix" in matrix.as_facts()) == has_facts
        assert len(matrix.score_lines()) == classes + 1


@given(st.integers(1, 500), st.data())
def test_intervals_are_those_of_scipy(rows: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, rows))
    expected = binomtest(hits, rows).proportion_ci(method="wilson")
    assert share_interval(hits, rows) == pytest.approx((expected.low, expected.high), abs=1e-12)
