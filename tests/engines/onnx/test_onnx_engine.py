from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from batchdigits.engines.contract import most_probable
from batchdigits.engines.onnx.engine import OnnxEngine
from batchdigits.errors import BundleError


@pytest.fixture(params=[(3, 16), (10, 500)], ids=["small", "real"])
def engine(request: pytest.FixtureRequest, model_maker: Any) -> OnnxEngine:
    classes, units = request.param
    return OnnxEngine(model_maker(classes, units=units).SerializeToString(), classes)


def in_steps(engine: OnnxEngine, pixels: np.ndarray, step: int) -> np.ndarray:
    blocks = (pixels[begin : begin + step] for begin in range(0, len(pixels), step))
    return np.concatenate([engine.probabilities(block) for block in blocks])


@pytest.mark.parametrize("step", [1, 7, 64, 1023, 1024, 10_000])
def test_a_row_gets_the_same_bits_however_it_is_batched(
    engine: OnnxEngine, pixels: np.ndarray, step: int
) -> None:
    """Batch size and position in the batch never show in the output."""
    pixels = pixels[: 3000 if step < 64 else None]
    expected = engine.probabilities(pixels)
    found = in_steps(engine, pixels, step)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found.view(np.uint32), expected.view(np.uint32))


@pytest.mark.parametrize("block", [1, 3, 512, 4096])
def test_a_row_gets_the_same_bits_whatever_the_block_size(
    pixels: np.ndarray, block: int, model_maker: Any
) -> None:
    """The block is a matter of the cache alone."""
    pixels = pixels[:2000]
    model = model_maker(10, units=500).SerializeToString()
    expected = OnnxEngine(model, 10).probabilities(pixels)
    found = OnnxEngine(model, 10, block_rows=block).probabilities(pixels)
    np.testing.assert_array_equal(found.view(np.uint32), expected.view(np.uint32))


def test_whole_numbers_and_floats_get_the_same_bits(engine: OnnxEngine, pixels: np.ndarray) -> None:
    """uint8 pixels and the same pixels as float32."""
    expected = engine.probabilities(pixels)
    found = engine.probabilities(pixels.astype(np.float32))
    np.testing.assert_array_equal(found.view(np.uint32), expected.view(np.uint32))


def test_probabilities_are_those_of_the_network(pixels: np.ndarray, model_maker: Any) -> None:
    """The same network written out in NumPy, in float64."""
    model = model_maker(3)
    w1, b1, w2, b2 = (numpy_helper.to_array(one).astype(float) for one in model.graph.initializer)
    logits = np.maximum(pixels @ w1 + b1, 0) @ w2 + b2
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    found = OnnxEngine(model.SerializeToString(), 3).probabilities(pixels)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("rows", [1, 7, 1024, 3000, 5000])
def test_a_graph_that_finds_the_best_itself_gives_the_same_bits(
    rows: int, model_maker: Any
) -> None:
    pixels = np.random.default_rng(rows).integers(0, 17, (rows, 64)).astype(np.uint8)
    finding = OnnxEngine(model_maker(10, units=500, best=True).SerializeToString(), 10)
    plain = OnnxEngine(model_maker(10, units=500).SerializeToString(), 10)
    best, confidence = finding.most_probable(pixels)
    assert (best.dtype, confidence.dtype) == (np.int64, np.float32)
    for expected in (plain.most_probable(pixels), most_probable(finding.probabilities(pixels))):
        assert np.array_equal(best, expected[0])
        assert np.array_equal(confidence, expected[1])


@pytest.mark.parametrize("rows", [0, 1, 1024, 3000, 4096, 9000])
def test_columns_get_the_same_bits_as_rows(rows: int, engine: OnnxEngine) -> None:
    pixels = np.random.default_rng(rows).integers(0, 17, (rows, 64)).astype(np.uint8)
    columns = np.asfortranarray(pixels)
    assert np.array_equal(engine.probabilities(pixels), engine.probabilities(columns))
    for mine, theirs in zip(
        engine.most_probable(pixels), engine.most_probable(columns), strict=True
    ):
        assert np.array_equal(mine, theirs)


@pytest.mark.parametrize("best", [False, True])
def test_a_row_whose_probabilities_are_no_numbers_has_no_confidence(
    best: bool, model_maker: Any
) -> None:
    """The last pixel overflows."""
    model = model_maker(3, best=best)
    weights = next(one for one in model.graph.initializer if one.name == "W1")
    values = numpy_helper.to_array(weights).copy()
    values[63] = np.finfo(np.float32).max
    weights.CopyFrom(numpy_helper.from_array(values, "W1"))
    pixels = np.zeros((5, 64), np.uint8)
    pixels[[1, 4], 63] = 9
    _, confidence = OnnxEngine(model.SerializeToString(), 3).most_probable(pixels)
    assert np.isfinite(confidence).tolist() == [True, False, True, True, False]


