"""One combination of settings, judged by cross-validation of the training rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from batchdigits.training.calibration import measure_reliability
from batchdigits.training.cross_validation import OnProgress, at_other_folds_temperature, fit_rows
from batchdigits.training.data import Labelled
from batchdigits.training.options import TrainOptions
from batchdigits.training.settings import Settings
from batchdigits.training.split import split_folds
from batchdigits.training.sweep.plan import Dimension, SweepPlan
from batchdigits.training.sweep.result import REPEATS

if TYPE_CHECKING:
    import optuna


class Judge:
    """The objective of the search: the mean accuracy over the folds of `inner`, the training rows.

    The folds are the same for every trial. Raises optuna.TrialPruned for a trial that falls behind.
    """

    def __init__(
        self, inner: Labelled, plan: SweepPlan, options: TrainOptions, on_progress: OnProgress
    ) -> None:
        self._inner, self._plan, self._options = inner, plan, options
        self._on_progress = on_progress
        self._parts = list(split_folds(inner, plan.folds, options.split_seed))

    def __call__(self, trial: optuna.Trial) -> float:
        values = {d.name: _suggest(trial, d) for d in self._plan.space}
        twin = _twin(trial, values)
        if twin is not None:
            return _repeat(trial, twin)
        settings = self._options.make_settings(**values)
        return self._cross_validate(trial, settings)

    def _cross_validate(self, trial: optuna.Trial, settings: Settings) -> float:
        import optuna

        inner, folds = self._inner, len(self._parts)
        probabilities = np.zeros((len(inner.targets), inner.classes), np.float32)
        fold = np.zeros(len(inner.targets), np.int64)
        accuracies: list[float] = []
        for number, (rows, held) in enumerate(self._parts, start=1):
            prefix = f"combination {trial.number + 1} of {self._plan.trials}, "
            prefix += f"fold {number} of {folds}, "
            fitted = fit_rows(inner, rows, settings, self._on_progress, prefix)
            # Weights that have grown without bounds give NaN, which is read as 0.
            probabilities[held] = np.nan_to_num(fitted.probabilities(inner.pixels[held]))
            fold[held] = number
            right = probabilities[held].argmax(axis=1) == inner.targets[held]
            accuracies.append(float(right.mean()))
            trial.set_user_attr("folds", accuracies)
            trial.report(float(np.mean(accuracies)), number - 1)
            if self._plan.prune and number < folds and trial.should_prune():
                raise optuna.TrialPruned
        calibrated = at_other_folds_temperature(probabilities, inner.targets, fold)
        log_loss = measure_reliability(calibrated, inner.targets).log_loss
        trial.set_user_attr("log_loss", log_loss)
        return float(np.mean(accuracies))


def _suggest(trial: optuna.Trial, dimension: Dimension) -> Any:
    name, low, high, step = dimension.name, dimension.low, dimension.high, dimension.step
    if dimension.values:
        return trial.suggest_categorical(name, dimension.values)
    if isinstance(low, int) and isinstance(high, int):
        whole_step = 1 if step is None else int(step)
        return trial.suggest_int(name, low, high, step=whole_step, log=dimension.log)
    return trial.suggest_float(name, low, high, step=step, log=dimension.log)


def _twin(trial: optuna.Trial, values: Mapping[str, Any]) -> optuna.trial.FrozenTrial | None:
    """An earlier trial of the same combination; None without one."""
    others = trial.study.get_trials(deepcopy=False)[: trial.number]
    return next((other for other in others if other.params == values), None)


def _repeat(trial: optuna.Trial, twin: optuna.trial.FrozenTrial) -> float:
    """Take over the result of an earlier trial: the same combination would give it again."""
    import optuna

    trial.set_user_attr(REPEATS, twin.number)
    for step, value in twin.intermediate_values.items():
        trial.report(value, step)
    if twin.state == optuna.trial.TrialState.PRUNED:
        raise optuna.TrialPruned
    return float(twin.values[0])
