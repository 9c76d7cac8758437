"""Networks judged by rows that they have not seen: the held-out rows, or folds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass

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
from batchdigits.training.workers import side_by_side

OnProgress = Callable[[str], None]
"""Called after every epoch and step with a few words on it."""

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class OutOfFold:
    """Predictions for training rows, each by a network that had not seen the row.

    rows           int64 (n,): their numbers among the rows of the data
    targets        int64 (n,): their class numbers
    probabilities  float64 (n, k): those of each fold at the temperature of the other folds
    temperature    of all folds, for the packed model
    """

    rows: Rows
    targets: Rows
    probabilities: NDArray[np.float64]
    temperature: float

    @property
    def is_right(self) -> NDArray[np.bool_]:
        """Return whether the most probable class is the true one, (n,)."""
        right: NDArray[np.bool_] = self.probabilities.argmax(axis=1) == self.targets
        return right


def fit_rows(
    data: Labelled, rows: Rows, settings: Settings, on_progress: OnProgress, prefix: str = ""
) -> Fitted:
    """Fit a network on some rows; `prefix` begins the words after each epoch."""

    def on_epoch(epoch: int, epochs: int, loss: float) -> None:
        on_progress(f"{prefix}epoch {epoch} of {epochs}, loss {loss:.4f}")

    return fit(data.pixels[rows], data.targets[rows], data.classes, settings, on_epoch)


def judge_training_rows(
    data: Labelled,
    rows: Rows,
    settings: Settings,
    options: TrainOptions,
    on_progress: OnProgress,
) -> OutOfFold | None:
    """Predict each training row by a network that saw some of the others.

    Returns None without calibration, or if a class has only one row to train on.
    """
    fewest = int(np.bincount(data.targets[rows], minlength=data.classes).min())
    folds = min(settings.calibration_folds, fewest)
    if folds < 2:
        return None
    cheaper = settings.changed(copies=min(settings.copies, FOLD_COPIES))
    inner = data.part(rows)
    parts = split_folds(inner, folds, options.split_seed)
    probabilities, fold = predict_folds(inner, parts, cheaper, on_progress, "calibration")
    return _out_of_fold(rows, inner.targets, probabilities, fold)


def judge_held(
    data: Labelled, split: Split, fitted: Fitted, temperature: float | None
) -> tuple[Scores, Calibration | None]:
    """Judge the fitted model, which is not yet at its temperature, by the rows held out."""
    targets, measured_on = data.targets[split.held], f"{len(split.held)} held-out rows"
    probabilities = fitted.probabilities(data.pixels[split.held])
    scores = _scores(data, targets, probabilities, measured_on)
    if temperature is None:
        return scores, None
    return scores, Calibration(
        temperature,
        f"{len(split.train)} training rows, each by a network that had not seen it",
        measured_on,
        measure_reliability(probabilities, targets),
        measure_reliability(at_temperature(probabilities, temperature), targets),
    )


def cross_validate(
    data: Labelled, settings: Settings, options: TrainOptions, on_progress: OnProgress
) -> tuple[Scores, Calibration | None, OutOfFold | None]:
    """Predict every row by a model that had not seen it.

    The temperature is fitted on all these predictions. The figures are of each fold at the
    temperature of the other folds, so that no row has a say in its own judgement. Calibration and
    folds are None without calibration.
    """
    parts = split_folds(data, options.folds, options.split_seed)
    probabilities, fold = predict_folds(data, parts, settings, on_progress, "fold")
    measured_on = (
        f"all {len(data.targets)} rows, each predicted by one of {options.folds} models that had "
        f"not seen it ({options.folds}-fold cross-validation, random_state {options.split_seed}, "
        "stratified)"
    )
    scores = _scores(data, data.targets, probabilities, measured_on)
    if not settings.calibration_folds:
        return scores, None, None
    seen = _out_of_fold(np.arange(len(probabilities)), data.targets, probabilities, fold)
    calibration = Calibration(
        seen.temperature,
        "the predictions of the folds; the figures take each fold at the temperature of the others",
        measured_on,
        measure_reliability(probabilities, data.targets),
        measure_reliability(seen.probabilities, data.targets),
    )
    return scores, calibration, seen


def _out_of_fold(
    rows: Rows, targets: Rows, probabilities: NDArray[np.float32], fold: Rows
) -> OutOfFold:
    calibrated = at_other_folds_temperature(probabilities, targets, fold)
    return OutOfFold(rows, targets, calibrated, fit_temperature(probabilities, targets))


def at_other_folds_temperature(
    probabilities: NDArray[np.float32], targets: Rows, fold: Rows
) -> NDArray[np.float64]:
    """The probabilities (n, k) of each fold at the temperature fitted on the other folds."""
    result = np.empty(probabilities.shape)
    for number in np.unique(fold):
        temperature = fit_temperature(probabilities[fold != number], targets[fold != number])
        result[fold == number] = at_temperature(probabilities[fold == number], temperature)
    return result


def predict_folds(
    data: Labelled,
    parts: Iterable[tuple[Rows, Rows]],
    settings: Settings,
    on_progress: OnProgress,
    word: str,
    *,
    on_fold: Callable[[Rows, NDArray[np.float32]], None] = lambda *_: None,
) -> tuple[NDArray[np.float32], Rows]:
    """The probabilities of each row by the model of the fold that held it out, and its fold.

    `on_fold` is called after each fold with its rows and their probabilities.
    """
    probabilities = np.zeros((len(data.targets), data.classes), np.float32)
    fold = np.zeros(len(data.targets), np.int64)
    splits = list(parts)

    def predict_held(number: int) -> NDArray[np.float32]:
        train_rows, held = splits[number]
        prefix = f"{word} {number + 1} of {len(splits)}, "
        fitted = fit_rows(data, train_rows, settings, on_progress, prefix)
        return fitted.probabilities(data.pixels[held])

    predictions = side_by_side(predict_held, range(len(splits)), settings)
    with closing(predictions):
        for number, predicted in enumerate(predictions):
            held = splits[number][1]
            probabilities[held], fold[held] = predicted, number + 1
            on_fold(held, predicted)
    return probabilities, fold


def _scores(
    data: Labelled, targets: Rows, probabilities: NDArray[np.float32], measured_on: str
) -> Scores:
    predicted = probabilities.argmax(axis=1)
    labels = data.binarizer.classes_.tolist()
    return Scores(measured_on, ConfusionMatrix.of(labels, targets, predicted))
