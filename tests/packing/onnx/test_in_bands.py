"""A graph in bands computes what it computed before, with fewer multiplications."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from batchdigits.engines.onnx.session import Session
from batchdigits.packing.onnx.in_bands import divide_into_bands
from batchdigits.packing.onnx.multiplications import count_in_graph

Floats = NDArray[np.float32]
Layers = Sequence[tuple[Floats, Floats]]
Activation = Callable[[Any, str], list[Any]]

make_node = onnx.helper.make_node


def relu(value: str, result: str) -> list[Any]:
    return [make_node("Relu", [value], [result], name=f"act_{result}")]


def swish(value: str, result: str) -> list[Any]:
    """Two operators, the second of which reads the layer too."""
    inside = f"inside_{result}"
    return [
        make_node("Sigmoid", [value], [inside], name=f"sigmoid_{result}"),
        make_node("Mul", [value, inside], [result], name=f"mul_{result}"),
    ]


def clipped(value: str, result: str) -> list[Any]:
    """An operator with constants."""
    return [make_node("Clip", [value, "zero", "six"], [result], name=f"clip_{result}")]


def nothing(value: str, result: str) -> list[Any]:
    return []


def network(layers: Layers, activation: Activation = relu, outputs: Sequence[str] = ()) -> Any:
    """Dense layers from `pixels` to `logits`; `outputs` are more values to give."""
    nodes: list[Any] = []
    constants = {"zero": np.array(0, np.float32), "six": np.array(6, np.float32)}
    source = "pixels"
    for number, (weights, bias) in enumerate(layers):
        last = number == len(layers) - 1
        constants |= {f"w{number}": weights, f"b{number}": bias}
        value = "logits" if last else f"v{number}"
        inputs = [source, f"w{number}", f"b{number}"]
        nodes.append(make_node("Gemm", inputs, [value], name=f"Gemm_{number}"))
        source = value
        if not last and (behind := activation(value, f"h{number}")):
            nodes += behind
            source = f"h{number}"
    port, kind = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        nodes,
        "network",
        [port("pixels", kind, ["N", len(layers[0][0])])],
        [port(name, kind, ["N", "k"]) for name in ("logits", *outputs)],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opset = onnx.helper.make_opsetid("", 15)
    return onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8)


def dense(inputs: int, units: int, mask: NDArray[np.bool_] | bool = True) -> tuple[Floats, Floats]:
    generator = np.random.default_rng(inputs + units)
    weights = generator.standard_normal((inputs, units)) / np.sqrt(inputs) * mask
    return weights.astype(np.float32), generator.standard_normal(units).astype(np.float32)


def halves(inputs: int, units: int) -> tuple[Floats, Floats]:
    mask = np.zeros((inputs, units), bool)
    mask[: inputs // 2, ::2] = mask[inputs // 2 :, 1::2] = True
    return dense(inputs, units, mask)


def operators(model: Any) -> list[str]:
    return [node.op_type for node in model.graph.node]


def run(model: Any, rows: Floats) -> Floats:
    """The logits of ONNX Runtime, after ONNX's own checks."""
    onnx.checker.check_model(model, full_check=True)
    (logits,) = Session(model.SerializeToString()).run(["logits"], {"pixels": rows})
    return np.asarray(logits)


def changed(model: Any) -> Any:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    divide_into_bands(copy)
    return copy


def assert_equal_results(before: Any, after: Any) -> None:
    width = before.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    rows = np.random.default_rng(7).uniform(0, 16, (50, width)).astype(np.float32)
    assert np.allclose(run(before, rows), run(after, rows), rtol=1e-5, atol=1e-4)


def test_two_halves_are_two_small_layers_and_their_sum() -> None:
    before = network([halves(64, 500), dense(500, 10)])
    after = changed(before)
    assert operators(after) == [*["Slice", "Gemm", "Relu"] * 2, "Gemm", "Gemm"]
    assert_equal_results(before, after)
    assert count_in_graph(before.SerializeToString()) == 64 * 500 + 500 * 10
    assert count_in_graph(after.SerializeToString()) == 32 * 500 + 500 * 10


@pytest.mark.parametrize("activation", [relu, swish, clipped, nothing])
def test_each_band_has_the_layers_activation(activation: Activation) -> None:
    before = network([halves(64, 500), dense(500, 10)], activation)
    after = changed(before)
    assert operators(after).count("Slice") == 2
    assert_equal_results(before, after)


