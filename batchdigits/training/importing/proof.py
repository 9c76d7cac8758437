"""The proof of a rewritten model: labelled rows, the compiled graph, and the original agree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.engines.onnx.engine import OnnxEngine
from batchdigits.errors import InternalError, UnusableInputError
from batchdigits.packing.onnx.export import (
    LARGEST_ON_RANDOM,
    Agreement,
    ScaledModel,
    export_onnx,
    measure_agreement,
)
from batchdigits.packing.onnx.strangeness import check_strangeness
from batchdigits.training.calibration import Calibration, fit_temperature, measure_reliability
from batchdigits.training.cross_validation import at_other_folds_temperature
from batchdigits.training.data import Labelled
from batchdigits.training.importing.causes import better_order, likely_cause, order_cause
from batchdigits.training.importing.network import build_model, output_matrix, output_width
from batchdigits.training.importing.options import Terms
from batchdigits.training.importing.parts import Original, Parts
from batchdigits.training.importing.scalers import Affine
from batchdigits.training.strangeness import Usual, fit_usual

OnProgress = Callable[[str], None]

SEED = 0
CALIBRATION_FOLDS = 5


@dataclass(frozen=True, slots=True)
class Proven:
    """A model that its rows have proven, compiled.

    agreement       of the graph and the network that it was compiled from
    original_worst  the largest difference of a probability from the model in memory, before any
                    temperature; None where the model came as a file
    calibration     None unless it was asked for
    """

    model: ScaledModel
    onnx: bytes
    usual: Usual
    agreement: Agreement
    original_worst: float | None
    calibration: Calibration | None


def prove(parts: Parts, rows: Labelled, terms: Terms, on_progress: OnProgress) -> Proven:
    """Build the model, judge it by rows whose classes are its sorted labels, and compile it.

    Raises UnusableInputError unless the rows, the graph and the original agree.
    """
    on_progress("proving it on the labelled rows")
    matrix = matrix_of(parts, terms)
    scaler = parts.affine.standard_scaler()
    model = ScaledModel(build_model(parts.network, matrix), scaler)
    probabilities = model.probabilities(rows.pixels)
    _require_accuracy(parts, rows, model, probabilities, terms.least)
    on_progress("compiling to ONNX")
    usual = fit_usual(rows.pixels, SEED)
    onnx = _compile(parts, model, usual)
    agreement = _agree(model.probabilities, onnx, rows, "Keras")
    original_worst = None
    if parts.original is not None:
        original = _as_probabilities(parts.original, parts, matrix, logits=terms.logits)
        compared = _agree(original, onnx, rows, "the model given")
        original_worst = max(compared.data_worst, compared.random_worst)
    calibration = None
    if terms.calibrate:  # only now: what was proven is the model as it was given
        calibration = _calibrate(rows, probabilities)
        matrix = matrix / calibration.temperature
        model = ScaledModel(build_model(parts.network, matrix), scaler)
        onnx = _compile(parts, model, usual)
        agreement = _agree(model.probabilities, onnx, rows, "Keras")
    check_strangeness(onnx, rows.classes, usual.centres, rows.pixels)
    return Proven(model, onnx, usual, agreement, original_worst, calibration)


def matrix_of(parts: Parts, terms: Terms) -> NDArray[np.float64]:
    """The matrix from the network's last values to the logits of the classes, sorted.

    Raises UnusableInputError for another number of labels than the network has outputs.
    """
    matrix = output_matrix(parts.network, output_width(parts.network), logits=terms.logits)
    outputs = matrix.shape[1]
    if outputs != len(parts.labels):
        raise UnusableInputError(
            f"{parts.labels_from}: has {len(parts.labels)} labels, and {parts.network.name} gives "
            f"{outputs} probabilities; give the labels that it was trained with"
        )
    return matrix @ _into_order(parts)


def _into_order(parts: Parts) -> NDArray[np.float64]:
    """The permutation (k, k) that sorts the outputs by their labels."""
    _, places = np.unique(parts.labels, return_inverse=True)
    return np.eye(len(places))[places]


def _require_accuracy(
    parts: Parts,
    rows: Labelled,
    model: ScaledModel,
    probabilities: NDArray[np.float32],
    least: float,
) -> None:
    """Raise UnusableInputError, with the likely cause, unless the rows prove the model."""
    if not np.isfinite(probabilities).all():
        raise UnusableInputError(
            f"{parts.network.name}: gives probabilities that are not finite numbers for rows of "
            f"{rows.source}; check the scaler; nothing was published"
        )
    predicted = probabilities.argmax(axis=1)
    accuracy = float((predicted == rows.targets).mean())
    order = better_order(rows, predicted)
    found = f"{100 * accuracy:.4g} % of the {len(rows.targets)} rows of {rows.source} are right"
    if order is not None:
        fitting = float((order[predicted] == rows.targets).mean())
        if fitting >= least:
            raise UnusableInputError(
                f"{parts.network.name}: {found}; likely cause: {order_cause(rows, order, parts)} "
                f"({100 * fitting:.4g} % are right that way); nothing was published"
            )
    if accuracy >= least:
        return

    def predict(affine: Affine, pixels: NDArray[np.float64]) -> NDArray[np.int64]:
        behind = ScaledModel(model.model, affine.standard_scaler())
        places: NDArray[np.int64] = behind.probabilities(pixels).argmax(axis=1)
        return places

    raise UnusableInputError(
        f"{parts.network.name}: {found}, expected {100 * least:.4g} % or more (--min-accuracy); "
        f"{likely_cause(parts, rows, predict, least)}; nothing was published"
    )


def _compile(parts: Parts, model: ScaledModel, usual: Usual) -> bytes:
    try:
        return export_onnx(model, usual.centres)
    except InternalError as error:
        raise UnusableInputError(
            f"{parts.network.name}: can't be compiled to ONNX ({error}); nothing was published"
        ) from error


def _agree(
    original: Callable[[NDArray[Any]], NDArray[Any]], onnx: bytes, rows: Labelled, who: str
) -> Agreement:
    """The proof that the graph answers like the original; UnusableInputError if it does not."""
    engine = OnnxEngine(onnx, rows.classes)
    agreement = measure_agreement(original, engine, rows.pixels, SEED)
    worst = max(agreement.data_worst, agreement.random_worst)
    if not worst <= LARGEST_ON_RANDOM or agreement.labels_differ:
        raise UnusableInputError(
            f"the bundle would answer otherwise than {who}: by {worst:.3g} (allowed "
            f"{LARGEST_ON_RANDOM:g}), in {agreement.labels_differ} labels; the network may be so "
            "steep that rounding decides: train it behind a scaler; nothing was published"
        )
    return agreement


def _as_probabilities(
    original: Original, parts: Parts, matrix: NDArray[np.float64], *, logits: bool
) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """The original's answers as probabilities of the sorted classes."""

    def answer(pixels: NDArray[Any]) -> NDArray[Any]:
        given: NDArray[np.float64] = original(pixels).astype(np.float64)
        if logits:
            powers = np.exp(given @ matrix - (given @ matrix).max(axis=1, keepdims=True))
            return np.asarray(powers / powers.sum(axis=1, keepdims=True))
        if given.shape[1] == 1:
            given = np.hstack([1 - given, given])
        return given @ _into_order(parts)

    return answer


def _calibrate(rows: Labelled, probabilities: NDArray[np.float32]) -> Calibration:
    """The temperature of the rows, and its figures."""
    fold = np.random.default_rng(SEED).permutation(len(rows.targets)) % CALIBRATION_FOLDS
    others = at_other_folds_temperature(probabilities, rows.targets, fold)
    return Calibration(
        fit_temperature(probabilities, rows.targets),
        f"the {len(rows.targets)} labelled rows; the figures take each of {CALIBRATION_FOLDS} "
        "parts at the temperature of the others",
        "the same rows",
        measure_reliability(probabilities, rows.targets),
        measure_reliability(others, rows.targets),
    )
