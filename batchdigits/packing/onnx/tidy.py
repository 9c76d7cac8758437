"""The graph that tf2onnx writes, tidied: few operators, plain names, the same bytes every time."""

from __future__ import annotations

from typing import Any

import numpy as np

from batchdigits.errors import InternalError

INPUT = "pixels"
OUTPUT = "probabilities"
BEST = "best"
CONFIDENCE = "confidence"


def tidy(exported: Any) -> Any:
    """Return an ONNX ModelProto that computes the same as `exported`, for the bundle.

    - A `MatMul` and the `Add` of a bias after it become one `Gemm`.
    - A scaler (`Mul` and `Add` of a row) before a `Gemm` becomes part of its weights, computed in
      float64.
    - Operators that do nothing (`Identity`) are removed.
    - The operators that compute the shape for a `Reshape` become that shape.
    - Tensors and nodes are named by their place: tf2onnx's names count everything that the process
      has built before.
    - A final `Softmax` is followed by two more outputs: `best`, the place of the most probable
      class, and `confidence`, its probability.
    - Doc strings, metadata and all operator sets but the default are removed.

    Raises InternalError unless the graph has exactly one input and one output.
    """
    import onnx

    graph = exported.graph
    if len(graph.input) != 1 or len(graph.output) != 1:
        raise InternalError(
            f"the exported graph has {len(graph.input)} inputs and {len(graph.output)} outputs, "
            "expected one of each"
        )
    constants = {c.name: onnx.numpy_helper.to_array(c) for c in graph.initializer}
    nodes = _without_identities(list(graph.node), graph.output[0].name)
    constants |= _fix_shapes(nodes, constants, _known_shapes(exported))
    nodes = _merge_bias(_without_unused(nodes, graph.output[0].name), constants)
    nodes = _fold_scaler(nodes, constants)
    names = _new_names(nodes, graph.input[0].name, graph.output[0].name, set(constants))
    renamed = [_renamed(number, node, names) for number, node in enumerate(nodes)]
    best, ports = _most_probable() if nodes[-1].op_type == "Softmax" else ([], [])
    tidied = onnx.helper.make_graph(
        [*renamed, *best],
        "pixels_to_probabilities",
        [_port(graph.input[0], INPUT)],
        [_port(graph.output[0], OUTPUT), *ports],
        [
            onnx.numpy_helper.from_array(constants[old], new)
            for old, new in names.items()
            if old in constants
        ],
    )
    version = next(opset.version for opset in exported.opset_import if opset.domain == "")
    return onnx.helper.make_model(
        tidied,
        opset_imports=[onnx.helper.make_opsetid("", version)],
        ir_version=exported.ir_version,
        producer_name="batchdigits",
    )


def _without_identities(nodes: list[Any], output: str) -> list[Any]:
    """Remove Identity nodes; their readers read their source instead.

    An Identity that gives the graph's output stays: its source may have other readers.
    """
    source = {
        node.output[0]: node.input[0]
        for node in nodes
        if node.op_type == "Identity" and node.output[0] != output
    }
    kept = [node for node in nodes if node.output[0] not in source]
    for node in kept:
        node.input[:] = [_origin(name, source) for name in node.input]
    return kept


def _origin(name: str, source: dict[str, str]) -> str:
    while name in source:
        name = source[name]
    return name


