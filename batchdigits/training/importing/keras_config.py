"""The config of a Keras model, read by hand: Keras builds nothing from it.

Each class of layer that import knows has a reader here, which takes the options that decide what
the layer computes. A class or an option that is not known is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from batchdigits.errors import BundleError, UnusableInputError
from batchdigits.training.importing.network import Floats, Layer

MOST_LAYERS = 200

_ACTIVATIONS = frozenset(
    {
        *("linear", "relu", "relu6", "leaky_relu", "elu", "selu", "silu", "swish", "mish"),
        *("softmax", "sigmoid", "tanh", "softplus", "softsign", "exponential", "hard_sigmoid"),
    }
)
_INACTIVE = frozenset(
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


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """A model: the shape of a row, and its layers from the input to the output.

    everything  all layers in the order of the file, by which a `.keras` file names their weights
    """

    shape: tuple[Any, ...]
    chain: tuple[LayerConfig, ...]
    everything: tuple[LayerConfig, ...]


def read_config(document: Any) -> ModelConfig:
    """Read the JSON of a Sequential or functional model.

    Raises UnusableInputError for a model that is not one chain of known layers, BundleError for
    a Lambda, which holds code, and for a document that Keras did not write.
    """
    with _as_damage():
        kind, config = document["class_name"], document["config"]
        if kind not in ("Sequential", "Functional", "Model"):
            raise UnusableInputError(
                f"is of the class {_word(kind)}, expected a Sequential or a functional model; "
                "build one of these from the same layers, and copy the weights"
            )
        nodes = config if isinstance(config, list) else config["layers"]
        layers = tuple(_layer_config(node) for node in nodes)
        if len(layers) > MOST_LAYERS:
            raise UnusableInputError(f"has {len(layers)} layers, expected {MOST_LAYERS} at most")
        chain = layers if kind == "Sequential" else tuple(_chain(layers, config))
        shape = _input_shape(layers, chain, document)
        return ModelConfig(shape, chain, layers)


def read_layers(
    config: ModelConfig, weights: Sequence[Sequence[Floats]], keras_version: str
) -> list[Layer]:
    """Turn the chain into layers; `weights` are those of each of its layers, in Keras' order."""
    layers: list[Layer] = []
    for entry, own in zip(config.chain, weights, strict=True):
        if entry.kind not in _INACTIVE:
            options = _Options(entry, keras_version)
            with _as_damage():
                layers += _READERS[entry.kind](options, tuple(own))
            options.refuse_others()
    return [layer for layer in layers if layer.options.get("activation") != "linear"]


