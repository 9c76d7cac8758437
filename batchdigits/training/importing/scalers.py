"""Scalers of scikit-learn as what they compute: (pixels - mean) / scale, pixel by pixel.

| scaler | computes | mean | scale |
|---|---|---|---|
| StandardScaler | (x - mean_) / scale_ | mean_, or 0 | scale_, or 1 |
| MinMaxScaler | x scale_ + min_ | -min_ / scale_ | 1 / scale_ |
| MaxAbsScaler | x / scale_ | 0 | scale_ |
| RobustScaler | (x - center_) / scale_ | center_, or 0 | scale_, or 1 |
| a number | x / number | 0 | number |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.errors import BundleError, UnusableInputError
from batchdigits.images import PIXELS
from batchdigits.training.importing.pickled import Record

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Affine:
    """(x - mean) / scale; mean and scale are float64 (64,), the scale nowhere 0."""

    mean: Floats
    scale: Floats

    def then(self, other: Affine) -> Affine:
        """Return this and then the other, as one."""
        return Affine(self.mean + self.scale * other.mean, self.scale * other.scale)

    def standard_scaler(self) -> Any:
        """Return the fitted StandardScaler that computes it."""
        from sklearn.preprocessing import StandardScaler

        scaler = StandardScaler()
        scaler.mean_, scaler.scale_, scaler.var_ = self.mean, self.scale, self.scale**2
        scaler.n_features_in_ = PIXELS
        return scaler


def dividing_by(number: float) -> Affine:
    """Return the scaler that divides each pixel by a number."""
    return Affine(np.zeros(PIXELS), np.full(PIXELS, float(number)))


UNSCALED = dividing_by(1)


def read_scaler(record: Record, name: str) -> Affine:
    """Return what a fitted scaler, or a Pipeline of scalers, computes; `name` begins messages.

    Raises UnusableInputError for what is not affine, not a scaler, or not for 64 pixels, and
    BundleError for values that no fit gives.
    """
    if record.kind == "Pipeline":
        affine = UNSCALED
        for step in pipeline_steps(record, name):
            affine = affine.then(read_scaler(step, name))
        return affine
    if record.kind not in _READERS:
        raise UnusableInputError(
            f"{name}: holds a {record.kind}, expected a StandardScaler, MinMaxScaler, MaxAbsScaler "
            "or RobustScaler"
        )
    if record.get("clip"):
        raise UnusableInputError(
            f"{name}: {record.kind}(clip=True) is not one scale and one shift for each pixel; fit "
            "it with clip=False, and train again"
        )
    mean, scale = _READERS[record.kind](record, name)
    if not (np.isfinite(mean).all() and np.isfinite(scale).all() and scale.all()):
        raise BundleError(f"{name}: {record.kind} has a value that is 0 or not finite: damaged")
    return Affine(mean, scale)


def pipeline_steps(record: Record, name: str) -> list[Record]:
    """Return the steps of a Pipeline, those left out that do nothing."""
    steps = record.get("steps")
    if not isinstance(steps, list) or not all(
        isinstance(step, tuple | list) and len(step) == 2 for step in steps
    ):
        raise BundleError(f"{name}: is a Pipeline without steps: damaged")
    found = [step for _, step in steps if step is not None and step != "passthrough"]
    if not all(isinstance(step, Record) and isinstance(step.state, dict) for step in found):
        raise BundleError(f"{name}: is a Pipeline of other things than estimators: refused")
    return found


def _standard(record: Record, name: str) -> tuple[Floats, Floats]:
    mean = _vector(record, "mean_", name) if record.get("with_mean", True) else UNSCALED.mean
    scale = _vector(record, "scale_", name) if record.get("with_std", True) else UNSCALED.scale
    return mean, scale


def _min_max(record: Record, name: str) -> tuple[Floats, Floats]:
    factor, shift = _vector(record, "scale_", name), _vector(record, "min_", name)
    with np.errstate(all="ignore"):  # the caller refuses what is not finite
        return -shift / factor, 1 / factor


def _max_abs(record: Record, name: str) -> tuple[Floats, Floats]:
    return UNSCALED.mean, _vector(record, "scale_", name)


def _robust(record: Record, name: str) -> tuple[Floats, Floats]:
    centred, scaled = record.get("with_centering", True), record.get("with_scaling", True)
    mean = _vector(record, "center_", name) if centred else UNSCALED.mean
    return mean, _vector(record, "scale_", name) if scaled else UNSCALED.scale


_READERS = {
    "StandardScaler": _standard,
    "MinMaxScaler": _min_max,
    "MaxAbsScaler": _max_abs,
    "RobustScaler": _robust,
}


def _vector(record: Record, attribute: str, name: str) -> Floats:
    value = record.get(attribute)
    if value is None:
        raise UnusableInputError(f"{name}: the {record.kind} is not fitted; save it after its fit")
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu" or value.ndim != 1:
        raise BundleError(f"{name}: {attribute} of {record.kind} is not a list of numbers: damaged")
    if len(value) != PIXELS:
        raise UnusableInputError(
            f"{name}: the {record.kind} was fitted on {len(value)} columns, expected the {PIXELS} "
            "pixels alone"
        )
    return value.astype(np.float64)
