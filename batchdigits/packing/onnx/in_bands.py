"""Dense layers of an ONNX graph computed in bands, where that leaves out enough zeros."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.packing.onnx.bands import Band, Bands, Mask, plan_bands

PlanOf = Callable[[Sequence[Mask]], list[Bands] | None]

# Operators that compute each element from that element alone, and from single numbers.
_ELEMENTWISE = """
Abs Add Celu Clip Div Elu Erf Exp HardSigmoid HardSwish LeakyRelu Log Max Min Mul Neg Pow Relu Selu
Sigmoid Softplus Softsign Sqrt Sub Tanh ThresholdedRelu
"""


@dataclass(frozen=True, slots=True)
class _Layer:
    """A dense layer: its Gemm, weights (inputs, units) and bias (units,), and its activation.

    activation  the operators between this Gemm and that of the next layer; none in the last layer
    """

    gemm: Any
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]
    activation: list[Any]


def divide_into_bands(model: Any, plan_of: PlanOf = plan_bands) -> None:
    """Change an ONNX ModelProto, as `tidy` returns it, to compute its dense layers in bands.

    Each band takes the inputs that it reads by a Slice, and is a Gemm with the layer's activation.
    The next layer is the sum over the bands, one Gemm on top of the other. Nothing is changed where
    no bands pay. Sums are in another order than before: results differ by rounding.

    plan_of  chooses the bands; benchmarks give plans of their own
    """
    import onnx

    graph = model.graph
    constants = {c.name: onnx.numpy_helper.to_array(c) for c in graph.initializer}
    nodes = list(graph.node)
    added: dict[str, NDArray[Any]] = {}
    gone: set[str] = set()
    for chain in _chains(nodes, constants, {output.name for output in graph.output}):
        plan = plan_of([layer.weights != 0 for layer in chain])
        if plan is None:
            continue
        made = _Bands(chain, plan)
        old = [node for layer in chain for node in (layer.gemm, *layer.activation)]
        place = nodes.index(old[0])
        nodes = [node for node in nodes if node not in old]
        nodes[place:place] = made.nodes
        added |= made.constants
        gone.update(name for layer in chain for name in layer.gemm.input[1:])
    if not added:
        return
    gone.difference_update(name for node in nodes for name in node.input)
    kept = [constant for constant in graph.initializer if constant.name not in gone]
    kept += [onnx.numpy_helper.from_array(value, name) for name, value in added.items()]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(kept)


def _chains(
    nodes: Sequence[Any], constants: Mapping[str, Any], outputs: set[str]
) -> list[list[_Layer]]:
    """The runs of two or more dense layers, each the only reader of the one before."""
    chains, used = [], set()
    for node in nodes:
        chain: list[_Layer] = []
        gemm = node
        while gemm is not None and is_dense(gemm, constants) and gemm.output[0] not in used:
            activation, following = _activation(gemm, nodes, constants, outputs)
            weights, bias = (constants[name] for name in gemm.input[1:])
            goes_on = following is not None and is_dense(following, constants)
            chain.append(_Layer(gemm, weights, bias, activation if goes_on else []))
            used.add(gemm.output[0])
            gemm = following if goes_on else None
        if len(chain) > 1:
            chains.append(chain)
    return chains


def is_dense(node: Any, constants: Mapping[str, Any]) -> bool:
    """Return whether a node is x W + b with constants (inputs, units) and (units,)."""
    return (
        node.op_type == "Gemm"
        and not node.attribute
        and len(node.input) == 3
        and all(name in constants for name in node.input[1:])
        and constants[node.input[2]].shape == constants[node.input[1]].shape[1:]
    )


def _activation(
    gemm: Any, nodes: Sequence[Any], constants: Mapping[str, Any], outputs: set[str]
) -> tuple[list[Any], Any]:
    """The elementwise operators behind a Gemm, and the one operator that reads their result.

    The reader is None if there are several, or if anything else reads a value in between.
    """
    inside, values, readers = [], {gemm.output[0]}, []
    for node in nodes:
        if not values.intersection(node.input):
            continue
        others = [name for name in node.input if name not in values and name]
        single = all(name in constants and constants[name].size == 1 for name in others)
        if node.op_type in _ELEMENTWISE.split() and single and len(node.output) == 1:
            inside.append(node)
            values.add(node.output[0])
        else:
            readers.append(node)
    last = inside[-1].output[0] if inside else gemm.output[0]
    if len(readers) != 1 or values & outputs or [*readers[0].input].count(last) != 1:
        return [], None
    if readers[0].input[0] != last or values.intersection(readers[0].input) != {last}:
        return [], None
    return inside, readers[0]


class _Bands:
    """The operators and constants that compute a chain of layers in the bands of a plan."""

    def __init__(self, chain: Sequence[_Layer], plan: Sequence[Bands]) -> None:
        self.nodes: list[Any] = []
        self.constants: dict[str, NDArray[Any]] = {}
        below: Bands = (Band(np.arange(len(chain[0].weights)), ()),)
        tensors = [chain[0].gemm.input[0]]
        for layer, bands in zip(chain, plan, strict=True):
            last = layer is chain[-1]
            tensors = [
                self._band(layer, band, below, tensors, "" if last else f"_band_{number}")
                for number, band in enumerate(bands)
            ]
            below = bands

    def _band(
        self, layer: _Layer, band: Band, below: Bands, tensors: Sequence[str], suffix: str
    ) -> str:
        """Add a band of a layer; return the name of its result."""
        name, result = f"{layer.gemm.name}{suffix}", f"{layer.gemm.output[0]}{suffix}"
        total = self._constant(f"{name}_bias", layer.bias[band.units])
        for number in band.reads:
            source, inputs = tensors[number], below[number].units
            if band.cut is not None:
                inputs = inputs[slice(*band.cut)]
                source = self._slice(name, source, band.cut)
            step = f"{name}_of_{number}" if len(band.reads) > 1 else name
            weights = layer.weights[np.ix_(inputs, band.units)]
            last = number == band.reads[-1]
            total = self._node(
                "Gemm",
                [source, self._constant(f"{step}_weights", weights), total],
                result if last else f"{result}_to_{number}",
                step,
            )
        return self._activated(layer, result, suffix)

    def _slice(self, name: str, source: str, cut: tuple[int, int]) -> str:
        ends = [self._constant(f"inputs_{at}", np.array([at], np.int64)) for at in cut]
        axis = self._constant("inputs_axis", np.array([1], np.int64))
        return self._node("Slice", [source, *ends, axis], f"{name}_inputs", f"{name}_slice")

    def _activated(self, layer: _Layer, result: str, suffix: str) -> str:
        """Add the layer's activation for one band."""
        import onnx

        renamed = {layer.gemm.output[0]: result}
        for node in layer.activation:
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            copy.name = f"{node.name}{suffix}"
            renamed[node.output[0]] = f"{node.output[0]}{suffix}"
            copy.input[:] = [renamed.get(name, name) for name in node.input]
            copy.output[:] = [renamed[node.output[0]]]
            self.nodes.append(copy)
        return list(renamed.values())[-1]

    def _node(self, operator: str, inputs: Sequence[str], output: str, name: str) -> str:
        import onnx

        self.nodes.append(onnx.helper.make_node(operator, inputs, [output], name=name))
        return output

    def _constant(self, name: str, value: NDArray[Any]) -> str:
        self.constants[name] = np.ascontiguousarray(value)
        return name