def _known_shapes(exported: Any) -> dict[str, list[int]]:
    """The shape of each value inside the graph; 0 for an unknown dimension."""
    import onnx

    inferred = onnx.shape_inference.infer_shapes(exported, data_prop=True)
    return {
        value.name: [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
        for value in inferred.graph.value_info
    }


def _fix_shapes(
    nodes: list[Any], constants: dict[str, Any], shapes: dict[str, list[int]]
) -> dict[str, Any]:
    """Give each Reshape with known columns a constant shape; return these constants."""
    added: dict[str, Any] = {}
    for node in nodes:
        if node.op_type != "Reshape" or node.input[1] in constants:
            continue
        rows, *columns = shapes.get(node.output[0], [0, 0])
        if rows == 0 and all(columns):
            name = f"shape_of_{node.output[0]}"
            added[name] = np.array([-1, *columns], np.int64)
            node.input[1] = name
    return added


def _without_unused(nodes: list[Any], output: str) -> list[Any]:
    """The nodes that the output depends on, in the same order."""
    needed, kept = {output}, []
    for node in reversed(nodes):
        if needed.intersection(node.output):
            needed.update(node.input)
            kept.append(node)
    return kept[::-1]


def _merge_bias(nodes: list[Any], constants: dict[str, Any]) -> list[Any]:
    """Replace each MatMul of rows and the Add of one bias a column by a Gemm."""
    import onnx

    readers: dict[str, list[Any]] = {}
    for node in nodes:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    merged, gone = [], set()
    for node in nodes:
        if node.output[0] in gone:
            continue
        follower = readers.get(node.output[0], [None])[0]
        if _is_layer(node, readers.get(node.output[0], []), constants):
            bias = next(name for name in follower.input if name != node.output[0])
            merged.append(onnx.helper.make_node("Gemm", [*node.input, bias], list(follower.output)))
            gone.add(follower.output[0])
        else:
            merged.append(node)
    return merged


def _is_layer(node: Any, readers: list[Any], constants: dict[str, Any]) -> bool:
    """Return whether `node` multiplies by a constant and its only reader adds a constant row."""
    if node.op_type != "MatMul" or [reader.op_type for reader in readers] != ["Add"]:
        return False
    weights = constants.get(node.input[1])
    others = [name for name in readers[0].input if name != node.output[0]]
    bias = constants.get(others[0]) if len(others) == 1 else None
    return (
        weights is not None
        and bias is not None
        and weights.ndim == 2
        and bias.shape == weights.shape[1:]
    )


def _fold_scaler(nodes: list[Any], constants: dict[str, Any]) -> list[Any]:
    """Fold the scaler into the first layer: (x * s + o) W + b = x (s W) + (o W + b).

    Only if the graph begins with a Mul, an Add and a Gemm, each the only reader of the one before.
    """
    if [node.op_type for node in nodes[:3]] != ["Mul", "Add", "Gemm"]:
        return nodes
    first, second, layer = nodes[:3]
    read = [name for node in nodes for name in node.input]
    chained = first.output[0] in second.input and layer.input[0] == second.output[0]
    alone = read.count(first.output[0]) == read.count(second.output[0]) == 1
    scale, offset = (
        next((constants[name] for name in node.input if name in constants), None)
        for node in (first, second)
    )
    if not (chained and alone) or layer.attribute or scale is None or offset is None:
        return nodes
    weights, bias = (constants[name].astype(np.float64) for name in layer.input[1:])
    pixels = next(name for name in first.input if name not in constants)
    rows = np.broadcast_to(scale, len(weights)).astype(np.float64)
    folded = {
        f"scaled_{layer.input[1]}": rows[:, np.newaxis] * weights,
        f"shifted_{layer.input[2]}": np.broadcast_to(offset, len(weights)) @ weights + bias,
    }
    constants |= {name: value.astype(np.float32) for name, value in folded.items()}
    layer.input[:] = [pixels, *folded]
    return nodes[2:]


def _most_probable() -> tuple[list[Any], list[Any]]:
    """The operators that find the largest probability and its place, and their outputs."""
    import onnx

    make_node, make_port = onnx.helper.make_node, onnx.helper.make_tensor_value_info
    # Axes are an attribute of ReduceMax up to operator set 17; the exporter writes 15.
    nodes = [
        make_node("ArgMax", [OUTPUT], [BEST], name="best", axis=1, keepdims=0),
        make_node("ReduceMax", [OUTPUT], [CONFIDENCE], name="confidence", axes=[1], keepdims=0),
    ]
    ports = [
        make_port(BEST, onnx.TensorProto.INT64, ["N"]),
        make_port(CONFIDENCE, onnx.TensorProto.FLOAT, ["N"]),
    ]
    return nodes, ports


def _new_names(nodes: list[Any], first: str, last: str, constants: set[str]) -> dict[str, str]:
    """Old names to new names: values and constants, numbered in the order of their first use."""
    names = {"": "", first: INPUT, last: OUTPUT}
    for name in (name for node in nodes for name in (*node.input, *node.output)):
        if name not in names:
            kind = "constant" if name in constants else "value"
            names[name] = f"{kind}_{len(names) - 3}"
    return names


def _renamed(number: int, node: Any, names: dict[str, str]) -> Any:
    import onnx

    copy = onnx.NodeProto()
    copy.op_type = node.op_type
    copy.name = f"{node.op_type}_{number}"
    copy.input[:] = [names[name] for name in node.input]
    copy.output[:] = [names[name] for name in node.output]
    copy.attribute.extend(sorted(node.attribute, key=lambda attribute: str(attribute.name)))
    return copy


def _port(old: Any, name: str) -> Any:
    """The graph's input or output under its new name, float32, any number of rows."""
    import onnx

    columns = old.type.tensor_type.shape.dim[1].dim_value
    return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", columns])
