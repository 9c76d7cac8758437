import json

import numpy as np

from batchdigits.training.evaluation import evaluate, format_evaluation, markdown_evaluation

TRUTH = np.array([0, 0, 1, 1, 1, 2])
PREDICTED = np.array([0, 1, 1, 1, 0, 0])


def test_figures_are_those_of_hand_counting() -> None:
    found = evaluate(TRUTH, PREDICTED, ["a", "b", "c"], "six rows")
    assert found.accuracy == 0.5
    assert found.matrix.counts.tolist() == [[1, 1, 0], [1, 2, 0], [1, 0, 0]]
    one = found.matrix.scores[1]
    assert (one.label, one.precision, one.recall, one.support) == ("b", 2 / 3, 2 / 3, 3)


def test_a_class_never_predicted_scores_nothing() -> None:
    """And warns nobody: its precision is 0 of 0."""
    last = evaluate(TRUTH, PREDICTED, ["a", "b", "c"], "six rows").matrix.scores[2]
    assert (last.precision, last.recall, last.f1) == (0, 0, 0)


def test_facts_are_plain_json() -> None:
    facts = evaluate(TRUTH, PREDICTED, [False, True, 7], "six rows").as_facts()
    assert json.loads(json.dumps(facts)) == facts


def test_many_classes_leave_the_matrix_out() -> None:
    many = np.arange(150)
    found = evaluate(many, many, many.tolist(), "rows")
    assert "confusion_matrix" not in found.as_facts()
    assert "true class" not in format_evaluation(found)
    assert "Confusion" not in markdown_evaluation(found)


def test_tables_are_aligned_and_escape_the_bar() -> None:
    found = evaluate(TRUTH, PREDICTED, ["a|b", "b", "c"], "six rows")
    lines = format_evaluation(found).splitlines()
    assert lines[0] == "accuracy 0.5000 on six rows"
    assert len({len(line) for line in lines[2:6]}) == 1
    assert "| a\\|b |" in markdown_evaluation(found)
