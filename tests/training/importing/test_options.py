"""The options of an import: checked at once, and as a command line."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from batchdigits.bundles.__main__ import parser
from batchdigits.errors import UsageError
from batchdigits.rows.options import ReadOptions
from batchdigits.training.importing.options import ImportOptions, Terms

GOOD = {"data": "rows.csv", "keras": "model.h5", "labels": "0,1"}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"keras": None}, "--keras and --sklearn: give the file of one model"),
        ({"sklearn": "model.joblib"}, "--keras and --sklearn"),
        ({"label_binarizer": "b.joblib"}, "--labels and --label-binarizer: give one"),
        ({"labels": None}, "--keras needs the labels .*--labels 0,1,2"),
        ({"scaler_divide": 0.0}, "--scaler-divide 0.0: expected a number above 0"),
        ({"scaler_divide": float("nan")}, "--scaler-divide nan"),
        ({"rows": ReadOptions(scale=-1.0)}, "--scale"),
        ({"terms": Terms("Digits")}, "--name 'Digits'"),
        ({"terms": Terms(min_accuracy="most")}, "--min-accuracy 'most': expected a share"),
    ],
)
def test_what_no_import_could_use_is_refused_at_once(given: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        ImportOptions(**{**GOOD, **given}).checked()


def test_the_command_line_asks_for_the_same() -> None:
    options = ImportOptions(
        data="/data/rows.csv",
        sklearn="/models/model.joblib",
        scaler="/models/scaler.joblib",
        scaler_divide=16.0,
        label_binarizer="/models/binarizer.joblib",
        label="digit",
        rows=ReadOptions(scale=255.0),
        terms=Terms("forms", logits=True, calibrate=True, min_accuracy="95%"),
    )
    words = shlex.split(options.checked().command_line())
    again = ImportOptions.of_flags(parser().parse_args(words[3:]))
    assert again.command_line() == options.command_line()
    assert (again.label, again.rows, again.terms.least) == ("digit", options.rows, 0.95)
    assert again.scaler == "scaler.joblib", "what a card says names no folder of somebody's"


def test_an_accuracy_is_a_share_in_either_spelling() -> None:
    assert [Terms(min_accuracy=text).least for text in ("90%", "0.9", 0.9)] == [0.9] * 3
