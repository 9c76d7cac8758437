"""The networks: plain functions from classes and settings to a Keras model.

Each takes 64 pixels that the scaler has standardized, shape (n, 64), and gives one softmax
probability for each class, shape (n, k). To add a network, write a function, name it in `NETWORKS`,
and give it its values in the table of settings. Layers have names of their own: Keras would number
them by what else the process has built, and the same training would give other bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from batchdigits.images import PIXELS, SIDE


class Shape(Protocol):
    """The settings that a network is built from; `settings.Settings` has them."""

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


class Network(NamedTuple):
    """A network: the function that builds it, and a few words for the manual."""

    build: Callable[[int, Shape], Any]
    words: str


def build_mlp(classes: int, shape: Shape) -> Any:
    """Hidden layers of `units` rectified linear units: one of 500 is the tutorial's network.

    500 units are many for 64 pixels. They keep the figures comparable, and cost little.
    """
    import keras

    layers = [_input()]
    for number in range(1, shape.layers + 1):
        layers.append(_hidden(f"hidden_{number}", shape))
        layers += _dropout(f"dropout_{number}", shape)
    return keras.Sequential([*layers, _output(classes, shape)], name="mlp")


def build_cnn(classes: int, shape: Shape) -> Any:
    """3x3 convolutions, 2x2 pooling, dropout and one hidden layer.

    Neighbouring pixels are read together, so a stroke is the same stroke one pixel further on. An
    8x8 image has no use for more than 16 filters, doubled twice by further convolutions. There is
    one pooling: it leaves 4x4 places, a second would leave 2x2.
    """
    import keras

    layers = [_input(), keras.layers.Reshape((SIDE, SIDE, 1), name="image")]
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
    """Several mlps in one network: the mean of their logits.

    Members err on different digits, so that their mean errs less than each (Hansen and Salamon,
    "Neural network ensembles", 1990). A mean of logits is one more dense layer over the hidden
    layers of all members, so the whole is one wide mlp: `ensemble` fills in the weights.
    """
    import keras

    width = shape.units * shape.members
    hidden = keras.layers.Dense(width, activation="relu", name="hidden_1")
    return keras.Sequential([_input(), hidden, _output(classes, shape)], name="best")


NETWORKS: dict[str, Network] = {
    "mlp": Network(build_mlp, "one hidden layer of 500 units"),
    "mlp2": Network(build_mlp, "two hidden layers of 500 units"),
    # A quarter of the work for each row; docs/accuracy.md has what it gives up.
    "mlp-small": Network(build_mlp, "two hidden layers of 64 units, for speed"),
    "cnn": Network(build_cnn, "convolutions, pooling, dropout"),
    "best": Network(build_best, "an ensemble of mlps, slow and most accurate"),
}


def _input() -> Any:
    import keras

    return keras.Input((PIXELS,), name="standardized")


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
