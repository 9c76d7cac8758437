"""The networks: plain functions from classes and settings to a Keras model.

Each takes 64 pixels that the scaler has standardized, shape (n, 64), and gives one softmax
probability a class, shape (n, k). To add one, write a function and name it in `NETWORKS`. Layers
are named, since Keras would number them by what else the process has built, and the same training
would give other bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

SIDE = 8
"""Pixels of an image's side."""


class Shape(Protocol):
    """What a network is built from; `recipes.Settings` has it."""

    @property
    def layers(self) -> int: ...
    @property
    def units(self) -> int: ...
    @property
    def dropout(self) -> float: ...
    @property
    def members(self) -> int: ...
    @property
    def initializer(self) -> str: ...


def build_mlp(classes: int, shape: Shape) -> Any:
    """Hidden layers of `units` rectified linear units: one of 500 is the tutorial's network.

    500 units are many for 64 pixels; they are kept so that figures compare, and cost little.
    """
    import keras

    layers = [_input()]
    for number in range(1, shape.layers + 1):
        layers.append(_hidden(f"hidden_{number}", shape))
        layers += _dropout(f"dropout_{number}", shape)
    return keras.Sequential([*layers, _output(classes, shape)], name="mlp")


def build_mlp_small(classes: int, shape: Shape) -> Any:
    """Two hidden layers of 64 units: a quarter of the work a row of one layer of 500.

    For nights with more rows than time: what it gives up is in docs/accuracy.md. It learns from
    larger networks, which it can follow better than the labels alone.
    """
    return build_mlp(classes, shape)


def build_cnn(classes: int, shape: Shape) -> Any:
    """3x3 convolutions, 2x2 pooling, dropout and one hidden layer.

    Neighbouring pixels are read together, so a stroke is the same stroke one pixel further on.
    16 filters, doubled twice by further convolutions, are what an 8x8 image has use for. Pooling
    comes once: 4x4 places are left, a second time would leave 2x2.
    """
    import keras

    layers = [_input(), keras.layers.Reshape((8, 8, 1), name="image")]
    for number in range(1, shape.layers + 1):
        name, filters = f"convolution_{number}", 16 * 2 ** min(number - 1, 2)
        layers.append(keras.layers.Conv2D(filters, 3, padding="same", activation="relu", name=name))
    layers.append(keras.layers.MaxPooling2D(2, name="pooling"))
    layers += _dropout("dropout_1", shape)
    layers.append(keras.layers.Flatten(name="features"))
    layers.append(_hidden("hidden_1", shape))
    layers += _dropout("dropout_2", shape)
    return keras.Sequential([*layers, _output(classes, shape)], name="cnn")


def build_best(classes: int, shape: Shape) -> Any:
    """Several mlps side by side: the mean of their logits, at any cost.

    Members err on different digits, so that their mean errs less than each (Hansen and Salamon,
    "Neural network ensembles", 1990). A mean of logits is one more dense layer over the hidden
    layers of all, so the whole is one wide mlp: `ensemble` fills in the weights.
    """
    import keras

    width = shape.units * shape.members
    hidden = keras.layers.Dense(width, activation="relu", name="hidden_1")
    return keras.Sequential([_input(), hidden, _output(classes, shape)], name="best")


def receptive_fields(units: int, window: int, seed: int) -> NDArray[np.float32]:
    """Which pixels each unit reads: 1 or 0, float32 (64, units), a square window of each image.

    Where each window lies is drawn by chance. Strokes are local, and what lies far apart in an
    image of one writer says little about the next: units that see a part can't learn such
    accidents. LeCun, "Generalization and network design strategies", 1989. The other weights stay
    zero, so a scored row costs the same as with full connection.
    """
    generator = np.random.default_rng(seed)
    places = generator.integers(0, SIDE - window + 1, (2, units, 1))
    offset = np.arange(SIDE) - places
    down, right = (offset >= 0) & (offset < window)
    fields = down[:, :, np.newaxis] & right[:, np.newaxis, :]
    return np.ascontiguousarray(fields.reshape(units, SIDE * SIDE).T, np.float32)


# mlp2 is the same function: its recipe has two hidden layers.
NETWORKS: dict[str, Callable[[int, Shape], Any]] = {
    "mlp": build_mlp,
    "mlp2": build_mlp,
    "mlp-small": build_mlp_small,
    "cnn": build_cnn,
    "best": build_best,
}


def _input() -> Any:
    import keras

    return keras.Input((64,), name="standardized")


def _hidden(name: str, shape: Shape) -> Any:
    import keras

    return keras.layers.Dense(
        shape.units, activation="relu", kernel_initializer=shape.initializer, name=name
    )


def _dropout(name: str, shape: Shape) -> list[Any]:
    import keras

    return [keras.layers.Dropout(shape.dropout, name=name)] if shape.dropout else []


def _output(classes: int, shape: Shape) -> Any:
    import keras

    return keras.layers.Dense(
        classes, activation="softmax", kernel_initializer=shape.initializer, name="probabilities"
    )
