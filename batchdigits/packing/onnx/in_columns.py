"""A graph of dense layers computed with a row of digits as a column: faster in ONNX Runtime.

Each dense layer becomes a convolution of 1x1 over an image that is as wide as the block has rows.
For these ONNX Runtime has kernels that keep sums in registers and add bias and activation before
they write; its Gemm writes the sums, reads them again, and computes 16 classes where 10 are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.packing.onnx.groups import Groups, plan_groups
from batchdigits.packing.onnx.in_bands import is_dense
from batchdigits.packing.onnx.tidy import BEST, CONFIDENCE, INPUT, OUTPUT

Floats = NDArray[np.float32]

# The kernels compute these themselves; others would bring every value into rows and back.
_ACTIVATIONS = ("Relu", "Sigmoid", "Tanh")

_TAIL = ["Softmax", "ArgMax", "ReduceMax"]

DENSE = 0.75
"""Layers behind the first are computed whole. With fewer weights than this share that are not zero,
bands in rows do less."""


@dataclass(frozen=True, slots=True)
class _Layer:
    """A dense layer: weights (inputs, units), bias (units,), and the operator of its activation."""

    weights: Floats
    bias: Floats
    activation: str | None


def turn_into_columns(model: Any) -> bool:
    """Change an ONNX ModelProto, as `tidy` returns it, to compute in columns.

    Return whether it was changed: only a chain of dense layers from the pixels to a Softmax is.
    Units of the first layer that read a part of the image are computed in groups, without the
    zeros. Sums are in another order than before: results differ by rounding.
    """
    import onnx

    graph = model.graph
    constants = {c.name: onnx.numpy_helper.to_array(c) for c in graph.initializer}
    layers = _layers(list(graph.node), constants)
    if layers is None:
        return False
    made = _Columns(layers)
    del graph.node[:], graph.initializer[:]
    graph.node.extend(made.nodes)
    graph.initializer.extend(
        onnx.numpy_helper.from_array(value, name) for name, value in made.constants.items()
    )
    return True


def _layers(nodes: Sequence[Any], constants: Mapping[str, Any]) -> list[_Layer] | None:
    """The layers of a graph that is nothing but a chain of them and the tail, else None."""
    body, tail = nodes[: -len(_TAIL)], nodes[-len(_TAIL) :]
    if [node.op_type for node in tail] != _TAIL or not body:
        return None
    value, layers = INPUT, list[_Layer]()
    for node in body:
        if node.input[0] != value or node.output[0] == OUTPUT:
            return None
        if is_dense(node, constants):
            weights, bias = (constants[name] for name in node.input[1:])
            layers.append(_Layer(weights, bias, None))
        elif node.op_type in _ACTIVATIONS and layers and layers[-1].activation is None:
            layers[-1] = _Layer(layers[-1].weights, layers[-1].bias, node.op_type)
        else:
            return None
        value = node.output[0]
    ends = tail[0].input[0] == value and len(layers) > 1 and layers[-1].activation is None
    dense = all((layer.weights != 0).mean() >= DENSE for layer in layers[1:])
    return layers if ends and dense else None


class _Columns:
    """The operators and constants that compute a chain of layers in columns."""

    def __init__(self, layers: Sequence[_Layer]) -> None:
        self.nodes: list[Any] = []
        self.constants: dict[str, NDArray[Any]] = {}
        first, *others = layers
        groups = plan_groups(first.weights != 0)
        shape = self._constant("image_shape", np.array([1, len(first.weights), 1, -1]))
        turned = self._node("Transpose", [INPUT], "columns", perm=[1, 0])
        value = self._node("Reshape", [turned, shape], "image")
        if not groups.are_a_partition:
            places = self._constant("window_inputs", groups.inputs.reshape(-1))
            value = self._node("Gather", [value, places], "windows", axis=1)
        value = self._layer(value, "layer_1", _in_groups(first, groups), len(groups.units))
        # The layer behind reads the groups' units in their order.
        second, *others = others
        weights = _padded(second.weights, groups.units.reshape(-1))
        others = [_Layer(weights, second.bias, second.activation), *others]
        for number, layer in enumerate(others, 2):
            value = self._layer(value, f"layer_{number}", layer)
        classes = self._constant("classes_shape", np.array([len(others[-1].bias), -1]))
        self._softmax(self._node("Reshape", [value, classes], "logits"))

    def _layer(self, value: str, name: str, layer: _Layer, groups: int = 1) -> str:
        weights = self._constant(f"{name}_weights", layer.weights.T[:, :, np.newaxis, np.newaxis])
        bias = self._constant(f"{name}_bias", layer.bias)
        how = {"kernel_shape": [1, 1], "group": groups}
        value = self._node("Conv", [value, weights, bias], name, **how)
        if layer.activation is None:
            return value
        return self._node(layer.activation, [value], f"{name}_active")

    def _softmax(self, logits: str) -> None:
        """Add the outputs. All operators run along the memory, not across the few classes."""
        axis = self._constant("classes_axis", np.array([0]))
        # Axes are an attribute of ReduceMax up to operator set 17; the exporter writes 15.
        largest = self._node("ReduceMax", [logits], "largest", axes=[0], keepdims=1)
        powers = self._node("Exp", [self._node("Sub", [logits, largest], "less")], "powers")
        total = self._node("ReduceSum", [powers, axis], "sum_of_powers", keepdims=0)
        # The largest power is 1.
        confidence = self._node("Reciprocal", [total], CONFIDENCE)
        by_class = self._node("Mul", [powers, confidence], "by_class")
        self._node("ArgMax", [by_class], BEST, axis=0, keepdims=0)
        self._node("Transpose", [by_class], OUTPUT, perm=[1, 0])

    def _node(self, operator: str, inputs: Sequence[str], output: str, **how: Any) -> str:
        import onnx

        self.nodes.append(onnx.helper.make_node(operator, inputs, [output], name=output, **how))
        return output

    def _constant(self, name: str, value: NDArray[Any]) -> str:
        self.constants[name] = np.ascontiguousarray(value)
        return name


def _in_groups(layer: _Layer, groups: Groups) -> _Layer:
    """The layer with its units in the order of the groups, each with its window's weights only."""
    weights = [
        _padded(layer.weights.T, units).T[inputs]
        for inputs, units in zip(groups.inputs, groups.units, strict=True)
    ]
    return _Layer(
        np.concatenate(weights, axis=1),
        _padded(layer.bias, groups.units.reshape(-1)),
        layer.activation,
    )


def _padded(values: Floats, places: NDArray[np.int64]) -> Floats:
    """The values at these places of the first dimension; zeros at -1."""
    shape = (len(places), *(1 for _ in values.shape[1:]))
    return np.where((places >= 0).reshape(shape), values[places], np.float32(0))