def test_a_class_that_is_not_there_is_refused(model_maker: Any) -> None:
    model = model_maker(3, best=True)
    model.graph.node[-2].output[0] = "place"
    three = helper.make_tensor("three", TensorProto.INT64, [], [3])
    model.graph.initializer.append(three)
    model.graph.node.append(helper.make_node("Add", ["place", "three"], ["best"]))
    with pytest.raises(BundleError, match="gave a class of 3 to 5, expected 0 to 2"):
        OnnxEngine(model.SerializeToString(), 3).most_probable(
            np.random.default_rng(0).integers(0, 17, (900, 64)).astype(np.uint8)
        )


def test_the_pixels_are_left_alone(engine: OnnxEngine, pixels: np.ndarray) -> None:
    """The engine writes into its own buffers."""
    before = pixels.copy()
    engine.probabilities(pixels)
    np.testing.assert_array_equal(pixels, before)


def test_no_rows_give_no_probabilities(engine: OnnxEngine) -> None:
    """Of the right shape."""
    assert engine.probabilities(np.empty((0, 64), np.uint8)).shape == (0, engine.classes)


def test_threads_share_an_engine(engine: OnnxEngine, pixels: np.ndarray) -> None:
    """Eight threads at once, each with other rows, get what one thread gets."""
    expected = engine.probabilities(pixels)
    blocks = np.array_split(pixels, 40)
    with ThreadPoolExecutor(8) as pool:
        found = np.concatenate(list(pool.map(engine.probabilities, blocks)))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("classes", "ports", "told"),
    [
        (3, {"input": "input_1"}, "takes input_1 tensor.float. .N, 64., expected pixels"),
        (3, {"output": "dense_1"}, "gives dense_1 tensor.float. .N, 3., expected probabilities"),
        (4, {}, "gives probabilities tensor.float. .N, 4., expected probabilities .* .N, 3."),
        (3, {"rows": 1}, "takes pixels tensor.float. .1, 64., expected .* .N, 64."),
        (3, {"type": TensorProto.DOUBLE}, "model.onnx"),
    ],
)
def test_a_model_with_other_ports_is_refused(
    classes: int, ports: dict[str, Any], told: str, model_maker: Any
) -> None:
    """Names, types and shapes, got and expected."""
    with pytest.raises(BundleError, match=told):
        OnnxEngine(model_maker(classes, **ports).SerializeToString(), 3)


@pytest.mark.parametrize("model", [b"", b"no model", b"\x08\x08" * 50])
def test_what_is_no_model_is_refused(model: bytes) -> None:
    """In one line, with the fix."""
    with pytest.raises(BundleError, match="rebuild the bundle with train") as caught:
        OnnxEngine(model, 3)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("rows", [5, 4099])
def test_a_model_that_fails_while_it_runs_is_a_bundle_error(rows: int, model_maker: Any) -> None:
    """Not a traceback of ONNX Runtime's."""
    model = model_maker(3)
    for place, (source, target, width) in enumerate([("pixels", "p", 128), ("p", "q", 64)]):
        shape = numpy_helper.from_array(np.array([-1, width]), f"shape{place}")
        model.graph.initializer.append(shape)
        reshape = helper.make_node("Reshape", [source, shape.name], [target])
        model.graph.node.insert(place, reshape)
    model.graph.node[2].input[0] = "q"
    engine = OnnxEngine(model.SerializeToString(), 3)
    with pytest.raises(BundleError, match="failed"):
        engine.probabilities(np.zeros((rows, 64), np.uint8))


def test_onnx_runtime_says_nothing(tmp_path: Path, model_maker: Any) -> None:
    """Neither when a model works nor when it is refused; our one line says enough."""
    (tmp_path / "good.onnx").write_bytes(model_maker(3).SerializeToString())
    bad = model_maker(3)
    bad.graph.node[1].op_type = "NoSuchOperator"
    (tmp_path / "bad.onnx").write_bytes(bad.SerializeToString())
    script = """
import sys, numpy
from pathlib import Path
from batchdigits.engines.onnx.engine import OnnxEngine
from batchdigits.errors import BundleError
OnnxEngine(Path(sys.argv[1]).read_bytes(), 3).probabilities(numpy.zeros((9, 64), "u1"))
try:
    OnnxEngine(Path(sys.argv[2]).read_bytes(), 3)
except BundleError:
    sys.exit(7)
"""
    command = [sys.executable, "-c", script, tmp_path / "good.onnx", tmp_path / "bad.onnx"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (7, "", "")
