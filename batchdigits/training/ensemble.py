"""The weights of several mlps, filled into the one network that `networks.build_best` makes.

The last layer reads the hidden units of all members. It gives the mean of the members' logits if it
is each member's own last layer, divided by their number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Weights = list[NDArray[Any]]


def fill_in(model: Any, scaler: Any, members: Sequence[tuple[Any, Weights]]) -> None:
    """Set the weights of `model`, whose inputs `scaler` standardizes.

    Each member is a scaler, and the kernels and biases of one hidden layer and the last layer.
    """
    hidden = [_for_scaler(weights, own, scaler) for own, weights in members]
    model.set_weights(
        [
            np.concatenate([kernel for kernel, _ in hidden], axis=1),
            np.concatenate([bias for _, bias in hidden]),
            np.concatenate([weights[2] for _, weights in members]) / len(members),
            sum(weights[3] for _, weights in members) / len(members),
        ]
    )


def _for_scaler(weights: Weights, own: Any, other: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Kernel and bias of a first layer behind the scaler `own`, changed to stand behind `other`."""
    kernel, bias = weights[0] / own.scale_[:, np.newaxis], weights[1]
    return kernel * other.scale_[:, np.newaxis], bias + (other.mean_ - own.mean_) @ kernel
