"""Fills the weights of an ensemble's members into the one network that `networks.build_best` makes.

The mean of the members' logits is what a last layer gives that reads all members' features, each
member's own last layer divided by their number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.training.patches import PatchNetwork

PATCH_SCALE = 2.0
"""What a patch network's outputs, 0 and 1, are multiplied by. An mlp's logits learn to differ by
4.5, and a patch network alone errs twice as often: it has half the say."""

Weights = list[NDArray[Any]]


def fill_in(
    model: Any, scaler: Any, mlps: Sequence[tuple[Any, Weights]], patches: Sequence[PatchNetwork]
) -> None:
    """Set the weights of `model`, which reads what `scaler` standardized.

    `mlps` are each a scaler and the kernels and biases of one hidden layer and the last; as many
    patch networks as mlps.
    """
    hidden = [_for_scaler(weights, own, scaler) for own, weights in mlps]
    model.get_layer("hidden").set_weights(
        [
            np.concatenate([kernel for kernel, _ in hidden], axis=1),
            np.concatenate([bias for _, bias in hidden]),
        ]
    )
    model.get_layer("pixels").set_weights([np.diag(scaler.scale_), scaler.mean_])
    model.get_layer("patches").set_weights(
        [
            np.concatenate([one.kernels for one in patches], axis=3),
            np.concatenate([one.bias for one in patches]),
        ]
    )
    last = [weights[2] for _, weights in mlps]
    # Flattened features go quarter by quarter, and within each member by member.
    quarters = [PATCH_SCALE * one.readout.reshape(4, -1, len(one.constant)) for one in patches]
    last.append(np.concatenate(quarters, axis=1).reshape(-1, last[0].shape[1]))
    constants = [weights[3] for _, weights in mlps]
    constants += [PATCH_SCALE * one.constant for one in patches]
    members = len(mlps) + len(patches)
    model.layers[-1].set_weights([np.concatenate(last) / members, sum(constants) / members])


def _for_scaler(weights: Weights, own: Any, other: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Kernel and bias of a first layer that `own` standardized for, for what `other` does."""
    kernel, bias = weights[0] / own.scale_[:, np.newaxis], weights[1]
    return kernel * other.scale_[:, np.newaxis], bias + (other.mean_ - own.mean_) @ kernel
