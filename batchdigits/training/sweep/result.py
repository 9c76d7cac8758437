"""What became of the combinations of a sweep, ranked."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from batchdigits.training.sweep.plan import SweepPlan

if TYPE_CHECKING:
    import optuna

REPEATS = "repeats"
"""Marks a trial whose combination came up before: it was not trained again."""

_DECIMALS = 10  # folds that are summed in another order must not break a tie


@dataclass(frozen=True, slots=True)
class Tried:
    """One combination of settings and what became of it.

    number    the trial, from 1
    values    each setting that varied
    folds     accuracy 0..1 on each fold that was run
    log_loss  over all folds' rows, each fold at the temperature of the others; None if the
              combination was left before its last fold
    """

    number: int
    values: Mapping[str, Any]
    folds: tuple[float, ...]
    log_loss: float | None

    @property
    def accuracy(self) -> float:
        """The mean over the folds."""
        return float(np.mean(self.folds))

    @property
    def spread(self) -> float:
        """The standard deviation over the folds (of a sample: divided by folds - 1)."""
        return float(np.std(self.folds, ddof=1)) if len(self.folds) > 1 else 0.0


def picture_of(study: Path) -> Path:
    """Where the picture of the search in that study goes."""
    return study.with_name(f"{study.name}.png")


@dataclass(frozen=True, slots=True)
class SweepResult:
    """A finished search.

    tried  every combination once: those of all folds, best first, then those left early
    trials how often one was chosen: a combination that came up again was not trained again
    study  the file of trials
    """

    plan: SweepPlan
    tried: tuple[Tried, ...]
    trials: int
    study: Path

    @property
    def winner(self) -> Tried:
        """The most accurate combination; of several the one with the least log loss."""
        return self.tried[0]

    @property
    def picture(self) -> Path:
        """Where the picture of the search goes."""
        return picture_of(self.study)

    def lines(self) -> list[list[str]]:
        """The combinations as text, best first, after a header."""
        names = [one.name for one in self.plan.space]
        lines = [["accuracy", "spread", "log loss", "folds", *names]]
        for tried in self.tried:
            values = (tried.values[name] for name in names)
            lines.append(
                [
                    f"{tried.accuracy:.4f}",
                    f"{tried.spread:.4f}",
                    "" if tried.log_loss is None else f"{tried.log_loss:.4f}",
                    f"{len(tried.folds)} of {self.plan.folds}",
                    *(
                        f"{value:.4g}" if isinstance(value, float) else str(value)
                        for value in values
                    ),
                ]
            )
        return lines

    def as_facts(self) -> dict[str, Any]:
        """The search as plain JSON values, for the manifest."""
        return {
            "combinations": len(self.tried),
            "left_early": sum(one.log_loss is None for one in self.tried),
            "trials": self.trials,
            "folds": self.plan.folds,
            "sampler": self.plan.sampler,
            "seed": self.plan.seed,
            "space": {one.name: one.as_facts() for one in self.plan.space},
            "chosen": dict(self.winner.values),
            "accuracy": self.winner.accuracy,
            "accuracy_spread": self.winner.spread,
            "log_loss": self.winner.log_loss,
        }


def rank_trials(trials: Iterable[optuna.trial.FrozenTrial]) -> tuple[Tried, ...]:
    """Each combination of finished trials once, best first; those left early come last."""
    tried = [
        Tried(
            one.number + 1,
            one.params,
            tuple(one.user_attrs["folds"]),
            one.user_attrs.get("log_loss"),
        )
        for one in trials
        if REPEATS not in one.user_attrs
    ]

    def rank(one: Tried) -> tuple[float, float, float, int]:
        is_left = one.log_loss is None
        log_loss = math.inf if one.log_loss is None else one.log_loss
        return (float(is_left), -round(one.accuracy, _DECIMALS), log_loss, one.number)

    return tuple(sorted(tried, key=rank))
