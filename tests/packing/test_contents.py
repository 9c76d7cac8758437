"""The scores of a model, as the manifest keeps them."""

import json

import numpy as np

from batchdigits.evaluation.confusion import ConfusionMatrix
from batchdigits.packing.contents import Scores

TRUTH = np.array([0, 0, 1, 1, 1, 2])
PREDICTED = np.array([0, 1, 1, 1, 0, 0])


def test_figures_are_those_of_hand_counting() -> None:
    scores = Scores("six rows", ConfusionMatrix.of(["a", "b", "c"], TRUTH, PREDICTED))
    assert scores.accuracy == 0.5
    assert scores.matrix.counts.tolist() == [[1, 1, 0], [1, 2, 0], [1, 0, 0]]
    one, last = scores.matrix.scores[1:]
    assert (one.label, one.precision, one.recall, one.support) == ("b", 2 / 3, 2 / 3, 3)
    # Never predicted: its precision is 0 of 0, which warns nobody.
    assert (last.precision, last.recall, last.f1) == (0, 0, 0)


def test_facts_are_plain_json() -> None:
    facts = Scores("six rows", ConfusionMatrix.of([False, True, 7], TRUTH, PREDICTED)).as_facts()
    assert json.loads(json.dumps(facts)) == facts
    assert list(facts)[:3] == ["measured_on", "rows", "accuracy"]
    assert (facts["measured_on"], facts["rows"], facts["accuracy"]) == ("six rows", 6, 0.5)


def test_many_classes_leave_the_matrix_out_of_the_facts() -> None:
    many = np.arange(150)
    scores = Scores("rows", ConfusionMatrix.of(many.tolist(), many, many))
    assert "confusion_matrix" not in scores.as_facts()
