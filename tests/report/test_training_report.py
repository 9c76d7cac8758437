"""What train shows on standard error: the scores, and the combinations of a sweep."""

from pathlib import Path

import numpy as np

from batchdigits.evaluation.confusion import ConfusionMatrix
from batchdigits.packing.contents import Scores
from batchdigits.report.training import format_scores, format_sweep

TRUTH = np.array([0, 0, 1, 1, 1, 2])
PREDICTED = np.array([0, 1, 1, 1, 0, 0])


def test_scores_are_aligned_tables() -> None:
    scores = Scores("six rows", ConfusionMatrix.of(["a|b", "b", "c"], TRUTH, PREDICTED))
    lines = format_scores(scores).splitlines()
    assert lines[0] == "accuracy 0.5000 on six rows"
    assert len({len(line) for line in lines[2:6]}) == 1
    assert lines[7] == "rows: true class, columns: predicted class"


def test_many_classes_leave_the_matrix_out() -> None:
    many = np.arange(150)
    scores = Scores("rows", ConfusionMatrix.of(many.tolist(), many, many))
    assert "true class" not in format_scores(scores)


def test_a_sweep_shows_its_best_and_counts_the_others() -> None:
    lines = [["accuracy", "units"], *([f"0.{99 - i}", str(i)] for i in range(23))]
    text = format_sweep(lines, Path("digits.study"), Path("digits.study.png"))
    assert text.splitlines()[20] == "0.80      19"
    assert text.splitlines()[21].startswith("and 3 more; the first was chosen by its accuracy")
    assert "digits.study.png" in text
    assert " more; " not in format_sweep(lines[:21], Path("a"), Path("b"))
