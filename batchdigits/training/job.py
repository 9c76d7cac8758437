"""The train job: labelled rows -> split -> fit -> judge -> compile -> pack -> publish."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from batchdigits.archive.bundle_file import read_bundle
from batchdigits.archive.reference import Reference, Unseen
from batchdigits.archive.thresholds import Thresholds
from batchdigits.clock import utc_text
from batchdigits.engines.onnx.engine import OnnxEngine
from batchdigits.errors import BundleError, OutputError, UnusableInputError, UsageError
from batchdigits.files.atomic import check_output, write_output
from batchdigits.files.digest import digest_bytes
from batchdigits.packing.contents import Contents
from batchdigits.packing.frameworks import prepare_frameworks, require_training
from batchdigits.packing.golden_rows import choose_golden
from batchdigits.packing.onnx.export import check_agreement, export_onnx
from batchdigits.packing.onnx.strangeness import check_strangeness
from batchdigits.packing.pack import pack_bundle
from batchdigits.packing.publish import check_store, publish_bundle
from batchdigits.training.calibration import fold_in
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
from batchdigits.training.review_threshold import ReviewThreshold, find_review_threshold
from batchdigits.training.split import Split, split_rows
from batchdigits.training.strangeness import Usual, fit_usual
from batchdigits.training.sweep.result import SweepResult
from batchdigits.training.sweep.search import plan_sweep, run_sweep, winner_options

_FIX = "name another file, or replace the bundle with --overwrite"


@dataclass(frozen=True, slots=True)
class TrainResult:
    """A published bundle.

    contents     all that it holds
    sweep        the search that chose its settings; None unless --sweep asks for one
    fit_seconds  of the network's last fit; `seconds` are those of the whole job
    """

    path: Path
    name: str
    version: int
    digest: str
    contents: Contents
    sweep: SweepResult | None
    fit_seconds: float
    seconds: float


def train(options: TrainOptions, on_progress: OnProgress = lambda _: None) -> TrainResult:
    """Train a network as `options` say and publish it as a bundle.

    Only a sweep writes files before the end; then the bundle is written as a whole. Raises
    UsageError, NoInputError, UnusableInputError, MissingExtraError or OutputError for a wrong
    option, data or destination, TryAgainError if another run has the study of the sweep open, and
    InternalError if the compiled graph is not equal to the trained model.
    """
    started = time.monotonic()
    _check_destination(options.checked())
    plan = plan_sweep(options)
    require_training()
    data = _load(options)  # before seconds of imports: the file may be missing
    if (shapes := options.make_settings().shapes) and not data.are_digits:
        raise UsageError(f"--shapes {shapes}: needs the labels 0 to 9, all ten; leave it out")
    on_progress("loading the frameworks")
    prepare_frameworks()
    split = split_rows(data, options.test_share, options.split_seed)
    sweep = None
    if plan is not None:
        sweep = run_sweep(plan, data, split, options, on_progress)
        options = winner_options(options, sweep)
    options = replace(options, created=options.created or utc_text())
    contents, fit_seconds = _train(data, split, options, sweep, on_progress)
    on_progress("packing")
    path, version, digest = _publish(contents, options)
    seconds = time.monotonic() - started
    return TrainResult(path, options.name, version, digest, contents, sweep, fit_seconds, seconds)


def _load(options: TrainOptions) -> Labelled:
    if options.data is None:
        return load_tutorial_digits()
    return read_labelled(options.data, options.label, options.rows)


def _train(
    data: Labelled,
    split: Split,
    options: TrainOptions,
    sweep: SweepResult | None,
    on_progress: OnProgress,
) -> tuple[Contents, float]:
    """Fit, judge and compile a network; return the bundle's contents and the seconds of the fit."""
    settings = options.make_settings()
    pixels, targets = data.pixels[split.train], data.targets[split.train]
    # Folds come first: only the last fit's random state is that of the packed model.
    if len(split.held):
        folds = judge_training_rows(data, split.train, settings, options, on_progress)
    else:
        scores, calibration, folds = cross_validate(data, settings, options, on_progress)
    usual = fit_usual(pixels, settings.seed)
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
    unseen = _measure_unseen(data, split, fitted, folds)
    seen_accuracy = float(np.mean(fitted.probabilities(pixels).argmax(axis=1) == targets))
    contents = Contents(
        model=fitted,
        binarizer=data.binarizer,
        onnx=onnx,
        agreement=agreement,
        golden=_golden_pixels(data, split.judged, onnx),
        reference=Reference.measure(pixels, targets, data.classes, unseen),
        scores=scores,
        created=str(options.created),
        command=command_line(options),
        architecture=settings.architecture(),
        data=data.as_facts(),
        split=split.facts,
        metrics={
            "seen_in_training": {"accuracy": seen_accuracy, "rows": len(targets)},
            **({} if calibration is None else {"calibration": calibration.as_facts()}),
            **({} if sweep is None else {"sweep": sweep.as_facts()}),
        },
        thresholds=Thresholds.parse(
            {**({} if review is None else asdict(review)), **usual.as_facts()}
        ),
        recipe=fitted.recipe(),
    )
    return contents, fitted.seconds


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


def _golden_pixels(data: Labelled, rows: NDArray[np.int64], onnx: bytes) -> NDArray[np.float32]:
    """The pixels of golden rows, chosen from `rows`, which judged the model."""
    probabilities = OnnxEngine(onnx, data.classes).probabilities(
        data.pixels[rows].astype(np.float32)
    )
    chosen = choose_golden(data.targets[rows], probabilities, rows)
    return data.pixels[chosen].astype(np.float32)


def _check_destination(options: TrainOptions) -> None:
    """Refuse a destination that can't be written, or must not be, before minutes of training."""
    if options.output is None:
        check_store(options.store)
        return
    if (Path(options.output).parent / ".highest").exists():
        raise UsageError(
            f"--output {options.output}: is in a store, whose versions never change; publish with "
            "--store"
        )
    path = check_output(options.output, overwrite=options.overwrite, suffix=".bundle", fix=_FIX)
    if path.exists():
        _check_replaceable(path, options.data or ())


def _check_replaceable(path: Path, data: Sequence[str]) -> None:
    """Refuse to replace anything but a bundle."""
    if any(Path(name).exists() and path.samefile(name) for name in data):
        raise UsageError(f"--output {path}: is the file to learn from; name another")
    try:
        read_bundle(path)
    except BundleError as error:
        raise OutputError(f"{path}: exists and is not a sound bundle; move it away") from error


def _publish(contents: Contents, options: TrainOptions) -> tuple[Path, int, str]:
    """Write the bundle; return its path, version and digest."""
    if options.output is not None:
        path, data = Path(options.output), pack_bundle(contents, options.name, 1)
        write_output(path, data, overwrite=options.overwrite, fix=_FIX)
        return path, 1, digest_bytes(data)
    return publish_bundle(contents, options.name, options.store)
