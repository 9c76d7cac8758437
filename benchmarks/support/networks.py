"""Graphs of made-up networks, and their time in ONNX Runtime with one thread."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.engines.onnx.session import import_runtime

Band = tuple[int, int, int]
"""The first input, the one behind the last, and the number of units."""

WANTED = ["best", "confidence"]


def network(bands: Sequence[Band]) -> Any:
    """Return the graph of one hidden layer, as `tidy` returns it, whose units read these bands."""
    import onnx

    generator = np.random.default_rng(0)
    units = sum(band[2] for band in bands)
    hidden = np.zeros((64, units), np.float32)
    at = 0
    for begin, end, width in bands:
        hidden[begin:end, at : at + width] = generator.standard_normal((end - begin, width))
        at += width
    constants = {
        "w1": hidden / 8,
        "b1": generator.standard_normal(units),
        "w2": generator.standard_normal((units, 10)) / np.sqrt(units),
        "b2": generator.standard_normal(10),
    }
    make = onnx.helper.make_node
    port, kinds = onnx.helper.make_tensor_value_info, onnx.TensorProto
    graph = onnx.helper.make_graph(
        [
            make("Gemm", ["pixels", "w1", "b1"], ["sums"], name="hidden"),
            make("Relu", ["sums"], ["units"], name="relu"),
            make("Gemm", ["units", "w2", "b2"], ["logits"], name="last"),
            make("Softmax", ["logits"], ["probabilities"], name="softmax", axis=1),
            make("ArgMax", ["probabilities"], ["best"], axis=1, keepdims=0),
            make("ReduceMax", ["probabilities"], ["confidence"], axes=[1], keepdims=0),
        ],
        "network",
        [port("pixels", kinds.FLOAT, ["N", 64])],
        [
            port("probabilities", kinds.FLOAT, ["N", 10]),
            port("best", kinds.INT64, ["N"]),
            port("confidence", kinds.FLOAT, ["N"]),
        ],
        [
            onnx.numpy_helper.from_array(value.astype(np.float32), name)
            for name, value in constants.items()
        ],
    )
    opset = onnx.helper.make_opsetid("", 15)
    return onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8)


def open_session(model: bytes) -> Any:
    """Open a model in ONNX Runtime, with one thread."""
    runtime = import_runtime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def takes_columns(model: Any) -> Any:
    """Return a copy of a graph that takes `pixels` as a file's columns, uint8 (64, n).

    It gives class and confidence alone, and computes no more.
    """
    import onnx

    make, kinds = onnx.helper.make_node, onnx.TensorProto
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    needed, nodes = set(WANTED), list[Any]()
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
            nodes.insert(0, node)
    turned = [
        make("Transpose", ["columns_of_pixels"], ["rows_of_pixels"], perm=[1, 0]),
        make("Cast", ["rows_of_pixels"], ["pixels"], to=kinds.FLOAT),
    ]
    outputs = [port for port in graph.output if port.name in WANTED]
    port = onnx.helper.make_tensor_value_info("columns_of_pixels", kinds.UINT8, [64, "N"])
    del graph.node[:], graph.input[:], graph.output[:]
    graph.node.extend([*turned, *nodes])
    graph.input.append(port)
    graph.output.extend(outputs)
    return copy


def cpu_seconds(session: Any, pixels: NDArray[Any], block: int) -> float:
    """Return the CPU time in which the session finds class and confidence, block by block.

    pixels  float32 (n, 64), or uint8 (64, n) for a graph that takes columns
    """
    name, columns = session.get_inputs()[0].name, len(pixels) == 64
    count = pixels.shape[1] if columns else len(pixels)
    blocks = [
        np.ascontiguousarray(pixels[:, at : at + block]) if columns else pixels[at : at + block]
        for at in range(0, count, block)
    ]
    started = time.thread_time()
    for rows in blocks:
        session.run(WANTED, {name: rows})
    return time.thread_time() - started
