"""The figures of an evaluation as JSON values."""

from __future__ import annotations

import json

import numpy as np

from batchdigits.evaluation.confusion import ConfusionMatrix
from batchdigits.evaluation.evaluator import Tally
from batchdigits.evaluation.files import Evaluation, InputTally
from batchdigits.evaluation.groups import Group
from batchdigits.evaluation.reliability import ConfidenceCounts
from batchdigits.scoring.ledger import Counts

GROUP = Group(("a", None), 4, 1, 0.75, (0.3, 0.95), 0.5)


def evaluation_of(tally: Tally, groups: tuple[Group, ...] = ()) -> Evaluation:
    return Evaluation(
        bundle={"name": "digits", "version": "3", "digest": "sha256:0"},
        label="digit",
        inputs=(InputTally("rows.csv", tally, None, trained_on=False),),
        total=tally,
        matrix=ConfusionMatrix((0, 1), np.array([[2, 1, 0, 0], [0, 1, 0, 0], [0] * 4, [0] * 4])),
        confidence=ConfidenceCounts(),
        decisions=None,
        by=("form", "field") if groups else (),
        groups=groups,
    )


def test_the_facts_are_plain_json() -> None:
    counts = Counts(rows_in=5, rows_predicted=4, rows_rejected=1, reasons={"missing": 1})
    facts = evaluation_of(Tally(counts=counts, labelled=4, right=3)).as_facts(10)
    assert json.loads(json.dumps(facts)) == facts
    assert (facts["accuracy"], facts["confusion_matrix"]) == (0.75, [[2, 1], [0, 1]])
    assert facts["confused"] == [{"label": 0, "prediction": 1, "rows": 1}]
    assert (facts["label"], facts["inputs"][0]["input"]) == ("digit", "rows.csv")


def test_what_can_not_be_measured_is_null() -> None:
    facts = evaluation_of(Tally()).as_facts(10)
    names = ("accuracy", "accuracy_low", "log_loss", "calibration_error", "decision", "by")
    assert [facts[name] for name in names] == [None] * 6


def test_as_many_groups_are_listed_as_asked_for_and_all_are_counted() -> None:
    facts = evaluation_of(Tally(), (GROUP, GROUP)).as_facts(1)
    assert (facts["group_count"], len(facts["groups"])) == (2, 1)
    assert facts["groups"][0]["group"] == {"form": "a", "field": None}
    assert facts["groups"][0]["accuracy_low"] == 0.3
