"""The result of a sweep: its combinations, ranked."""

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
"""The attribute of a trial whose combination came up before and was not trained again."""

_DECIMALS = 10  # the order in which folds are summed must not break a tie


@dataclass(frozen=True, slots=True)
class Tried:
    """One combination of settings and its result.

    number    the trial, from 1
    values    the settings that varied
    folds     accuracy 0..1 on each fold that was run
    log_loss  over the rows of all folds, each fold at the temperature of the others; None if the
              combination was pruned
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
        """The sample standard deviation over the folds."""
        return float(np.std(self.folds, ddof=1)) if len(self.folds) > 1 else 0.0


def picture_of(study: Path) -> Path:
    """The file of the picture of the search in that study."""
    return study.with_name(f"{study.name}.png")


@dataclass(frozen=True, slots=True)
class SweepResult:
    """A finished search.

    tried   every combination once: those of all folds, best first, then the pruned ones
    trials  number of trials; a combination that came up again was not trained again
    study   the file of trials
    """

    plan: SweepPlan
    tried: tuple[Tried, ...]
    trials: int
    study: Path

    @property
    def winner(self) -> Tried:
        """The most accurate combination; of several, that with the least log loss."""
        return self.tried[0]

    @property
    def picture(self) -> Path:
        """The file of the picture."""
        return picture_of(self.study)

    def lines(self) -> list[list[str]]:
        """The combinations as text, best first, after a header."""
        names = [dimension.name for dimension in self.plan.space]
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
            "left_early": sum(tried.log_loss is None for tried in self.tried),
            "trials": self.trials,
            "folds": self.plan.folds,
            "sampler": self.plan.sampler,
            "seed": self.plan.seed,
            "space": {d.name: d.as_facts() for d in self.plan.space},
            "chosen": dict(self.winner.values),
            "accuracy": self.winner.accuracy,
            "accuracy_spread": self.winner.spread,
            "log_loss": self.winner.log_loss,
        }


def rank_trials(trials: Iterable[optuna.trial.FrozenTrial]) -> tuple[Tried, ...]:
    """Each combination of finished trials once, best first, and the pruned ones last."""
    tried = [
        Tried(
            trial.number + 1,
            trial.params,
            tuple(trial.user_attrs["folds"]),
            trial.user_attrs.get("log_loss"),
        )
        for trial in trials
        if REPEATS not in trial.user_attrs
    ]

    def rank(combination: Tried) -> tuple[bool, float, float, int]:
        accuracy, log_loss = combination.accuracy, combination.log_loss
        loss = math.inf if log_loss is None else log_loss
        return (log_loss is None, -round(accuracy, _DECIMALS), loss, combination.number)

    return tuple(sorted(tried, key=rank))
