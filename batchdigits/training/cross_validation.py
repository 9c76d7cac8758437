"""Judges networks by rows they have not seen: the held-out part, or folds; and their confidence."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from batchdigits.evaluation.confusion import ConfusionMatrix
from batchdigits.packing.contents import Scores
from batchdigits.training.calibration import (
    FOLD_COPIES,
    Calibration,
    at_temperature,
    fit_temperature,
    measure_reliability,
)
from batchdigits.training.data import Labelled
from batchdigits.training.fit import Fitted, fit
from batchdigits.training.options import TrainOptions
from batchdigits.training.settings import Settings
from batchdigits.training.split import Split, split_folds

OnProgress = Callable[[str], None]
"""Told in a few words what was just done, after every epoch and step."""

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class OutOfFold:
    """Training rows as networks judge them that had not seen them.

    rows           int64 (n,): which rows of the data
    targets        int64 (n,): the number of the class of each
    probabilities  float64 (n, k): each fold's at the temperature of the other folds
    temperature    of all of them, for the packed model
    """

    rows: Rows
    targets: Rows
    probabilities: NDArray[np.float64]
    temperature: float

    @property
    def is_right(self) -> NDArray[np.bool_]:
        """Whether the most probable class is the true one, (n,)."""
        right: NDArray[np.bool_] = self.probabilities.argmax(axis=1) == self.targets
        return right


def fit_rows(
    data: Labelled, rows: Rows, settings: Settings, on_progress: OnProgress, prefix: str = ""
) -> Fitted:
    """A network fitted on some rows; each epoch is told behind `prefix`."""

    def told(epoch: int, epochs: int, loss: float) -> None:
        on_progress(f"{prefix}epoch {epoch} of {epochs}, loss {loss:.4f}")

    return fit(data.pixels[rows], data.targets[rows], data.classes, settings, told)


def judge_training_rows(
    data: Labelled,
    rows: Rows,
    settings: Settings,
    options: TrainOptions,
    on_progress: OnProgress,
) -> OutOfFold | None:
    """The training rows, each by a network that saw a part of the others.

    None where no calibration is asked for, or where a class has but one row to train on.
    """
    fewest = int(np.bincount(data.targets[rows], minlength=data.classes).min())
    folds = min(settings.calibration_folds, fewest)
    if folds < 2:
        return None
    cheaper = replace(settings, copies=min(settings.copies, FOLD_COPIES))
    inner = data.part(rows)
    parts = split_folds(inner, folds, options.split_seed)
    found, fold = _predict_folds(inner, parts, cheaper, on_progress, "calibration")
    return _out_of_fold(rows, inner.targets, found, fold)


def judge_held(
    data: Labelled, split: Split, fitted: Fitted, temperature: float | None
) -> tuple[Scores, Calibration | None]:
    """The fitted model, not yet at its temperature, on the rows held out."""
    targets, measured_on = data.targets[split.held], f"{len(split.held)} held-out rows"
    found = fitted.probabilities(data.pixels[split.held])
    scores = _scores(data, targets, found, measured_on)
    if temperature is None:
        return scores, None
    return scores, Calibration(
        temperature,
        f"{len(split.train)} training rows, each by a network that had not seen it",
        measured_on,
        measure_reliability(found, targets),
        measure_reliability(at_temperature(found, temperature), targets),
    )


def cross_validate(
    data: Labelled, settings: Settings, options: TrainOptions, on_progress: OnProgress
) -> tuple[Scores, Calibration | None, OutOfFold | None]:
    """Every row predicted by a model that had not seen it; None where no calibration is asked for.

    The temperature is of all these predictions. The figures behind it are of each fold at the
    temperature of the others, so that no row has a part in what it is judged by.
    """
    parts = split_folds(data, options.folds, options.split_seed)
    found, fold = _predict_folds(data, parts, settings, on_progress, "fold")
    measured_on = (
        f"all {len(found)} rows, each predicted by one of {options.folds} models that had not "
        f"seen it ({options.folds}-fold cross-validation, random_state {options.split_seed}, "
        "stratified)"
    )
    scores = _scores(data, data.targets, found, measured_on)
    if not settings.calibration_folds:
        return scores, None, None
    seen = _out_of_fold(np.arange(len(found)), data.targets, found, fold)
    calibration = Calibration(
        seen.temperature,
        "the predictions of the folds; the figures take each fold at the temperature of the others",
        measured_on,
        measure_reliability(found, data.targets),
        measure_reliability(seen.probabilities, data.targets),
    )
    return scores, calibration, seen


def _out_of_fold(rows: Rows, targets: Rows, found: NDArray[np.float32], fold: Rows) -> OutOfFold:
    calibrated = at_other_folds_temperature(found, targets, fold)
    return OutOfFold(rows, targets, calibrated, fit_temperature(found, targets))


def at_other_folds_temperature(
    found: NDArray[np.float32], targets: Rows, fold: Rows
) -> NDArray[np.float64]:
    """The probabilities (n, k) of each fold at the temperature fitted on the other folds."""
    result = np.empty(found.shape)
    for one in np.unique(fold):
        temperature = fit_temperature(found[fold != one], targets[fold != one])
        result[fold == one] = at_temperature(found[fold == one], temperature)
    return result


def _predict_folds(
    data: Labelled,
    parts: Iterable[tuple[Rows, Rows]],
    settings: Settings,
    on_progress: OnProgress,
    word: str,
) -> tuple[NDArray[np.float32], Rows]:
    """Probabilities of each row by the model of the part that held it out, and which part."""
    found = np.zeros((len(data.targets), data.classes), np.float32)
    fold = np.zeros(len(data.targets), np.int64)
    listed = list(parts)
    for number, (train_rows, held) in enumerate(listed, start=1):
        prefix = f"{word} {number} of {len(listed)}, "
        fitted = fit_rows(data, train_rows, settings, on_progress, prefix)
        found[held] = fitted.probabilities(data.pixels[held])
        fold[held] = number
    return found, fold


def _scores(
    data: Labelled, targets: Rows, probabilities: NDArray[np.float32], measured_on: str
) -> Scores:
    predicted = probabilities.argmax(axis=1)
    labels = data.binarizer.classes_.tolist()
    return Scores(measured_on, ConfusionMatrix.of(labels, targets, predicted))
