"""A network as data: layers one behind the other, and the Keras model that is built from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.engines.keras.model_file import LARGEST_LAYER
from batchdigits.errors import BundleError, UnusableInputError, UsageError
from batchdigits.images import PIXELS, SIDE

SHAPES = ((PIXELS,), (SIDE, SIDE), (SIDE, SIDE, 1))
OUTPUTS = ("softmax", "sigmoid", "linear")

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: a class of `keras.layers`, its options, and its weights in Keras' order.

    `Normalization` is the one that is not built as it is: it becomes a Rescaling.
    """

    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)
    weights: tuple[Floats, ...] = ()

    @property
    def words(self) -> str:
        """The layer in a few words, such as `Dense 500` or `Activation relu`."""
        first = next(
            (self.options[n] for n in ("units", "filters", "activation") if n in self.options), ""
        )
        return f"{self.kind} {first}".strip()


@dataclass(frozen=True, slots=True)
class Network:
    """Layers from pixels to the values before the last activation.

    name    of the file, or of what it came from; begins messages
    shape   of one row: (64,), (8, 8) or (8, 8, 1)
    output  the last activation: softmax, sigmoid or linear
    """

    name: str
    shape: tuple[int, ...]
    layers: tuple[Layer, ...]
    output: str

    @property
    def facts(self) -> dict[str, Any]:
        """The network as plain JSON values, for the manifest."""
        weights = [weight.size for layer in self.layers for weight in layer.weights]
        words = [layer.words for layer in self.layers]
        return {
            "input_shape": list(self.shape),
            "layers": [*words, f"Activation {self.output}"],
            "weights": sum(weights),
        }


def activation(name: str) -> Layer:
    """Return a layer that is an activation alone."""
    return Layer("Activation", {"activation": name})


def as_floats(values: NDArray[Any]) -> Floats:
    """Return weights as float32; what is too large becomes infinite, and is refused as such."""
    with np.errstate(all="ignore"):
        return values.astype(np.float32)


def make_network(name: str, shape: Sequence[Any], layers: Sequence[Layer]) -> Network:
    """Take the last activation off, and check the input's shape, the weights and the output.

    Raises UnusableInputError for another input or output, BundleError for weights that are not
    finite.
    """
    if tuple(shape) not in SHAPES:
        takes = " x ".join(map(str, shape))
        raise UnusableInputError(
            f"{name}: takes {takes} values for a row, expected 64 pixels as 64, 8 x 8 or 8 x 8 x "
            "1; train a network on 8 x 8 images"
        )
    for layer in layers:
        if not all(np.isfinite(weight).all() for weight in layer.weights):
            raise BundleError(
                f"{name}: {layer.words} has weights that are not finite numbers: the training "
                "failed, or the file is damaged"
            )
    body, output = list(layers), "linear"
    if body and body[-1].kind == "Activation":
        output = body.pop().options["activation"]
    if output not in OUTPUTS or not body:
        raise UnusableInputError(
            f"{name}: its last layer ends with {output if body else 'nothing'}, expected softmax, "
            "a sigmoid for two classes, or no activation (--logits)"
        )
    return Network(name, tuple(shape), tuple(body), output)


def output_matrix(network: Network, width: int, *, logits: bool) -> NDArray[np.float64]:
    """The matrix (width, k) from the network's last values to the logits of k classes.

    A sigmoid of z is the second value of softmax(0, z). Raises UsageError for `logits` that does
    not fit, UnusableInputError for outputs that are not one probability for each class.
    """
    if logits != (network.output == "linear"):
        if logits:
            raise UsageError(
                f"{network.name}: ends with {network.output}, so it gives probabilities; leave "
                "--logits out"
            )
        raise UnusableInputError(
            f"{network.name}: its last layer has no softmax; if it was trained from logits, give "
            "--logits"
        )
    if width == 1:
        if network.output == "softmax":
            raise UnusableInputError(
                f"{network.name}: softmax of one value is always 1; train two outputs, or a sigmoid"
            )
        return np.array([[0.0, 1.0]])
    if network.output == "sigmoid":
        raise UnusableInputError(
            f"{network.name}: ends with {width} sigmoids, which are no probabilities of one class; "
            "train the last layer with softmax"
        )
    return np.eye(width)


def output_width(network: Network) -> int:
    """The number of values that the network gives for a row.

    Raises as `build_model`, UnusableInputError where it gives them in rows and columns.
    """
    shape = tuple(_apply(network)[1].shape[1:])
    if len(shape) != 1:
        raise UnusableInputError(
            f"{network.name}: gives {' x '.join(map(str, shape))} values for a row, expected one "
            "for each class"
        )
    return int(shape[0])


