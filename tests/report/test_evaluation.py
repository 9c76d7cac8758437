"""What evaluate shows on standard error."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from batchdigits.archive.thresholds import Thresholds
from batchdigits.evaluation.confusion import ConfusionMatrix
from batchdigits.evaluation.evaluator import Tally
from batchdigits.evaluation.files import Evaluation, InputTally
from batchdigits.evaluation.groups import Group
from batchdigits.evaluation.reliability import ConfidenceCounts
from batchdigits.evaluation.review import DecisionCounts
from batchdigits.report.evaluation import format_evaluation
from batchdigits.scoring.ledger import Counts

COUNTS = Counts(rows_in=1300, rows_predicted=1200, rows_rejected=100, reasons={"missing": 100})
TALLY = Tally(counts=COUNTS, labelled=1100, unknown=1, right=1000)
GROUP = Group(("a  form\nof two lines", None), 4, 1, 0.75, (0.3, 0.95), 0.5)
EVALUATION = Evaluation(
    bundle={"name": "digits", "version": "3", "digest": "sha256:0"},
    label="label",
    inputs=(InputTally("rows.csv", TALLY, "looks blank", trained_on=True),),
    total=TALLY,
    matrix=ConfusionMatrix.of([0, 1], np.array([0, 0, 1]), np.array([0, 1, 1])),
    confidence=ConfidenceCounts(),
    decisions=None,
    by=("form", "field"),
    groups=(GROUP, GROUP, GROUP),
)


def test_the_head_says_which_rows_were_measured_and_which_were_not() -> None:
    assert format_evaluation(EVALUATION, 0).splitlines()[:6] == [
        "digits@3 on 1,100 labelled rows of rows.csv",
        "100 rows rejected: 100 missing",
        "100 rows without a label, not counted",
        "1 label not among the classes of the bundle, counted as wrong",
        "rows.csv: looks blank",
        "rows.csv: the bundle was trained on this very file: expect more errors on new rows",
    ]


def test_several_inputs_are_counted() -> None:
    several = replace(EVALUATION, inputs=EVALUATION.inputs * 2)
    assert format_evaluation(several, 0).startswith("digits@3 on 1,100 labelled rows of 2 inputs\n")


def test_figures_that_can_not_be_measured_are_left_out() -> None:
    text = format_evaluation(EVALUATION, 0)
    assert re.search(r"^accuracy +90\.91%$", text, re.MULTILINE)
    assert re.search(r"^errors +100$", text, re.MULTILINE)
    assert "expected calibration error" not in text
    assert "rows by confidence" not in text


def test_the_worst_groups_are_listed_and_the_others_counted() -> None:
    """A value is one short line, an empty one a dash."""
    lines = format_evaluation(EVALUATION, 1).splitlines()
    assert lines[-4] == "worst groups first"
    assert lines[-2].startswith("a form of two lines      -     4       1    75.00%")
    assert lines[-1] == "and 2 more: --groups lists them"
    assert "groups" not in format_evaluation(EVALUATION, 0)


def test_decisions_show_their_errors_and_what_the_bundle_promises() -> None:
    thresholds = Thresholds(review_below=0.9, facts={"max_error": 0.01})
    decisions = DecisionCounts.of(thresholds, None)
    assert decisions is not None
    confidence = np.array([0.95, 0.95, 0.5], np.float32)
    decisions.add(np.full((3, 64), 8, np.uint8), confidence, np.array([True, False, True]))
    text = format_evaluation(replace(EVALUATION, decisions=decisions), 0)
    assert "review below 0.9: 2 of 3 rows accepted, 1 of them wrong: 50.000%, 95 % interval" in text
    assert "; the bundle promises at most 1.000%\nto review: 1 low-confidence" in text
