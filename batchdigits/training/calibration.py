"""Calibration: one temperature that makes confidence the share of rows that are right.

After label smoothing or overfitting, a network's confidence differs from that share. Dividing the
logits by one number, the temperature, mends this and changes no label: Guo, Pleiss, Sun and
Weinberger, "On calibration of modern neural networks", 2017. The temperature is fitted on rows that
the networks had not seen.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.evaluation.reliability import Bin, ConfidenceCounts
from batchdigits.training.fit import Fitted
from batchdigits.training.networks import build_network

LARGEST_TEMPERATURE = 20.0
"""A temperature is at most this, and at least its inverse."""

FOLD_COPIES = 20
"""The most copies of each row for networks that only serve to fit the temperature. So they take a
third of the time."""

_HALVINGS = 60
_LEAST = 1e-30

Probabilities = NDArray[np.float64] | NDArray[np.float32]
Targets = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Reliability:
    """Figures of how well confidence matches the share of rows that are right.

    calibration_error  expected calibration error, 0..1
    log_loss           mean of -ln(probability of the true class)
    bins               the bins with rows, ascending
    """

    calibration_error: float
    log_loss: float
    bins: tuple[Bin, ...]


@dataclass(frozen=True, slots=True)
class Calibration:
    """The effect of the temperature, on rows that neither network nor temperature had seen."""

    temperature: float
    fitted_on: str
    measured_on: str
    before: Reliability
    after: Reliability

    def as_facts(self) -> dict[str, Any]:
        """The figures as plain JSON values, for the manifest."""
        facts = asdict(self)
        for side in ("before", "after"):
            facts[side]["bins"] = list(facts[side]["bins"])
        return facts


def fit_temperature(probabilities: Probabilities, targets: Targets) -> float:
    """The temperature with the least log loss for probabilities (n, k) of class numbers (n,).

    The log loss is convex in the inverse of the temperature: bisection finds where its slope is
    zero. Targets are those of Platt, "Probabilistic outputs for support vector machines", 1999,
    (n + 1) / (n + 2) instead of 1: otherwise rows that are all right would give a temperature of
    zero.
    """
    logits = _logits(probabilities)
    rows, classes = logits.shape
    wanted = np.full((rows, classes), 1 / (rows + 2) / (classes - 1))
    wanted[np.arange(rows), targets] = (rows + 1) / (rows + 2)
    aim = float((wanted * logits).sum(axis=1).mean())
    low, high = -np.log(LARGEST_TEMPERATURE), np.log(LARGEST_TEMPERATURE)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        softmax = _softmax(np.exp(middle) * logits)
        if (softmax * logits).sum(axis=1).mean() < aim:
            low = middle
        else:
            high = middle
    return float(np.exp(-(low + high) / 2))


def at_temperature(probabilities: Probabilities, temperature: float) -> NDArray[np.float64]:
    """The probabilities (n, k) that the same logits give at `temperature`."""
    return _softmax(_logits(probabilities) / temperature)


def fold_in(fitted: Fitted, temperature: float) -> Fitted:
    """The same network with the weights and bias of its last layer divided by `temperature`.

    That divides the logits, so that no engine needs to know of it: Keras, ONNX and every export
    give calibrated probabilities.
    """
    settings = fitted.settings
    # Built anew: Keras saves a clone as other bytes.
    model = build_network(fitted.model.output_shape[1], settings)
    for copy, variable in zip(model.variables, fitted.model.variables, strict=True):
        copy.assign(variable)
    last = model.layers[-1]
    last.set_weights([weights / np.float32(temperature) for weights in last.get_weights()])
    return replace(fitted, model=model)


def measure_reliability(probabilities: Probabilities, targets: Targets) -> Reliability:
    """The reliability of probabilities (n, k) for rows of the classes `targets` (n,)."""
    confidence = probabilities.max(axis=1).astype(np.float64)
    is_right = probabilities.argmax(axis=1) == targets
    counts = ConfidenceCounts()
    counts.add(confidence, is_right)
    true = probabilities[np.arange(len(targets)), targets].astype(np.float64)
    log_loss = float(-np.log(np.maximum(true, _LEAST)).mean())
    return Reliability(counts.calibration_error or 0.0, log_loss, counts.bins())


def _logits(probabilities: Probabilities) -> NDArray[np.float64]:
    """Logits, except for a number in each row that softmax cancels."""
    logits: NDArray[np.float64] = np.log(np.maximum(probabilities.astype(np.float64), _LEAST))
    return logits


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    result: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return result
