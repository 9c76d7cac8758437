"""The contract of an engine, which turns pixels into probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias, cast

from batchdigits.rows.contract import Pixels

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Engine(Protocol):
    """Turns pixels into probabilities.

    `name` is "onnx" or "keras", `classes` is k. `probabilities(pixels)` takes uint8 or float32 of
    shape (n, 64), each value in 0..16 (not scaled: the scaler is inside), C-contiguous or, uint8
    only, Fortran-contiguous. It gives float32 of shape (n, k): the probabilities of each row.
    `most_probable(pixels)` gives what the function `most_probable` below gives for those
    probabilities, bit for bit. Both may be called from several threads at once. The result for a
    row does not depend on the rows around it.
    """

    name: str
    classes: int

    def probabilities(self, pixels: Pixels) -> NDArray[np.float32]: ...

    def most_probable(self, pixels: Pixels) -> MostProbable: ...


MostProbable: TypeAlias = "tuple[NDArray[np.int64], NDArray[np.float32]]"
"""The index of each row's most probable class, int64 (n,), the first of several; and its
probability, float32 (n,), NaN where the row's probabilities are not all finite."""


Measured: TypeAlias = "tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]"
"""`MostProbable`, and the distance of each row's pixels to the nearest usual row, float32 (n,)."""


class MeasuringEngine(Engine, Protocol):
    """An engine that can also measure how far a row is from the nearest usual row."""

    def measure(self, pixels: Pixels) -> Measured: ...


def as_measuring(engine: Engine) -> MeasuringEngine | None:
    """Return the engine if it can measure strangeness; an engine with `measures` true can."""
    return cast("MeasuringEngine", engine) if getattr(engine, "measures", False) else None


def most_probable(probabilities: NDArray[np.float32]) -> MostProbable:
    """Return the most probable class of each row of probabilities, float32 (n, k)."""
    import numpy as np  # usage errors need the engines' names, and must not wait for NumPy

    best = probabilities.argmax(axis=1)
    confidence = np.take_along_axis(probabilities, best[:, np.newaxis], axis=1)[:, 0]
    confidence[~np.isfinite(probabilities.sum(axis=1))] = np.nan
    return best, confidence
