"""The networks: from classes and settings to a Keras model.

A network takes 64 pixels that the scaler has standardized, shape (n, 64), and gives one softmax
probability for each class, shape (n, k). To add one, name it and its values in the table of
settings, and build its layers here. Layers have names of their own: Keras would number them by what
else the process has built, and the same training would give other bytes.
"""

from __future__ import annotations

import random
from threading import Lock
from typing import Any

from batchdigits.images import PIXELS, SIDE
from batchdigits.training.settings import Settings

_SEEDED = Lock()


def build_network(classes: int, settings: Settings) -> Any:
    """Build the network that `settings.arch` names; `settings.seed` decides its first weights."""
    import keras

    kind = settings.arch if settings.arch in ("cnn", "best") else "mlp"
    build = {"mlp": _mlp_layers, "cnn": _cnn_layers, "best": _best_layers}[kind]
    output = {"activation": "softmax", "kernel_initializer": settings.initializer}
    with _SEEDED:  # the generator is that of the whole process
        # Keras draws the seed of each new layer from it. `keras.utils.set_random_seed` sets it too,
        # but makes TensorFlow optimize all its functions once more.
        random.seed(settings.seed)
        layers = [
            keras.Input((PIXELS,), name="standardized"),
            *build(settings),
            keras.layers.Dense(classes, **output, name="probabilities"),
        ]
        return keras.Sequential(layers, name=kind)


def _mlp_layers(settings: Settings) -> list[Any]:
    """Hidden layers of `units` rectified linear units: one of 500 is the tutorial's network."""
    layers = []
    for number in range(1, settings.layers + 1):
        layers += _hidden_layers(settings, f"hidden_{number}", f"dropout_{number}")
    return layers


def _cnn_layers(settings: Settings) -> list[Any]:
    """3x3 convolutions, 2x2 pooling, dropout and one hidden layer.

    Neighbouring pixels are read together, so a stroke is the same stroke one pixel further on. An
    8x8 image has no use for more than 16 filters, doubled twice by further convolutions. There is
    one pooling: it leaves 4x4 places, a second would leave 2x2.
    """
    import keras

    layers = [keras.layers.Reshape((SIDE, SIDE, 1), name="image")]
    for number in range(1, settings.layers + 1):
        name, filters = f"convolution_{number}", 16 * 2 ** min(number - 1, 2)
        layers.append(keras.layers.Conv2D(filters, 3, padding="same", activation="relu", name=name))
    layers.append(keras.layers.MaxPooling2D(2, name="pooling"))
    layers += _dropout(settings, "dropout_1")
    layers.append(keras.layers.Flatten(name="features"))
    return layers + _hidden_layers(settings, "hidden_1", "dropout_2")


def _best_layers(settings: Settings) -> list[Any]:
    """The hidden layers of several mlps as one: the network gives the mean of their logits.

    Members err on different digits, so that their mean errs less than each (Hansen and Salamon,
    "Neural network ensembles", 1990). A mean of logits is one more dense layer over the hidden
    layers of all members, so the whole is one wide mlp: `fit` fills in the weights.
    """
    import keras

    width = settings.units * settings.members
    return [keras.layers.Dense(width, activation="relu", name="hidden_1")]


def _hidden_layers(settings: Settings, name: str, dropout: str) -> list[Any]:
    import keras

    how = {"activation": "relu", "kernel_initializer": settings.initializer}
    return [keras.layers.Dense(settings.units, **how, name=name), *_dropout(settings, dropout)]


def _dropout(settings: Settings, name: str) -> list[Any]:
    import keras

    return [keras.layers.Dropout(settings.dropout, name=name)] if settings.dropout else []
