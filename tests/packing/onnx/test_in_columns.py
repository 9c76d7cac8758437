"""A graph in columns computes what it computed in rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from batchdigits.engines.onnx.session import Session
from batchdigits.packing.onnx.in_columns import turn_into_columns
from batchdigits.packing.onnx.multiplications import count_in_graph

OUTPUTS = ["probabilities", "best", "confidence"]
make_node = onnx.helper.make_node


def network(
    widths: Sequence[int], activation: str = "Relu", windows: int = 0, scale: float = 1
) -> Any:
    """A graph as `tidy` returns it. With `windows`, units of the first layer read four rows."""
    generator = np.random.default_rng(len(widths) + widths[0])
    nodes, constants, value, inputs = list[Any](), dict[str, NDArray[Any]](), "pixels", 64
    for number, units in enumerate(widths):
        weights = scale * generator.standard_normal((inputs, units)) / np.sqrt(16 * inputs)
        if windows and not number:
            first = 8 * (np.arange(units) % windows)
            reads = np.arange(64)[:, np.newaxis] - first
            weights *= (reads >= 0) & (reads < 32)
        constants |= {f"w{number}": weights, f"b{number}": generator.standard_normal(units)}
        source, value = value, f"v{number}"
        nodes.append(make_node("Gemm", [source, f"w{number}", f"b{number}"], [value]))
        if number < len(widths) - 1:
            nodes.append(make_node(activation, [value], [f"a{number}"]))
            value = f"a{number}"
        inputs = units
    nodes += [
        make_node("Softmax", [value], ["probabilities"], axis=1),
        make_node("ArgMax", ["probabilities"], ["best"], axis=1, keepdims=0),
        make_node("ReduceMax", ["probabilities"], ["confidence"], axes=[1], keepdims=0),
    ]
    port, kinds = onnx.helper.make_tensor_value_info, onnx.TensorProto
    graph = onnx.helper.make_graph(
        nodes,
        "network",
        [port("pixels", kinds.FLOAT, ["N", 64])],
        [
            port("probabilities", kinds.FLOAT, ["N", widths[-1]]),
            port("best", kinds.INT64, ["N"]),
            port("confidence", kinds.FLOAT, ["N"]),
        ],
        [
            onnx.numpy_helper.from_array(array.astype(np.float32), name)
            for name, array in constants.items()
        ],
    )
    opset = onnx.helper.make_opsetid("", 15)
    return onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8)


def run(model: Any, pixels: NDArray[Any]) -> list[NDArray[Any]]:
    onnx.checker.check_model(model, full_check=True)
    session = Session(model.SerializeToString())
    return session.run(OUTPUTS, {"pixels": pixels.astype(np.float32)})


def turned(model: Any) -> Any:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    assert turn_into_columns(copy)
    return copy


def rows(count: int) -> NDArray[Any]:
    return np.random.default_rng(3).integers(0, 17, (count, 64))


@pytest.mark.parametrize("activation", ["Relu", "Sigmoid", "Tanh"])
@pytest.mark.parametrize("windows", [0, 5])
@pytest.mark.parametrize("widths", [[48, 10], [400, 10], [37, 10], [100, 50, 26], [16, 2]])
def test_the_outputs_are_the_same_within_rounding(
    widths: list[int], windows: int, activation: str
) -> None:
    model = network(widths, activation, windows)
    expected, actual = run(model, rows(500)), run(turned(model), rows(500))
    assert np.abs(expected[0] - actual[0]).max() < 2e-6
    assert np.array_equal(expected[1], actual[1])
    assert np.array_equal(actual[1], actual[0].argmax(axis=1))
    assert np.array_equal(actual[2], actual[0].max(axis=1))


def test_units_that_read_four_rows_of_pixels_do_not_multiply_by_the_others() -> None:
    model = network([400, 10], windows=5)
    assert count_in_graph(model.SerializeToString()) == 64 * 400 + 4000
    assert count_in_graph(turned(model).SerializeToString()) == 32 * 400 + 4000


def test_windows_that_leave_out_pixels_or_none_need_no_more() -> None:
    for count, rows_read in ((48, [0]), (96, [0, 32]), (96, [0, 16])):
        model = network([count, 10])
        weights = onnx.numpy_helper.to_array(model.graph.initializer[0]).copy()
        for unit in range(count):
            begin = rows_read[unit % len(rows_read)]
            weights[:begin, unit] = weights[begin + 32 :, unit] = 0
        model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(weights, "w0"))
        expected, actual = run(model, rows(100)), run(turned(model), rows(100))
        assert np.abs(expected[0] - actual[0]).max() < 2e-6
        gathers = [node for node in turned(model).graph.node if node.op_type == "Gather"]
        assert len(gathers) == (rows_read != [0, 32])


def test_a_row_has_the_same_bits_whatever_is_around_it() -> None:
    model = turned(network([400, 10], windows=5))
    whole = run(model, rows(1030))
    for count in (1, 2, 3, 7, 16, 33, 130, 1023):
        for begin in (0, 5):
            part = run(model, rows(1030)[begin : begin + count])
            for some, all_of in zip(part, whole, strict=True):
                assert np.array_equal(some, all_of[begin : begin + count])


def test_extreme_logits_overflow_nothing() -> None:
    probabilities, best, confidence = run(turned(network([48, 10], scale=1e4)), rows(200))
    assert np.isfinite(probabilities).all()
    assert np.allclose(probabilities.sum(axis=1), 1)
    assert np.array_equal(best, probabilities.argmax(axis=1))
    assert confidence.max() == 1


def test_what_is_not_a_number_has_no_confidence_and_a_class_that_exists() -> None:
    pixels = rows(40).astype(np.float32)
    pixels[3, 5], pixels[7, 60], pixels[9, 0] = np.nan, np.inf, -np.inf
    expected, actual = run(network([48, 10]), pixels), run(turned(network([48, 10])), pixels)
    assert np.array_equal(np.isnan(expected[2]), np.isnan(actual[2]))
    assert np.isnan(actual[2]).sum() == 3
    assert actual[1].min() >= 0
    assert actual[1].max() < 10


def test_other_graphs_stay_as_they_are() -> None:
    elu = network([48, 10], "Elu")
    alone = network([10])
    sparse = network([48, 48, 10])
    weights = np.zeros((48, 48), np.float32)
    weights[:24, :24] = weights[24:, 24:] = 1
    sparse.graph.initializer[2].CopyFrom(onnx.numpy_helper.from_array(weights, "w1"))
    branched = network([48, 10])
    branched.graph.node.insert(2, make_node("Add", ["a0", "v0"], ["sum"]))
    branched.graph.node[3].input[0] = "sum"
    without = network([48, 10])
    del without.graph.node[-2:]
    for model in (elu, alone, sparse, branched, without):
        before = model.SerializeToString()
        assert not turn_into_columns(model)
        assert model.SerializeToString() == before
