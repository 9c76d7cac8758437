"""The layers of a Keras config, read by hand: Keras builds nothing from it.

Each class of layer that import knows has a reader here, which takes the options that decide what
the layer computes. An option that is not known is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from batchdigits.errors import BundleError, UnusableInputError
from batchdigits.training.importing.network import Floats, Layer, activation

_ACTIVATIONS = frozenset(
    {
        *("linear", "relu", "relu6", "leaky_relu", "elu", "selu", "silu", "swish", "mish"),
        *("softmax", "sigmoid", "tanh", "softplus", "softsign", "exponential", "hard_sigmoid"),
    }
)
INACTIVE = frozenset(
    {
        *("InputLayer", "Dropout", "SpatialDropout2D", "GaussianDropout", "GaussianNoise"),
        *("AlphaDropout", "ActivityRegularization"),
        *("RandomTranslation", "RandomRotation", "RandomZoom"),
    }
)
"""Layers that do nothing when a model predicts: they are left out."""

# Options that decide how a layer is trained, not what it computes.
_TRAINING_ONLY = re.compile(
    r"name|trainable|batch_input_shape|batch_shape|momentum|renorm_clipping|renorm_momentum|"
    r"synchronized|\w+_(initializer|regularizer|constraint)"
)
_PRECISIONS = ("float32", "float64")


@dataclass(frozen=True, slots=True)
class LayerConfig:
    """One layer of the config, before its weights are found.

    place  its place in the config; `name` and `kind` are as Keras wrote them
    """

    name: str
    kind: str
    options: Mapping[str, Any]
    inbound: Any = None


def read_layers(
    chain: Sequence[LayerConfig], weights: Sequence[Sequence[Floats]], keras_version: str
) -> list[Layer]:
    """Turn the chain into layers; `weights` are those of each of its layers, in Keras' order."""
    layers: list[Layer] = []
    for entry, own in zip(chain, weights, strict=True):
        if entry.kind not in INACTIVE:
            options = _Options(entry, keras_version)
            with as_damage():
                layers += READERS[entry.kind](options, tuple(own))
            options.refuse_others()
    return [layer for layer in layers if layer.options.get("activation") != "linear"]


class _Options:
    """The options of one layer: each is taken once, and what is left over is refused."""

    def __init__(self, entry: LayerConfig, keras_version: str) -> None:
        self.where = f"layer {shown(entry.name)!r} ({entry.kind})"
        self._options = {
            name: value
            for name, value in entry.options.items()
            if not _TRAINING_ONLY.fullmatch(name)
        }
        self._is_keras_2 = keras_version.startswith(("1.", "2."))
        self._check_precision(self._options.pop("dtype", None))

    def take(self, name: str, default: Any, *kinds: type) -> Any:
        """The option's value; UnusableInputError if it is of another type."""
        value = self._options.pop(name, default)
        if value is None:
            value = default
        if type(value) not in kinds:
            raise UnusableInputError(f"{self.where} has {name}={shown(value)}, which is not known")
        return value

    def pair(self, name: str, default: Any) -> tuple[int, int]:
        """Two whole numbers from 1, or one for both."""
        value = self.take(name, default, int, list)
        both = [value, value] if type(value) is int else value
        if len(both) != 2 or not all(type(n) is int and n > 0 for n in both):
            raise UnusableInputError(f"{self.where} has {name}={shown(value)}, which is not known")
        return both[0], both[1]

    def expect(self, name: str, *allowed: Any) -> Any:
        """The option's value, which must be one of these; the first where it is absent."""
        value = self._options.pop(name, allowed[0])
        if not any(type(value) is type(known) and value == known for known in allowed):
            raise UnusableInputError(
                f"{self.where} has {name}={shown(value)}, expected {shown(allowed[0])}"
            )
        return value

    def activation(self) -> str:
        """The name of the activation; BundleError for a function of its own."""
        value = self._options.pop("activation", "linear") or "linear"
        if isinstance(value, dict) and value.get("class_name") == "__lambda__":
            raise BundleError(
                f"{self.where} has a lambda as its activation, which is code: refused"
            )
        if isinstance(value, dict):
            value = value.get("config")
        if not isinstance(value, str) or value not in _ACTIVATIONS:
            raise UnusableInputError(
                f"{self.where} has the activation {shown(value)}; import knows "
                f"{', '.join(sorted(_ACTIVATIONS))}"
            )
        if value == "hard_sigmoid" and self._is_keras_2:
            raise UnusableInputError(
                f"{self.where} has the hard_sigmoid of Keras 2, which Keras 3 computes otherwise; "
                "train with sigmoid"
            )
        return value

    def refuse_others(self) -> None:
        """Refuse what was not taken, unless it is empty: it may change what the layer computes."""
        left = [f"{name}={shown(v)}" for name, v in self._options.items() if v not in (None, False)]
        if left:
            raise UnusableInputError(
                f"{self.where} has {', '.join(left)}, which import does not know"
            )

    def _check_precision(self, policy: Any) -> None:
        if isinstance(policy, dict):
            policy = policy.get("config", {}).get("name")
        if policy is not None and policy not in _PRECISIONS:
            raise UnusableInputError(
                f"{self.where} computes in {shown(policy)}, which no other engine repeats to 1e-4; "
                "build it in float32 with the same weights"
            )


Weights = tuple[Floats, ...]


