"""The train job: labelled rows -> split -> fit -> evaluate -> prove -> pack -> publish."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from batchdigits.archive.bundle_file import read_bundle
from batchdigits.archive.manifest import is_bundle_name
from batchdigits.archive.reference import Unseen
from batchdigits.clock import utc_text
from batchdigits.errors import BundleError, OutputError, UnusableInputError, UsageError
from batchdigits.files.atomic import create_file, replace_file
from batchdigits.files.digest import digest_bytes
from batchdigits.store.choice import open_store
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
from batchdigits.training.evaluation import Evaluation
from batchdigits.training.fit import Fitted
from batchdigits.training.frameworks import prepare_frameworks
from batchdigits.training.onnx_export import Agreement, check_agreement, export_onnx
from batchdigits.training.onnx_strangeness import check_strangeness
from batchdigits.training.options import TrainOptions, command_line, settings_of
from batchdigits.training.pack import Trained, pack_bundle
from batchdigits.training.reference import measure_unseen
from batchdigits.training.review_threshold import (
    ReviewThreshold,
    find_review_threshold,
    parse_max_error,
)
from batchdigits.training.settings import Settings
from batchdigits.training.split import Split, split_rows
from batchdigits.training.strangeness import Usual, fit_usual
from batchdigits.training.sweep.result import SweepResult
from batchdigits.training.sweep.search import plan_sweep, run_sweep, winner_options


@dataclass(frozen=True, slots=True)
class TrainResult:
    """A published bundle.

    seconds      of the whole job; `fit_seconds` of fitting the packed model alone
    rows         labelled rows there were, `rows_trained` those that the packed model learnt from
    epochs       how many epochs it was trained
    calibration  what the temperature did; None where none was asked for
    review       from which confidence on rows are accepted; None where none was asked for
    seen_accuracy the accuracy on the rows that trained, which promises nothing
    sweep        the search that chose the settings; None where none was asked for
    """

    path: Path
    name: str
    version: int
    digest: str
    evaluation: Evaluation
    calibration: Calibration | None
    review: ReviewThreshold | None
    seen_accuracy: float
    agreement: Agreement
    rows: int
    rows_trained: int
    epochs: int
    fit_seconds: float
    seconds: float
    sweep: SweepResult | None


def train(options: TrainOptions, on_progress: OnProgress = lambda _: None) -> TrainResult:
    """Train a network as `options` say and publish it as a bundle.

    Nothing but a sweep's own files is written before the end, and then one whole bundle. Raises
    UsageError, NoInputError, UnusableInputError, MissingExtraError or OutputError for what is
    asked, given or in the way, TryAgainError for a sweep that another run is at, InternalError if
    the compiled graph is not equal to the trained model.
    """
    started = time.monotonic()
    settings = _check(options)
    plan = plan_sweep(options)
    on_progress("loading the frameworks")
    prepare_frameworks()
    data = _load(options)
    split = split_rows(data, options.test_share, options.split_seed)
    sweep = None
    if plan is not None:
        sweep = run_sweep(plan, data, split, options, on_progress)
        options = winner_options(options, sweep)
        settings = settings_of(options)
    trained = _train(data, split, settings, options, on_progress)
    trained = replace(trained, sweep=None if sweep is None else sweep.as_facts())
    on_progress("packing")
    path, version, digest = _publish(trained, options)
    return TrainResult(
        path=path,
        name=options.name,
        version=version,
        digest=digest,
        evaluation=trained.evaluation,
        calibration=trained.calibration,
        review=trained.review,
        seen_accuracy=trained.seen_accuracy,
        agreement=trained.agreement,
        rows=len(data.targets),
        rows_trained=len(split.train),
        epochs=trained.fitted.epochs,
        fit_seconds=trained.fitted.seconds,
        seconds=time.monotonic() - started,
        sweep=sweep,
    )


def _check(options: TrainOptions) -> Settings:
    """Refuse what can't work before any package is loaded; the settings to train with."""
    if not is_bundle_name(options.name):
        raise UsageError(f"--name {options.name!r}: use lower-case letters, digits, '.', '_', '-'")
    if options.output is not None:
        if options.store is not None:
            raise UsageError("--output writes one file, --store publishes: give one of them")
        _check_output(options.output, options.data, overwrite=options.overwrite)
    else:
        _check_store(open_store(options.store).folder)
    if not 0 <= options.split_seed < 2**32:
        raise UsageError(f"--split-seed is {options.split_seed}, expected 0 to 4294967295")
    options.rows.checked()
    settings = settings_of(options)
    if options.max_error is not None:
        parse_max_error(options.max_error)
        if not settings.calibration_folds:
            raise UsageError(
                f"--max-error {options.max_error}: needs confidence that is calibrated: add "
                "--calibration-folds 3"
            )
    return settings


