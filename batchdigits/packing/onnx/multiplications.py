"""The multiplications by weights that a row takes, in a Keras network and in its ONNX graph."""

from __future__ import annotations

import math
from typing import Any


def count_in_network(model: Any) -> int:
    """Count those of a Keras model's dense layers and convolutions, zeros included."""
    return sum(
        math.prod(weights.shape) * math.prod(layer.output.shape[1:-1])
        for layer in model.layers
        for weights in layer.weights
        if weights.name.endswith("kernel")
    )


def count_in_graph(onnx_bytes: bytes) -> int:
    """Count those of the `Gemm`, `MatMul` and `Conv` operators by constants in an ONNX graph.

    What only `strangeness` needs is not counted.
    """
    import onnx

    model = onnx.load_from_string(onnx_bytes)
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    weights = {constant.name: math.prod(constant.dims) for constant in graph.initializer}
    places = {
        value.name: math.prod(size.dim_value or 1 for size in value.type.tensor_type.shape.dim[2:])
        for value in graph.value_info
    }
    return sum(
        weights.get(node.input[1], 0) * places.get(node.output[0], 1)
        for node in graph.node
        if node.op_type in ("Gemm", "MatMul", "Conv")
    )
