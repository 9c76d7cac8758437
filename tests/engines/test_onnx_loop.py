from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from batchdigits import open_bundle
from batchdigits.engines.onnx import BLOCK_ROWS, OnnxEngine
from batchdigits.engines.onnx_loop import FLOAT, INT64, UINT8, Layout, loop_over_blocks
from batchdigits.engines.onnx_session import Session
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


@pytest.mark.parametrize(
    "layout", [Layout(UINT8, columns=True), Layout(UINT8, columns=False), Layout(FLOAT, False)]
)
def test_the_graph_is_valid_onnx(layout: Layout) -> None:
    outputs = {**OUTPUTS, "strangeness": (FLOAT,)}
    model = loop_over_blocks(packaged_model(), outputs, layout, 1024, ["with_strangeness"])
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


def test_an_output_of_another_length_is_refused(model_maker: Any, digits: np.ndarray) -> None:
    """Two numbers a row, which look like twice as many rows."""
    model = model_maker(3, best=True)
    model.graph.node[-1].output[0] = "once"
    twice = helper.make_node("Concat", ["once", "once"], ["confidence"], axis=0)
    model.graph.node.append(twice)
    engine = OnnxEngine(model.SerializeToString(), 3)
    for rows in (900, ROWS):
        with pytest.raises(BundleError, match="gave confidence of shape"):
            engine.most_probable(digits[:rows])


def test_a_model_whose_names_are_those_of_the_loop_is_refused(model_maker: Any) -> None:
    """In one line; train never makes such a model."""
    model = model_maker(3, best=True)
    clash = helper.make_tensor("loop/begin", TensorProto.INT64, [1], [0])
    model.graph.initializer.append(clash)
    engine = OnnxEngine(model.SerializeToString(), 3)
    with pytest.raises(BundleError, match="rebuild the bundle with train"):
        engine.most_probable(np.zeros((ROWS, 64), np.uint8))