def _check_output(output: str, data: str | None, *, overwrite: bool) -> None:
    """Refuse a file that can't be written, or that must not: nothing but a bundle is replaced."""
    path = Path(output)
    if not output.endswith(".bundle"):
        raise UsageError(f"--output {output}: expected a file name that ends in .bundle")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: there is no folder {path.parent}: create it first")
    if path.is_dir():
        raise OutputError(f"{path}: is a folder, expected the name of a bundle file")
    if (path.parent / ".highest").exists():
        raise UsageError(
            f"--output {output}: lies in a store, whose versions never change: publish with --store"
        )
    if not path.exists():
        return
    if data is not None and Path(data).exists() and path.samefile(data):
        raise UsageError(f"--output {output}: is the file to learn from: name another")
    if not overwrite:
        raise OutputError(
            f"{path}: exists, and a bundle never changes: name another, or give --overwrite"
        )
    try:
        read_bundle(path)
    except BundleError as error:
        raise OutputError(f"{path}: exists and is no sound bundle: move it away") from error


def _check_store(folder: Path) -> None:
    """Minutes of training must not end at a folder that can't be written."""
    existing = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise OutputError(f"{existing}: is no folder that can be written: give another --store")


def _load(options: TrainOptions) -> Labelled:
    if options.data is None:
        return load_tutorial_digits()
    return read_labelled(options.data, options.label, options.rows)


def _train(
    data: Labelled,
    split: Split,
    settings: Settings,
    options: TrainOptions,
    on_progress: OnProgress,
) -> Trained:
    created = utc_text()
    # Folds come first: only the last fit's random state is that of the packed model.
    if len(split.held):
        unseen = judge_training_rows(data, split.train, settings, options, on_progress)
        usual = fit_usual(data.pixels[split.train], settings.seed)
        review = _find_review_threshold(data, unseen, usual, options)
        fitted = fit_rows(data, split.train, settings, on_progress)
        temperature = None if unseen is None else unseen.temperature
        evaluation, calibration = judge_held(data, split, fitted, temperature)
    else:
        evaluation, calibration, unseen = cross_validate(data, settings, options, on_progress)
        usual = fit_usual(data.pixels, settings.seed)
        review = _find_review_threshold(data, unseen, usual, options)
        fitted = fit_rows(data, split.train, settings, on_progress)
    if calibration is not None:
        fold_in(fitted, calibration.temperature)
    on_progress("compiling to ONNX")
    model = export_onnx(fitted, usual.centres)
    judged = split.held if len(split.held) else split.train
    agreement = check_agreement(fitted, model, data.pixels[judged], settings.seed)
    check_strangeness(model, data.classes, usual, data.pixels[judged])
    return Trained(
        data=data,
        split=split,
        settings=settings,
        fitted=fitted,
        model=model,
        agreement=agreement,
        evaluation=evaluation,
        calibration=calibration,
        usual=usual,
        review=review,
        unseen=_measure_unseen(data, split, fitted, unseen),
        seen_accuracy=float(
            np.mean(_predict(fitted, data, split.train) == data.targets[split.train])
        ),
        command=command_line(options),
        created=options.created or created,
    )


def _measure_unseen(
    data: Labelled, split: Split, fitted: Fitted, folds: OutOfFold | None
) -> Unseen | None:
    """What the packed network makes of the held-out rows, or else the folds' of theirs."""
    if len(split.held):
        found = fitted.probabilities(data.pixels[split.held])
        return measure_unseen(found, data.targets[split.held])
    return None if folds is None else measure_unseen(folds.probabilities, folds.targets)


def _find_review_threshold(
    data: Labelled, unseen: OutOfFold | None, usual: Usual, options: TrainOptions
) -> ReviewThreshold | None:
    """The threshold that keeps --max-error; None where it is not asked for."""
    if options.max_error is None:
        return None
    if unseen is None:
        raise UnusableInputError(
            f"--max-error {options.max_error}: a class has but one row to train on, so none is "
            "left to judge by: add rows; nothing was published"
        )
    confidence = unseen.probabilities.max(axis=1)
    confidence[~usual.bounds_hold(data.pixels[unseen.rows])] = np.nan
    return find_review_threshold(confidence, unseen.is_right, parse_max_error(options.max_error))


def _predict(fitted: Fitted, data: Labelled, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    predicted: NDArray[np.int64] = fitted.probabilities(data.pixels[rows]).argmax(axis=1)
    return predicted


def _publish(trained: Trained, options: TrainOptions) -> tuple[Path, int, str]:
    """Path, version and digest of the written bundle."""
    if options.output is None:
        made: dict[int, bytes] = {}

        def build(version: int) -> bytes:
            made[version] = pack_bundle(trained, options.name, version)
            return made[version]

        path = open_store(options.store).publish(options.name, build)
        version, data = max(made.items())
        return path, version, digest_bytes(data)
    path, data = Path(options.output), pack_bundle(trained, options.name, 1)
    if options.overwrite:
        replace_file(path, data)
    else:
        _create(path, data)
    return path, 1, digest_bytes(data)


def _create(path: Path, data: bytes) -> None:
    try:
        create_file(path, data)
    except FileExistsError as error:
        raise OutputError(f"{path}: has appeared meanwhile: name another") from error
