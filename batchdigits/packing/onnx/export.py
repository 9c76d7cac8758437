"""Scaler and network, compiled to one ONNX graph, and the proof that both paths agree."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.engines.onnx.engine import OnnxEngine
from batchdigits.errors import InternalError
from batchdigits.images import PIXELS
from batchdigits.packing.onnx.in_bands import divide_into_bands
from batchdigits.packing.onnx.in_columns import turn_into_columns
from batchdigits.packing.onnx.strangeness import add_strangeness
from batchdigits.packing.onnx.tidy import tidy

LARGEST_ON_DATA = 1e-5
LARGEST_ON_RANDOM = 1e-4
DECIDED = 1e-4
"""If the two best classes are nearer than this, either label is right."""

RANDOM_ROWS = 1000
BLOCK_ROWS = 1024


@dataclass(frozen=True, slots=True)
class ScaledModel:
    """A Keras network and the scaler in front of it: the reference that the graph must equal.

    model   takes standardized pixels (n, 64) and gives probabilities (n, k)
    scaler  the fitted StandardScaler
    """

    model: Any
    scaler: Any

    def probabilities(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Probabilities, float32 (n, k), for pixels (n, 64) in 0..16."""
        scaled = self.scaler.transform(pixels.astype(np.float64)).astype(np.float32)
        # Not `predict`, which traces a function of TensorFlow first: 0.1 s for each network.
        blocks = range(0, len(scaled), BLOCK_ROWS)
        return np.concatenate([self.model(scaled[at : at + BLOCK_ROWS]).numpy() for at in blocks])


@dataclass(frozen=True, slots=True)
class Agreement:
    """The largest differences of a probability between the ONNX graph and scaler and Keras.

    `labels_differ` counts rows with another label although their two best classes are further
    apart than `DECIDED`.
    """

    data_rows: int
    data_worst: float
    random_rows: int
    random_worst: float
    labels_differ: int

    @property
    def holds(self) -> bool:
        """Return whether the graph may be packed; a NaN does not hold."""
        return (
            self.data_worst <= LARGEST_ON_DATA
            and self.random_worst <= LARGEST_ON_RANDOM
            and self.labels_differ == 0
        )


def export_onnx(reference: ScaledModel, centres: NDArray[np.float32] | None = None) -> bytes:
    """Compile scaler and network: `pixels` float32 (N, 64) to `probabilities` float32 (N, k).

    With `centres`, float32 (c, 64), the graph also gives `strangeness`, the distance to the nearest
    centre. Dense layers with many zeros are computed in bands. The same model gives the same bytes.
    Raises InternalError if the exported graph is invalid.
    """
    import keras
    import onnx

    scale = reference.scaler.scale_
    pixels = keras.Input((PIXELS,), name="pixels")
    # Not Normalization: the constants of its graph are required inputs.
    rescaling = keras.layers.Rescaling(scale=1 / scale, offset=-reference.scaler.mean_ / scale)
    whole = keras.Model(pixels, reference.model(rescaling(pixels)))
    # Only a first call builds what export traces.
    whole(np.zeros((1, PIXELS), np.float32))
    with tempfile.TemporaryDirectory(prefix="batchdigits-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder, "model.onnx")
        whole.export(path, format="onnx", verbose=False)
        exported = onnx.load(path)
    model = tidy(exported)
    if not turn_into_columns(model):
        divide_into_bands(model)
    if centres is not None:
        add_strangeness(model, centres)
    try:
        onnx.checker.check_model(model, full_check=True)
    except onnx.checker.ValidationError as error:
        raise InternalError(f"the exported ONNX graph is invalid: {error}") from error
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def check_agreement(
    reference: ScaledModel, onnx: bytes, pixels: NDArray[Any], seed: int
) -> Agreement:
    """Compare the graph `onnx` with the reference on `pixels` and on a thousand random rows.

    Raises InternalError with the figures unless they agree within 1e-5 on `pixels`, within 1e-4 on
    random rows, and on the label of every row whose two best classes are 1e-4 apart.
    """
    engine = OnnxEngine(onnx, reference.model.output_shape[1])
    agreement = measure_agreement(reference.probabilities, engine, pixels, seed)
    if not agreement.holds:
        raise InternalError(
            f"the ONNX graph differs from scaler and Keras by {agreement.data_worst:.3g} on "
            f"{len(pixels)} rows (allowed {LARGEST_ON_DATA:g}) and {agreement.random_worst:.3g} on "
            f"{RANDOM_ROWS} random rows (allowed {LARGEST_ON_RANDOM:g}), in "
            f"{agreement.labels_differ} labels; nothing was packed; report this with the command"
        )
    return agreement


def measure_agreement(
    original: Callable[[NDArray[Any]], NDArray[Any]],
    engine: OnnxEngine,
    pixels: NDArray[Any],
    seed: int,
) -> Agreement:
    """Compare an engine with the original's probabilities, on `pixels` and on random rows.

    original  gives probabilities (n, k) for pixels (n, 64) in 0..16
    """
    data_worst, data_labels = _compare(original, engine, pixels)
    random_worst, random_labels = _compare(original, engine, _random_rows(seed))
    return Agreement(
        len(pixels), data_worst, RANDOM_ROWS, random_worst, data_labels + random_labels
    )


def _compare(
    original: Callable[[NDArray[Any]], NDArray[Any]], engine: OnnxEngine, pixels: NDArray[Any]
) -> tuple[float, int]:
    """The largest difference, and the number of labels that differ beyond `DECIDED`."""
    expected = original(pixels)
    actual = engine.probabilities(pixels.astype(np.float32))
    second, best = np.sort(expected, axis=1)[:, -2:].T
    differs = actual.argmax(axis=1) != expected.argmax(axis=1)
    return float(np.abs(actual - expected).max()), int((differs & (best - second > DECIDED)).sum())


def _random_rows(seed: int) -> NDArray[np.float64]:
    """Uniform pixels: half of the rows whole numbers, half any float32 in 0..16."""
    generator = np.random.default_rng(seed)
    half = RANDOM_ROWS // 2
    whole = generator.integers(0, 17, (half, PIXELS)).astype(np.float64)
    some = generator.uniform(0, 16, (RANDOM_ROWS - half, PIXELS)).astype(np.float32)
    return np.concatenate([whole, some.astype(np.float64)])
