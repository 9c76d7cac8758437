"""The way from a command to the code that does its work is short enough to follow."""

import inspect

import pytest
from paths import SAMPLE_DATA

from batchdigits.errors import UsageError
from batchdigits.predict import main
from batchdigits.scoring import run


def test_predict_reaches_score_inputs_through_at_most_six_functions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stacks = []

    def score_inputs(*_arguments: object, **_keywords: object) -> None:
        stacks.append(inspect.stack())
        raise UsageError("recorded")

    monkeypatch.setattr(run, "score_inputs", score_inputs)
    assert main([str(SAMPLE_DATA / "digits.csv")]) == 2
    (stack,) = stacks
    names = [(info.frame.f_globals["__name__"], info.function) for info in reversed(stack)]
    way = [name for module, name in names if module.startswith("batchdigits.")]
    assert way[0] == "main"
    assert len(way) + 1 <= 6, f"{' -> '.join(way)} -> score_inputs"
