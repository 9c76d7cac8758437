"""What turns pixels into probabilities: the contract, and the two who keep it."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from batchdigits.archive.bundle import BundleFile
from batchdigits.errors import BundleError, UsageError

ENGINES = ("onnx", "keras")
DEFAULT_ENGINE = "onnx"

Pixels = NDArray[np.uint8] | NDArray[np.float32]


class Engine(Protocol):
    """Turns pixels into probabilities.

    `name` is "onnx" or "keras", `classes` is k. `probabilities(pixels)` takes uint8 or float32 of
    shape (n, 64), C-contiguous, each value in 0..16 (not scaled: the scaler is inside), and gives
    float32 of shape (n, k), a row of probabilities a row of pixels. It may be called from several
    threads at once, and a row's result does not depend on the rows around it.
    """

    name: str
    classes: int

    def probabilities(self, pixels: Pixels) -> NDArray[np.float32]: ...


def open_engine(bundle: BundleFile, name: str = DEFAULT_ENGINE) -> Engine:
    """The engine of that name for a checked bundle; its golden rows are not replayed here.

    Raises UsageError for an unknown name, BundleError for a model that can't be used,
    MissingExtraError where the keras engine's packages are not installed.
    """
    if name not in ENGINES:
        raise UsageError(f"engine {name!r} is unknown, known are {' and '.join(ENGINES)}")
    try:
        return _open(bundle, name)
    except BundleError as error:
        raise BundleError(f"{bundle.path}: {error}") from error


def _open(bundle: BundleFile, name: str) -> Engine:
    # Each engine imports a framework that the other one's user need not have.
    if name == "keras":
        from batchdigits.engines.keras import KerasEngine

        return KerasEngine(bundle.members, bundle.manifest.classes, bundle.manifest.libraries)
    from batchdigits.engines.onnx import OnnxEngine

    return OnnxEngine(bundle.members["model.onnx"], len(bundle.manifest.classes))
