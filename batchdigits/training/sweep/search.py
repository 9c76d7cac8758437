"""The search: combinations of settings, judged by cross-validation of the training rows.

The held-out rows have no influence on it. Each finished trial is written to a file as a whole. The
values of a trial depend only on the seed and on the trials before it. So a sweep that was killed
and started again ends as if it had never been killed.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.errors import OutputError, UsageError
from batchdigits.files.atomic import replace_file
from batchdigits.packing.frameworks import require_packages
from batchdigits.training.calibration import measure_reliability
from batchdigits.training.cross_validation import (
    OnProgress,
    at_other_folds_temperature,
    predict_folds,
)
from batchdigits.training.data import Labelled
from batchdigits.training.options import TrainOptions
from batchdigits.training.split import Split, split_folds
from batchdigits.training.sweep.picture import draw_sweep
from batchdigits.training.sweep.plan import Dimension, SweepPlan, read_plan
from batchdigits.training.sweep.result import REPEATS, SweepResult, picture_of, rank_trials
from batchdigits.training.sweep.study import open_study

if TYPE_CHECKING:
    import optuna

# Pruning compares a combination with the others from this number of trials and folds on.
_UNPRUNED_TRIALS = 5
_UNPRUNED_FOLDS = 1


def plan_sweep(options: TrainOptions) -> SweepPlan | None:
    """Read and check the sweep that `options` ask for, before TensorFlow loads; None without one.

    Raises MissingExtraError, NoInputError or UsageError.
    """
    if options.sweep is None:
        return None
    require_packages("a sweep", {"matplotlib": "matplotlib", "optuna": "optuna"}, "sweep")
    plan = read_plan(options.sweep)
    _check_space(plan, options)
    return plan


def _check_space(plan: SweepPlan, options: TrainOptions) -> None:
    """Refuse values that no network accepts, and settings that are given twice."""
    # The values that a network accepts depend on the architecture, which may vary too.
    searched = (dimension.examples for dimension in plan.space if dimension.name == "arch")
    networks = [{"arch": arch} for arch in next(searched, ())] or [{}]
    for dimension in plan.space:
        name = dimension.name
        where = f"{plan.path}: [space] {name}"
        if name in options.settings:
            raise UsageError(f"{where}: is given by a flag too; leave one of them out")
        for network, value in product(networks, dimension.examples):
            try:
                options.make_settings(**{**network, name: value})
            except UsageError as error:
                of = f" with arch {network['arch']}" if network and name != "arch" else ""
                raise UsageError(f"{where}{of}: {error}") from error


def winner_options(options: TrainOptions, result: SweepResult) -> TrainOptions:
    """The options that train the winner, without a sweep."""
    settings = {**options.settings, **result.winner.values}
    return replace(options, sweep=None, study=None, settings=settings)


def run_sweep(
    plan: SweepPlan, data: Labelled, split: Split, options: TrainOptions, on_progress: OnProgress
) -> SweepResult:
    """Try combinations until there are `plan.trials`, counting those in the study's file.

    Raises TryAgainError or OutputError for the study's file, UnusableInputError for a class with
    fewer training rows than folds.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    inner = data.part(split.train)
    judge = make_judge(inner, plan, options, on_progress)
    default = Path(str(options.sweep)).with_suffix(".study")
    path = default if options.study is None else Path(options.study)
    if not path.exists() and picture_of(path).exists():
        raise OutputError(
            f"{picture_of(path)}: exists, and there is no study next to it; move it away, "
            "or name another study with --study"
        )
    with open_study(path, _identity(plan, inner, options)) as kept, warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study = new_study(kept.trials)
        # Only finished trials are written to the file, so a kill leaves no unfinished one.
        while (done := len(study.trials)) < plan.trials:
            study.sampler = _sampler(plan, done)
            study.optimize(judge, n_trials=1, callbacks=[lambda _, trial: kept.add_trial(trial)])
    result = SweepResult(plan, rank_trials(study.trials), len(study.trials), path)
    replace_file(result.picture, draw_sweep(result))
    return result


def new_study(trials: Iterable[optuna.trial.FrozenTrial]) -> optuna.Study:
    """A study in memory that begins with some trials and prunes combinations that fall behind.

    A combination is pruned after a fold if its best mean so far is below the median of the others
    at that fold (Golovin and others, "Google Vizier", 2017).
    """
    import optuna

    pruner = optuna.pruners.MedianPruner(_UNPRUNED_TRIALS, _UNPRUNED_FOLDS)
    study = optuna.create_study(direction="maximize", pruner=pruner)
    study.add_trials(trials)
    return study


def make_judge(
    inner: Labelled, plan: SweepPlan, options: TrainOptions, on_progress: OnProgress
) -> Callable[[optuna.Trial], float]:
    """The objective of the search: the mean accuracy over the folds of `inner`, the training rows.

    The folds are the same for every trial. The objective raises optuna.TrialPruned for a trial that
    falls behind.
    """
    import optuna

    parts = list(split_folds(inner, plan.folds, options.split_seed))

    def judge(trial: optuna.Trial) -> float:
        values = {dimension.name: _suggest(trial, dimension) for dimension in plan.space}
        twin = _twin(trial, values)
        if twin is not None:
            return _repeat(trial, twin)
        accuracies: list[float] = []

        def report(held: NDArray[np.int64], probabilities: NDArray[np.float32]) -> None:
            right = probabilities.argmax(axis=1) == inner.targets[held]
            accuracies.append(float(right.mean()))
            trial.set_user_attr("folds", accuracies)
            trial.report(float(np.mean(accuracies)), len(accuracies) - 1)
            if plan.prune and len(accuracies) < len(parts) and trial.should_prune():
                raise optuna.TrialPruned

        words = f"combination {trial.number + 1} of {plan.trials}, fold"
        settings = options.make_settings(**values)
        probabilities, fold = predict_folds(
            inner, parts, settings, on_progress, words, on_fold=report
        )
        # Weights that have grown without bounds give NaN, which is read as 0.
        probabilities = np.nan_to_num(probabilities)
        calibrated = at_other_folds_temperature(probabilities, inner.targets, fold)
        log_loss = measure_reliability(calibrated, inner.targets).log_loss
        trial.set_user_attr("log_loss", log_loss)
        return float(np.mean(accuracies))

    return judge


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


def _identity(plan: SweepPlan, inner: Labelled, options: TrainOptions) -> dict[str, Any]:
    """Everything that decides a trial's result: all but the number of trials."""
    rows = hashlib.sha256(inner.pixels.astype("<f8").tobytes())
    rows.update(inner.targets.astype("<i8").tobytes())
    settings = options.make_settings().as_facts()
    varied = {dimension.name for dimension in plan.space}
    return {
        "space": {d.name: d.as_facts() for d in plan.space},
        "folds": [plan.folds, options.split_seed],
        "sampler": plan.sampler,
        "seed": plan.seed,
        "prune": plan.prune,
        "settings": {name: value for name, value in settings.items() if name not in varied},
        "training rows": rows.hexdigest(),
    }


def _sampler(plan: SweepPlan, done: int) -> optuna.samplers.BaseSampler:
    """The sampler of the next trial, seeded by its number and not by the samplers before it."""
    from optuna import samplers

    if plan.sampler == "grid":
        return samplers.GridSampler({d.name: d.values for d in plan.space}, seed=plan.seed)
    seed = int(np.random.SeedSequence([plan.seed, done]).generate_state(1)[0])
    if plan.sampler == "random":
        return samplers.RandomSampler(seed=seed)
    return samplers.TPESampler(seed=seed)