class _Options:
    """The options of one layer: each is taken once, and what is left over is refused."""

    def __init__(self, entry: LayerConfig, keras_version: str) -> None:
        self.where = f"layer {_word(entry.name)!r} ({entry.kind})"
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
            raise UnusableInputError(f"{self.where} has {name}={_word(value)}, which is not known")
        return value

    def pair(self, name: str, default: Any) -> tuple[int, int]:
        """Two whole numbers from 1, or one for both."""
        value = self.take(name, default, int, list)
        both = [value, value] if type(value) is int else value
        if len(both) != 2 or not all(type(n) is int and n > 0 for n in both):
            raise UnusableInputError(f"{self.where} has {name}={_word(value)}, which is not known")
        return both[0], both[1]

    def expect(self, name: str, *allowed: Any) -> Any:
        """The option's value, which must be one of these; the first where it is absent."""
        value = self._options.pop(name, allowed[0])
        if not any(type(value) is type(known) and value == known for known in allowed):
            raise UnusableInputError(
                f"{self.where} has {name}={_word(value)}, expected {_word(allowed[0])}"
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
                f"{self.where} has the activation {_word(value)}; import knows "
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
        left = [f"{name}={_word(v)}" for name, v in self._options.items() if v not in (None, False)]
        if left:
            raise UnusableInputError(
                f"{self.where} has {', '.join(left)}, which import does not know"
            )

    def _check_precision(self, policy: Any) -> None:
        if isinstance(policy, dict):
            policy = policy.get("config", {}).get("name")
        if policy is not None and policy not in _PRECISIONS:
            raise UnusableInputError(
                f"{self.where} computes in {_word(policy)}, which no other engine repeats to 1e-4; "
                "build it in float32 with the same weights"
            )


Weights = tuple[Floats, ...]


def _dense(options: _Options, weights: Weights) -> Iterator[Layer]:
    made = {
        "units": options.take("units", None, int),
        "use_bias": options.take("use_bias", True, bool),
    }
    yield Layer("Dense", made, weights)
    yield _activation(options.activation())


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
    yield _activation(options.activation())


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
        raise UnusableInputError(f"{options.where} has axis={_word(axis)}, which is not known")
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
    yield _activation(options.activation())


def _softmax(options: _Options, _: Weights) -> Iterator[Layer]:
    options.expect("axis", -1, [-1])
    yield _activation("softmax")


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


def _activation(name: str) -> Layer:
    return Layer("Activation", {"activation": name})


_READERS: dict[str, Callable[[_Options, Weights], Iterator[Layer]]] = {
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


def _layer_config(node: Any) -> LayerConfig:
    kind, options = node["class_name"], node["config"]
    name = node.get("name") or options.get("name") or kind
    if not isinstance(kind, str) or not isinstance(name, str) or not isinstance(options, dict):
        raise TypeError("a layer without a name, a class or a config")
    where = f"layer {_word(name)!r}"
    if "Lambda" in kind:
        raise BundleError(
            f"{where} is a {_word(kind)}, which holds code: refused; write it with layers of Keras"
        )
    if kind in ("Sequential", "Functional", "Model"):
        raise UnusableInputError(
            f"{where} is a model inside the model; build one model of the layers of both"
        )
    custom = node.get("registered_name") not in (None, kind)
    if custom or (kind not in _READERS and kind not in _INACTIVE):
        raise UnusableInputError(
            f"{where} is a {_word(kind)}{' of your own' if custom else ''}, which import can't "
            f"rewrite; it knows {', '.join(sorted({*_READERS, *_INACTIVE}))}: train without it"
        )
    return LayerConfig(name, kind, options, node.get("inbound_nodes"))


def _chain(layers: Sequence[LayerConfig], config: Any) -> Iterator[LayerConfig]:
    """The layers of a functional model from the input to the output; each has one before it."""
    by_name = {layer.name: layer for layer in layers}
    ends = [_named(config[side]) for side in ("input_layers", "output_layers")]
    if len(by_name) != len(layers):
        raise TypeError("two layers of one name")
    if [len(names) for names in ends] != [1, 1]:
        raise UnusableInputError(
            f"has {len(ends[0])} inputs and {len(ends[1])} outputs, expected one of each"
        )
    way = [by_name[ends[1][0]]]
    while way[-1].name != ends[0][0]:
        before = _layers_before(way[-1])
        if len(before) != 1 or len(way) > len(layers):
            raise UnusableInputError(
                f"layer {_word(way[-1].name)!r} ({way[-1].kind}) has {len(before)} layers before "
                "it, expected one: import takes a chain without branches"
            )
        way.append(by_name[before[0]])
    unused = sorted(set(by_name) - {layer.name for layer in way})
    if unused:
        raise UnusableInputError(
            f"layer {_word(unused[0])!r} is beside the way from input to output: import takes a "
            "chain without branches"
        )
    yield from reversed(way)


def _layers_before(layer: LayerConfig) -> list[str]:
    """The names of the layers whose values a layer takes, over all of its calls."""
    for node in layer.inbound or ():
        calls = node if isinstance(node, list) else [node]
        kwargs = [call[3] if isinstance(call, list) and len(call) > 3 else call for call in calls]
        if any(isinstance(k, dict) and k.get("kwargs", k).get("training") for k in kwargs):
            raise UnusableInputError(
                f"layer {_word(layer.name)!r} is called with training=True, so its answers are "
                "drawn by chance; call it without"
            )
    return _named(layer.inbound)


def _named(node: Any) -> list[str]:
    """The layer's name in each mention of a tensor: ["dense", 0, 0, …], alone or inside others."""
    if isinstance(node, dict):
        if node.get("class_name") == "__keras_tensor__":
            return _named(node["config"]["keras_history"])
        return [name for child in node.values() for name in _named(child)]
    if isinstance(node, list):
        if len(node) >= 3 and isinstance(node[0], str) and type(node[1]) is type(node[2]) is int:
            return [node[0]]
        return [name for child in node for name in _named(child)]
    return []


def _input_shape(
    layers: Sequence[LayerConfig], chain: Sequence[LayerConfig], document: Any
) -> tuple[Any, ...]:
    """The shape of one row, from wherever this version of Keras wrote it."""
    first, config = chain[0].options, document["config"]
    outer = config if isinstance(config, dict) else {}
    for place, key in (
        *((first, key) for key in ("batch_shape", "batch_input_shape")),
        *((layers[0].options, key) for key in ("batch_shape", "batch_input_shape")),
        (outer, "build_input_shape"),
        (document.get("build_config") or {}, "input_shape"),
    ):
        if place.get(key):
            return tuple(place[key][1:])
    raise UnusableInputError(
        "does not say what it takes; give its first layer an input shape, such as "
        "keras.Input((64,)), and save it again"
    )


def _word(value: Any) -> str:
    """A value of the config as a message shows it."""
    return str(value)[:60]


@contextmanager
def _as_damage() -> Iterator[None]:
    """Turn what a config of another form makes Python raise into BundleError."""
    try:
        yield
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise BundleError(
            f"has a config that Keras did not write ({type(error).__name__}: {error})"
        ) from error