def build_model(network: Network, matrix: NDArray[np.float64]) -> Any:
    """The Keras model: pixels behind the scaler (n, 64) to probabilities (n, k).

    matrix  (width, k), from the network's last values to the logits

    Raises BundleError for weights that do not fit the layers, UnusableInputError for layers that
    do not fit each other.
    """
    import keras

    last = network.layers[-1]
    if last.kind == "Dense":
        kernel, *bias = (weight.astype(np.float64) @ matrix for weight in last.weights)
        mapped = _dense([kernel, *bias])
        layers = (*network.layers[:-1], mapped)
    else:
        layers = (*network.layers, _dense([matrix]))
    inputs, logits = _apply(network, layers)
    return keras.Model(inputs, keras.layers.Softmax()(logits))


def _dense(weights: Sequence[NDArray[Any]]) -> Layer:
    options = {"units": weights[0].shape[1], "use_bias": len(weights) == 2}
    return Layer("Dense", options, tuple(map(as_floats, weights)))


def _apply(network: Network, layers: Sequence[Layer] | None = None) -> tuple[Any, Any]:
    """The input of 64 pixels, and the tensor behind the layers."""
    import keras

    inputs = keras.Input((PIXELS,), name="pixels")
    values = inputs
    if network.shape != (PIXELS,):
        values = keras.layers.Reshape(network.shape)(values)
    for layer in network.layers if layers is None else layers:
        try:
            values = _add(layer, values)
        except (ValueError, TypeError, IndexError, ZeroDivisionError) as error:
            problem = " ".join(str(error).split())[:200]
            raise UnusableInputError(
                f"{network.name}: {layer.words} does not fit the layer before it ({problem})"
            ) from error
        except BundleError as error:
            raise BundleError(f"{network.name}: {error}") from error
        if prod(values.shape[1:]) > LARGEST_LAYER:
            raise UnusableInputError(
                f"{network.name}: {layer.words} gives {prod(values.shape[1:])} values for a row, "
                f"expected {LARGEST_LAYER} at most"
            )
    return inputs, values


def _add(layer: Layer, values: Any) -> Any:
    import keras

    if layer.kind == "Normalization":
        layer = _as_rescaling(layer, values.shape)
    wanted = _weight_shapes(layer, values.shape)
    found = [weight.shape for weight in layer.weights]
    if found != wanted:
        raise BundleError(
            f"the weights of {layer.words} have the shapes {_shown(found)}, its config needs "
            f"{_shown(wanted)}: damaged, or of another network"
        )
    made = getattr(keras.layers, layer.kind)(**layer.options)
    result = made(values)
    if wanted:
        made.set_weights(layer.weights)
    return result


def _shown(shapes: Sequence[tuple[int, ...]]) -> str:
    return ", ".join(" x ".join(map(str, shape)) or "1" for shape in shapes) or "none"


def _weight_shapes(layer: Layer, shape: Sequence[Any]) -> list[tuple[int, ...]]:
    """The shapes of the weights that Keras gives such a layer behind values of this shape."""
    options = layer.options
    if layer.kind == "Dense":
        shapes = [(shape[-1], options["units"]), (options["units"],)]
        return shapes[: 1 + options["use_bias"]]
    if layer.kind == "Conv2D":
        kernel = (*options["kernel_size"], shape[-1], options["filters"])
        shapes = [kernel, (options["filters"],)]
        return shapes[: 1 + options["use_bias"]]
    if layer.kind == "BatchNormalization":
        return [(shape[options["axis"]],)] * (2 + options["center"] + options["scale"])
    return []


def _as_rescaling(layer: Layer, shape: Sequence[Any]) -> Layer:
    """(x - mean) / sqrt(variance), as Keras computes it, as one scale and one shift."""
    axes = [axis % len(shape) for axis in layer.options["axis"]]
    across = [size if axis in axes else 1 for axis, size in enumerate(shape)][1:]
    mean, variance = (weight.astype(np.float64) for weight in layer.weights)
    if not mean.size == variance.size == prod(across):
        raise BundleError(
            f"Normalization has {mean.size} means and {variance.size} variances, its config needs "
            f"{prod(across)}: damaged, or of another network"
        )
    scale = 1 / np.maximum(np.sqrt(np.maximum(variance, 0)), 1e-7)  # keras.config.epsilon()
    parts = {"scale": scale.reshape(across), "offset": (-mean * scale).reshape(across)}
    return Layer("Rescaling", {name: value.tolist() for name, value in parts.items()})
