"""The train job: labelled rows -> split -> fit -> judge -> compile -> pack -> publish."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from batchdigits.archive.reference import Reference, Unseen
from batchdigits.archive.thresholds import Thresholds
from batchdigits.clock import utc_text
from batchdigits.engines.onnx.engine import OnnxEngine
from batchdigits.errors import UnusableInputError
from batchdigits.packing.contents import Contents, Scores
from batchdigits.packing.frameworks import prepare_frameworks
from batchdigits.packing.golden_rows import choose_golden
from batchdigits.packing.onnx_export import Agreement, check_agreement, export_onnx
from batchdigits.packing.onnx_strangeness import check_strangeness
from batchdigits.training.calibration import Calibration, fold_in
from batchdigits.training.cross_validation import (
    OnProgress,
    OutOfFold,
    cross_validate,
    fit_rows,
    judge_held,
    judge_training_rows,
)
from batchdigits.training.data import Labelled, load_tutorial_digits, read_labelled
from batchdigits.training.fit import Fitted
from batchdigits.training.options import TrainOptions, command_line, parse_max_error
from batchdigits.training.publish import check_destination, publish
from batchdigits.training.review_threshold import ReviewThreshold, find_review_threshold
from batchdigits.training.split import Split, split_rows
from batchdigits.training.strangeness import Usual, fit_usual
from batchdigits.training.sweep.result import SweepResult
from batchdigits.training.sweep.search import plan_sweep, run_sweep, winner_options


@dataclass(frozen=True, slots=True)
class Trained:
    """A network that was fitted, judged and compiled.

    scores         on rows that the judged network had not seen
    calibration    the effect of the temperature; None without one
    usual          the look of the digits that it learned from
    review         the confidence from which rows are accepted; None without --max-error
    unseen         the predictions for rows that it was not fitted on; None without such rows
    seen_accuracy  on the rows that it was trained on, which promises nothing
    onnx           the compiled graph; `agreement` is the proof that it equals `fitted`
    """

    data: Labelled
    split: Split
    fitted: Fitted
    scores: Scores
    calibration: Calibration | None
    usual: Usual
    review: ReviewThreshold | None
    unseen: Unseen | None
    seen_accuracy: float
    onnx: bytes
    agreement: Agreement


@dataclass(frozen=True, slots=True)
class TrainResult:
    """A published bundle.

    trained  the model in it
    sweep    the search that chose its settings; None unless --sweep asks for one
    seconds  of the whole job
    """

    path: Path
    name: str
    version: int
    digest: str
    trained: Trained
    sweep: SweepResult | None
    seconds: float


def train(options: TrainOptions, on_progress: OnProgress = lambda _: None) -> TrainResult:
    """Train a network as `options` say and publish it as a bundle.

    Only a sweep writes files before the end; then the bundle is written as a whole. Raises
    UsageError, NoInputError, UnusableInputError, MissingExtraError or OutputError for a wrong
    option, data or destination, TryAgainError if another run has the study of the sweep open, and
    InternalError if the compiled graph is not equal to the trained model.
    """
    started = time.monotonic()
    check_destination(options.checked())
    plan = plan_sweep(options)
    on_progress("loading the frameworks")
    prepare_frameworks()
    data = _load(options)
    split = split_rows(data, options.test_share, options.split_seed)
    sweep = None
    if plan is not None:
        sweep = run_sweep(plan, data, split, options, on_progress)
        options = winner_options(options, sweep)
    created = options.created or utc_text()
    trained = _train(data, split, options, on_progress)
    on_progress("packing")
    contents = _contents(trained, created, command_line(options), sweep)
    path, version, digest = publish(contents, options)
    seconds = time.monotonic() - started
    return TrainResult(path, options.name, version, digest, trained, sweep, seconds)


def _load(options: TrainOptions) -> Labelled:
    if options.data is None:
        return load_tutorial_digits()
    return read_labelled(options.data, options.label, options.rows)


def _train(data: Labelled, split: Split, options: TrainOptions, on_progress: OnProgress) -> Trained:
    settings = options.make_settings()
    # Folds come first: only the last fit's random state is that of the packed model.
    if len(split.held):
        folds = judge_training_rows(data, split.train, settings, options, on_progress)
    else:
        scores, calibration, folds = cross_validate(data, settings, options, on_progress)
    usual = fit_usual(data.pixels[split.train], settings.seed)
    review = _find_review_threshold(data, folds, usual, options)
    fitted = fit_rows(data, split.train, settings, on_progress)
    if len(split.held):
        temperature = None if folds is None else folds.temperature
        scores, calibration = judge_held(data, split, fitted, temperature)
    if calibration is not None:
        fitted = fold_in(fitted, calibration.temperature)
    on_progress("compiling to ONNX")
    onnx = export_onnx(fitted, usual.centres)
    judged = data.pixels[split.judged]
    agreement = check_agreement(fitted, onnx, judged, settings.seed)
    check_strangeness(onnx, data.classes, usual.centres, judged)
    return Trained(
        data=data,
        split=split,
        fitted=fitted,
        scores=scores,
        calibration=calibration,
        usual=usual,
        review=review,
        unseen=_measure_unseen(data, split, fitted, folds),
        seen_accuracy=_seen_accuracy(data, split, fitted),
        onnx=onnx,
        agreement=agreement,
    )


def _find_review_threshold(
    data: Labelled, folds: OutOfFold | None, usual: Usual, options: TrainOptions
) -> ReviewThreshold | None:
    """The threshold that keeps --max-error; None without it."""
    if options.max_error is None:
        return None
    if folds is None:
        raise UnusableInputError(
            f"--max-error {options.max_error}: a class has only one row to train on, so no row is "
            "left to judge by; add rows; nothing was published"
        )
    confidence = folds.probabilities.max(axis=1)
    confidence[~usual.bounds_hold(data.pixels[folds.rows])] = np.nan
    return find_review_threshold(confidence, folds.is_right, parse_max_error(options.max_error))


def _measure_unseen(
    data: Labelled, split: Split, fitted: Fitted, folds: OutOfFold | None
) -> Unseen | None:
    """The packed network's predictions for the held-out rows, or else those of the folds."""
    if len(split.held):
        probabilities = fitted.probabilities(data.pixels[split.held])
        return Unseen.measure(probabilities, data.targets[split.held])
    return None if folds is None else Unseen.measure(folds.probabilities, folds.targets)