def _dense(options: _Options, weights: Weights) -> Iterator[Layer]:
    made = {
        "units": options.take("units", None, int),
        "use_bias": options.take("use_bias", True, bool),
    }
    yield Layer("Dense", made, weights)
    yield activation(options.activation())


def _conv(options: _Options, weights: Weights) -> Iterator[Layer]:
    options.expect("data_format", "channels_last", None)
    made = {
        "filters": options.take("filters", None, int),
        "kernel_size": options.pair("kernel_size", None),
        "strides": options.pair("strides", 1),
        "padding": options.expect("padding", "valid", "same"),
        "dilation_rate": options.pair("dilation_rate", 1),
        "groups": options.expect("groups", 1),  # ONNX gets no others from TensorFlow
        "use_bias": options.take("use_bias", True, bool),
    }
    yield Layer("Conv2D", made, weights)
    yield activation(options.activation())


def _batch_normalization(options: _Options, weights: Weights) -> Iterator[Layer]:
    options.expect("renorm", False)
    axis = options.take("axis", -1, int, list)
    made = {
        "axis": axis if type(axis) is int else axis[0],
        "epsilon": options.take("epsilon", 0.001, float, int),
        "center": options.take("center", True, bool),
        "scale": options.take("scale", True, bool),
    }
    if type(made["axis"]) is not int or (isinstance(axis, list) and len(axis) != 1):
        raise UnusableInputError(f"{options.where} has axis={shown(axis)}, which is not known")
    yield Layer("BatchNormalization", made, weights)


def _normalization(options: _Options, weights: Weights) -> Iterator[Layer]:
    options.expect("invert", False)
    given = [options.take(name, [], list, float, int) for name in ("mean", "variance")]
    axis = options.take("axis", [], int, list)
    if weights:
        weights = weights[:2]  # the third counts the rows that it was adapted to
    elif given != [[], []]:
        weights = tuple(np.asarray(values, np.float64) for values in given)
    if len(weights) != 2:
        raise UnusableInputError(f"{options.where} was never adapted to data")
    yield Layer("Normalization", {"axis": [axis] if type(axis) is int else axis}, weights)


def _rescaling(options: _Options, _: Weights) -> Iterator[Layer]:
    made = {
        "scale": options.take("scale", 1, float, int, list),
        "offset": options.take("offset", 0, float, int, list),
    }
    yield Layer("Rescaling", made)


def _pooling(kind: str) -> Callable[[_Options, Weights], Iterator[Layer]]:
    def read(options: _Options, _: Weights) -> Iterator[Layer]:
        options.expect("data_format", "channels_last", None)
        size = options.pair("pool_size", 2)
        strides = options.pair("strides", list(size))
        padding = options.expect("padding", "valid", "same")
        yield Layer(kind, {"pool_size": size, "strides": strides, "padding": padding})

    return read


def _global_pooling(kind: str) -> Callable[[_Options, Weights], Iterator[Layer]]:
    def read(options: _Options, _: Weights) -> Iterator[Layer]:
        options.expect("data_format", "channels_last", None)
        yield Layer(kind, {"keepdims": options.take("keepdims", False, bool)})

    return read


def _flatten(options: _Options, _: Weights) -> Iterator[Layer]:
    options.expect("data_format", "channels_last", None)
    yield Layer("Flatten")


def _reshape(options: _Options, _: Weights) -> Iterator[Layer]:
    yield Layer("Reshape", {"target_shape": tuple(options.take("target_shape", None, list))})


def _activation_layer(options: _Options, _: Weights) -> Iterator[Layer]:
    yield activation(options.activation())


def _softmax(options: _Options, _: Weights) -> Iterator[Layer]:
    options.expect("axis", -1, [-1])
    yield activation("softmax")


def _relu(options: _Options, _: Weights) -> Iterator[Layer]:
    names = {"max_value": None, "negative_slope": 0.0, "threshold": 0.0}
    made = {n: options.take(n, d, float, int, type(None)) for n, d in names.items()}
    yield Layer("ReLU", made)


def _leaky_relu(options: _Options, _: Weights) -> Iterator[Layer]:
    slope = options.take("alpha", None, float, int, type(None))  # its name in Keras 2
    yield Layer(
        "LeakyReLU",
        {
            "negative_slope": options.take(
                "negative_slope", 0.3 if slope is None else slope, float, int
            )
        },
    )


def _elu(options: _Options, _: Weights) -> Iterator[Layer]:
    yield Layer("ELU", {"alpha": options.take("alpha", 1.0, float, int)})


READERS: dict[str, Callable[[_Options, Weights], Iterator[Layer]]] = {
    "Dense": _dense,
    "Conv2D": _conv,
    "BatchNormalization": _batch_normalization,
    "Normalization": _normalization,
    "Rescaling": _rescaling,
    **{kind: _pooling(kind) for kind in ("MaxPooling2D", "AveragePooling2D")},
    **{kind: _global_pooling(kind) for kind in ("GlobalMaxPooling2D", "GlobalAveragePooling2D")},
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Activation": _activation_layer,
    "Softmax": _softmax,
    "ReLU": _relu,
    "LeakyReLU": _leaky_relu,
    "ELU": _elu,
}


def shown(value: Any) -> str:
    """Return a value of the config as a message shows it."""
    return str(value)[:60]


@contextmanager
def as_damage() -> Iterator[None]:
    """Turn what a config of another form makes Python raise into BundleError."""
    try:
        yield
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise BundleError(
            f"has a config that Keras did not write ({type(error).__name__}: {error})"
        ) from error