@pytest.mark.parametrize(
    "before",
    [
        network([dense(64, 500), dense(500, 10)]),
        network([halves(64, 500)]),
        network([halves(64, 500), dense(500, 10)], outputs=["h0"]),
        network([halves(64, 500), dense(500, 10)], outputs=["v0"]),
    ],
    ids=["no zeros", "one layer", "the activations are wanted", "the sums are wanted"],
)
def test_a_graph_without_bands_keeps_its_bytes(before: Any) -> None:
    assert changed(before).SerializeToString() == before.SerializeToString()


@pytest.mark.parametrize(
    "change",
    [
        lambda graph: graph.node[0].attribute.append(onnx.helper.make_attribute("alpha", 2.0)),
        lambda graph: graph.node[1].CopyFrom(
            make_node("Softmax", ["v0"], ["h0"], name="act", axis=1)
        ),
        lambda graph: graph.node[1].CopyFrom(make_node("PRelu", ["v0", "b0"], ["h0"], name="act")),
        lambda graph: graph.node[2].input.__setitem__(2, "h0"),
        lambda graph: graph.node.append(make_node("Neg", ["h0"], ["more"], name="more")),
    ],
    ids=["a factor", "a softmax inside", "a number a unit", "a sum of itself", "two readers"],
)
def test_layers_of_another_kind_are_left_alone(change: Callable[[Any], None]) -> None:
    before = network([halves(64, 500), dense(500, 500), dense(500, 10)])
    change(before.graph)
    del before.graph.node[3:5]
    before.graph.output[0].name = "v1"
    assert changed(before).SerializeToString() == before.SerializeToString()


def test_two_chains_in_one_graph_keep_to_themselves() -> None:
    """The second reads what an operator makes of the first."""
    before = network([halves(64, 500), dense(500, 64)])
    more = network([halves(64, 400), dense(400, 10)])
    for constant in more.graph.initializer[2:]:
        constant.name = f"more_{constant.name}"
        before.graph.initializer.append(constant)
    before.graph.node[-1].output[0] = "first"
    before.graph.node.append(make_node("Softmax", ["first"], ["second"], name="between", axis=1))
    for node in more.graph.node:
        names = {"pixels": "second", "logits": "logits"}
        node.name = f"more_{node.name}"
        node.input[:] = [names.get(name, f"more_{name}") for name in node.input]
        node.output[:] = [names.get(name, f"more_{name}") for name in node.output]
        before.graph.node.append(node)
    after = changed(before)
    assert operators(after).count("Slice") == 4
    assert_equal_results(before, after)


@st.composite
def block_layers(draw: st.DrawFn) -> list[tuple[Floats, Floats]]:
    """Two to four layers of random rectangles of weights, some units empty or full, shuffled."""
    sizes = [64, *draw(st.lists(st.integers(1, 400), min_size=1, max_size=3)), 10]
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    layers = []
    for inputs, units in itertools.pairwise(sizes):
        mask = np.zeros((inputs, units), bool)
        for _ in range(draw(st.integers(0, 4))):
            top, left = generator.integers(0, inputs), generator.integers(0, units)
            mask[top : top + inputs // 3 + 1, left : left + units // 3 + 1] = True
        mask[:, generator.random(units) < draw(st.sampled_from([0, 0.05]))] = True
        layers.append(dense(inputs, units, mask[:, generator.permutation(units)]))
    return layers


@settings(max_examples=60, deadline=None)
@given(block_layers())
def test_bands_of_any_blocks_equal_numpy(layers: list[tuple[Floats, Floats]]) -> None:
    rows = np.random.default_rng(1).uniform(0, 16, (20, 64)).astype(np.float32)
    expected = rows.astype(np.float64)
    for number, (weights, bias) in enumerate(layers):
        expected = (np.maximum(expected, 0) if number else expected) @ weights + bias
    before = network(layers)
    after = changed(before)
    assert np.allclose(run(after, rows), expected, rtol=1e-4, atol=1e-3)
    counts = [count_in_graph(model.SerializeToString()) for model in (before, after)]
    assert counts[1] <= counts[0]
    assert changed(before).SerializeToString() == after.SerializeToString()
