"""Everything that a bundle is made of, before it has a name and a version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.archive.reference import Reference
from batchdigits.archive.thresholds import Thresholds
from batchdigits.evaluation.confusion import ConfusionMatrix
from batchdigits.packing.onnx.export import Agreement, ScaledModel

Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of a model on rows that it has not seen; `measured_on` says which, in words."""

    measured_on: str
    matrix: ConfusionMatrix

    @property
    def accuracy(self) -> float:
        """The share of the rows that were predicted right, 0..1."""
        return self.matrix.accuracy

    def as_facts(self) -> dict[str, Any]:
        """The scores as plain JSON values, for the manifest."""
        return {"measured_on": self.measured_on, **self.matrix.as_facts()}


@dataclass(frozen=True, slots=True)
class Contents:
    """The members of a bundle and the sections of its manifest.

    model      the Keras network and its scaler
    binarizer  the fitted LabelBinarizer; its `classes_` are the k classes
    onnx       the compiled graph; `agreement` is the proof that it equals `model`
    golden     float32 (m, 64): pixels of the golden rows, 0..16
    reference  the counts of the rows that the model was trained on
    scores     on rows that the model has not seen
    metrics    facts besides those of `scores` and `agreement`
    """

    model: ScaledModel
    binarizer: Any
    onnx: bytes
    agreement: Agreement
    golden: NDArray[np.float32]
    reference: Reference
    scores: Scores
    created: str
    command: str
    architecture: Facts
    data: Facts
    split: Facts
    metrics: Facts
    thresholds: Thresholds
    recipe: Facts
