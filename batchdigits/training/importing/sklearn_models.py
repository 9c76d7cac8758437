"""Classifiers of scikit-learn as scaler and network.

MLPClassifier and LogisticRegression compute what Dense layers compute: the same matrices, the same
activations. A Pipeline puts scalers in front of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from batchdigits.errors import BundleError, UnusableInputError
from batchdigits.training.importing.labels import Labels, as_labels, fitted
from batchdigits.training.importing.network import (
    Layer,
    Network,
    activation,
    as_floats,
    make_network,
)
from batchdigits.training.importing.pickled import Record
from batchdigits.training.importing.scalers import UNSCALED, Affine, pipeline_steps, read_scaler

_ACTIVATIONS = {"relu": "relu", "tanh": "tanh", "logistic": "sigmoid", "identity": "linear"}


@dataclass(frozen=True, slots=True)
class Classifier:
    """A classifier: what its scalers compute, its network, and the labels of its outputs."""

    scaler: Affine
    network: Network
    labels: Labels


def read_classifier(record: Record, name: str) -> Classifier:
    """Read a fitted MLPClassifier or LogisticRegression, alone or at the end of a Pipeline.

    `name` begins messages. Raises UnusableInputError for another estimator, BundleError for
    matrices that no fit gives.
    """
    scaler = UNSCALED
    if record.kind == "Pipeline":
        *scalers, record = pipeline_steps(record, name) or [record]
        for step in scalers:
            scaler = scaler.then(read_scaler(step, name))
    if record.kind not in _READERS:
        raise UnusableInputError(
            f"{name}: holds a {record.kind}, expected an MLPClassifier or a LogisticRegression, "
            "alone or at the end of a Pipeline of scalers"
        )
    layers = _READERS[record.kind](record, name)
    shape = (len(layers[0].weights[0]),)
    labels = as_labels(fitted(record, "classes_", name), name)
    return Classifier(scaler, make_network(name, shape, layers), labels)


def _mlp(record: Record, name: str) -> list[Layer]:
    coefs, biases = (fitted(record, attribute, name) for attribute in ("coefs_", "intercepts_"))
    if not isinstance(coefs, list) or not isinstance(biases, list) or len(coefs) != len(biases):
        raise BundleError(f"{name}: has coefs_ and intercepts_ that do not fit: damaged")
    binarizer = record.get("_label_binarizer")
    if isinstance(binarizer, Record) and "multilabel" in str(binarizer.get("y_type_")):
        raise UnusableInputError(
            f"{name}: the MLPClassifier was fitted on rows with several labels each (or one-hot "
            "rows); fit it on one label for each row"
        )
    hidden, last = record.get("activation"), record.get("out_activation_")
    if hidden not in _ACTIVATIONS or last not in ("softmax", "logistic"):
        raise UnusableInputError(
            f"{name}: the MLPClassifier has the activations {str(hidden)[:40]} and "
            f"{str(last)[:40]}, which import does not know"
        )
    layers: list[Layer] = []
    for coef, bias in zip(coefs, biases, strict=True):
        layers += [_dense(coef, bias, name), activation(_ACTIVATIONS[hidden])]
    layers[-1] = activation({"softmax": "softmax", "logistic": "sigmoid"}[last])
    return [layer for layer in layers if layer.options.get("activation") != "linear"]


def _logistic_regression(record: Record, name: str) -> list[Layer]:
    coef, bias = fitted(record, "coef_", name), fitted(record, "intercept_", name)
    coef, bias = np.asarray(coef), np.asarray(bias)
    if coef.dtype.kind != "f" or bias.dtype.kind != "f" or coef.ndim != 2:
        raise BundleError(f"{name}: has a coef_ or an intercept_ that is no matrix: damaged")
    way = record.get("multi_class", "auto")  # absent since scikit-learn 1.8: as "auto"
    one_for_each = way == "ovr" or (way != "multinomial" and record.get("solver") == "liblinear")
    if len(coef) == 1:
        # Multinomial with two classes: softmax(-z, z) is the sigmoid of 2 z.
        factor = 2 if way == "multinomial" else 1
        return [_dense(factor * coef.T, factor * bias, name), activation("sigmoid")]
    if one_for_each:
        raise UnusableInputError(
            f"{name}: the LogisticRegression is one-versus-rest, whose probabilities are no "
            "softmax; fit it with solver='lbfgs'"
        )
    return [_dense(coef.T, bias, name), activation("softmax")]


_READERS = {"MLPClassifier": _mlp, "LogisticRegression": _logistic_regression}


def _dense(coef: Any, bias: Any, name: str) -> Layer:
    kernel, offset = np.asarray(coef), np.asarray(bias)
    if kernel.ndim != 2 or kernel.dtype.kind != "f" or offset.dtype.kind != "f":
        raise BundleError(f"{name}: has weights that are no matrix of numbers: damaged")
    if offset.shape == (1,):
        offset = np.broadcast_to(offset, kernel.shape[1:])  # without an intercept it is one 0
    weights = tuple(map(as_floats, (kernel, offset)))
    return Layer("Dense", {"units": kernel.shape[1], "use_bias": True}, weights)
