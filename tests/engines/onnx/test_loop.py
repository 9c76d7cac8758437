from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from batchdigits import open_bundle
from batchdigits.engines.onnx.engine import BLOCK_ROWS, OnnxEngine
from batchdigits.engines.onnx.loop import FLOAT, INT64, UINT8, Layout, Names, loop_over_blocks
from batchdigits.engines.onnx.session import Session
from batchdigits.errors import BundleError

ROWS = 5 * BLOCK_ROWS + 7
LAYOUTS = {
    "bytes in columns": np.asfortranarray,
    "bytes in rows": np.ascontiguousarray,
    "floats in rows": lambda pixels: pixels.astype(np.float32),
    "floats in columns": lambda pixels: np.asfortranarray(pixels.astype(np.float32)),
    "every other row": lambda pixels: np.repeat(pixels, 2, axis=0)[::2],
}
OUTPUTS = {"probabilities": (FLOAT, 10), "best": (INT64,), "confidence": (FLOAT,)}


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 17, (ROWS, 64)).astype(np.uint8)


def packaged_model() -> bytes:
    engine = open_bundle().engine
    assert isinstance(engine, OnnxEngine)
    return engine._model


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("wanted", ["probabilities", "most_probable", "measure"])
def test_the_loop_gives_the_bits_of_the_model_without_it(
    layout: str, wanted: str, digits: np.ndarray
) -> None:
    """Of the bundle in the package, with all that it can give."""
    engine = OnnxEngine(packaged_model(), 10)
    pixels = LAYOUTS[layout](digits)
    found = getattr(engine, wanted)(pixels)
    few = [getattr(engine, wanted)(digits[at : at + 900]) for at in range(0, ROWS, 900)]
    if wanted == "probabilities":
        found, few = (found,), [(one,) for one in few]
    for output, parts in zip(found, zip(*few, strict=True), strict=True):
        expected = np.concatenate(parts)
        assert output.dtype == expected.dtype
        assert output.tobytes() == expected.tobytes()


def test_only_many_rows_are_looped(digits: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file must not wait for the graph to be made."""
    calls: list[int] = []
    run = Session.run

    def counted(self: Session, names: Any, given: Any) -> Any:
        calls.append(len(given))
        return run(self, names, given)

    monkeypatch.setattr(Session, "run", counted)
    engine = OnnxEngine(packaged_model(), 10)
    calls.clear()
    engine.most_probable(digits[: 4 * BLOCK_ROWS - 1])
    assert calls == [1] * 4
    calls.clear()
    engine.most_probable(digits)
    assert calls == [2, 1], "one call for all whole blocks, one for the rest"


@pytest.mark.parametrize("text", [b"loop" + b"_" * 1_000_000, b"loop_" * 500_000, b"loop"])
def test_names_are_unused_whatever_the_model_holds(text: bytes) -> None:
    """Found in one look: a name of a million underscores hung the run."""
    prefix = Names.unused(text).prefix
    assert prefix.encode() not in text
    assert len(prefix) < 100


@pytest.mark.parametrize(
    "layout", [Layout(UINT8, columns=True), Layout(UINT8, columns=False), Layout(FLOAT, False)]
)
def test_the_graph_is_valid_onnx(layout: Layout) -> None:
    outputs = {**OUTPUTS, "strangeness": (FLOAT,)}
    switches = ["with_strangeness"]
    names = Names.unused(packaged_model())
    model = loop_over_blocks(packaged_model(), names, outputs, layout, rows=1024, switches=switches)
    made = onnx.load_from_string(model)
    onnx.checker.check_model(made, full_check=True)
    assert [node.op_type for node in made.graph.node] == ["Loop"]
    body = made.graph.node[0].attribute[0].g
    casts = (layout.kind == UINT8) * ["Cast"]
    turns = layout.columns * ["Transpose"]
    assert [node.op_type for node in body.node][: 3 + len(casts) + len(turns)] == [
        *("Mul", "Add", "Slice"),
        *turns,
        *casts,
    ]


def change_length(model: Any) -> None:
    """Two numbers a row, which look like twice as many rows."""
    model.graph.node[-1].output[0] = "once"
    twice = helper.make_node("Concat", ["once", "once"], ["confidence"], axis=0)
    model.graph.node.append(twice)


def change_width(model: Any) -> None:
    """A row without any number; ONNX Runtime can't tell before it runs."""
    graph = model.graph
    graph.node[-3].output[0] = "whole"
    for name in ("start", "one", "axis"):
        tensor = helper.make_tensor(name, TensorProto.INT64, [1], [int(name != "start")])
        graph.initializer.append(tensor)
    for node in graph.node[-2:]:
        node.input[0] = "whole"
    sliced = ["whole", "start", "stop", "axis"]
    graph.node.extend(
        [
            helper.make_node("Size", ["pixels"], ["size"]),
            helper.make_node("Sub", ["size", "size"], ["nothing"]),
            helper.make_node("Reshape", ["nothing", "one"], ["stop"]),
            helper.make_node("Slice", sliced, ["probabilities"]),
        ]
    )


@pytest.mark.parametrize("rows", [900, ROWS])
@pytest.mark.parametrize(
    ("change", "asked"), [(change_length, "most_probable"), (change_width, "probabilities")]
)
def test_an_output_of_another_shape_is_refused(
    change: Any, asked: str, rows: int, model_maker: Any, digits: np.ndarray
) -> None:
    """In the same way, however many rows there are."""
    model = model_maker(3, best=True)
    change(model)
    engine = OnnxEngine(model.SerializeToString(), 3)
    with pytest.raises(BundleError, match=r"gave \w+ of shape .* rebuild the bundle with train"):
        getattr(engine, asked)(digits[:rows])


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(
    "name", ["loop/begin", "loop/pixels", "loop/blocks", "loop/all_best", b"\xff\xfe"]
)
def test_a_model_may_have_any_names(
    name: str | bytes, order: Any, model_maker: Any, digits: np.ndarray
) -> None:
    """What the loop adds is named otherwise, and nothing is computed of the wrong pixels."""
    model = model_maker(3, best=True)
    text = name if isinstance(name, str) else "??"
    zeros = helper.make_tensor(text, TensorProto.UINT8, [ROWS, 64], bytes(ROWS * 64), raw=True)
    model.graph.initializer.append(zeros)
    data = model.SerializeToString()
    if isinstance(name, bytes):
        assert data.count(b"\x42\x02??") == 1
        data = data.replace(b"\x42\x02??", b"\x42\x02" + name)
    engine = OnnxEngine(data, 3)
    found = engine.most_probable(np.asarray(digits, order=order))[1]
    few = [engine.most_probable(digits[at : at + 900])[1] for at in range(0, ROWS, 900)]
    assert np.array_equal(found, np.concatenate(few))


def test_a_model_of_an_operator_set_without_such_a_loop_is_scored_block_by_block(
    model_maker: Any, digits: np.ndarray
) -> None:
    model = model_maker(3)
    model.opset_import[0].version = 9
    engine = OnnxEngine(model.SerializeToString(), 3)
    found = engine.probabilities(digits)
    few = [engine.probabilities(digits[at : at + 900]) for at in range(0, ROWS, 900)]
    assert np.array_equal(found, np.concatenate(few))