def _seen_accuracy(data: Labelled, split: Split, fitted: Fitted) -> float:
    predicted = fitted.probabilities(data.pixels[split.train]).argmax(axis=1)
    return float(np.mean(predicted == data.targets[split.train]))


def _contents(trained: Trained, created: str, command: str, sweep: SweepResult | None) -> Contents:
    """The members and the facts of the bundle."""
    data, split, settings = trained.data, trained.split, trained.fitted.settings
    pixels, targets = data.pixels[split.train], data.targets[split.train]
    seen = {"accuracy": trained.seen_accuracy, "rows": len(split.train)}
    calibration = trained.calibration
    return Contents(
        model=trained.fitted,
        binarizer=data.binarizer,
        onnx=trained.onnx,
        agreement=trained.agreement,
        golden=_golden_pixels(trained),
        reference=Reference.measure(pixels, targets, data.classes, trained.unseen),
        scores=trained.scores,
        created=created,
        command=command,
        architecture={
            "name": settings.arch,
            "hyperparameters": {
                "layers": settings.layers,
                "units": settings.units,
                "dropout": settings.dropout,
            },
        },
        data={
            "description": data.description,
            "digest": data.digest,
            "rows": len(data.targets),
            "source": data.source,
        },
        split=split.facts,
        metrics={
            "seen_in_training": seen,
            **({} if calibration is None else {"calibration": calibration.as_facts()}),
            **({} if sweep is None else {"sweep": sweep.as_facts()}),
        },
        thresholds=Thresholds.parse(
            {
                **({} if trained.review is None else trained.review.as_facts()),
                **trained.usual.as_facts(),
            }
        ),
        recipe={
            **settings.as_facts(),
            "epochs_run": trained.fitted.epochs,
            "copies_made": trained.fitted.copies,
        },
    )


def _golden_pixels(trained: Trained) -> NDArray[np.float32]:
    """The pixels of golden rows, chosen from the rows that judged the model."""
    data, rows = trained.data, trained.split.judged
    engine = OnnxEngine(trained.onnx, data.classes)
    probabilities = engine.probabilities(data.pixels[rows].astype(np.float32))
    chosen = choose_golden(data.targets[rows], probabilities, rows)
    return data.pixels[chosen].astype(np.float32)
