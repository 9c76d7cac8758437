"""The optional output `strangeness`, in graphs of either kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from small_bundles import make_model, make_pixels

from batchdigits.engines.onnx.engine import OnnxEngine
from batchdigits.errors import BundleError, InternalError
from batchdigits.packing.onnx.strangeness import add_strangeness, check_strangeness, distance

CENTRES = make_pixels(30, seed=5).astype(np.float32)


def measuring(*, best: bool) -> onnx.ModelProto:
    model = make_model(3, best=best)
    add_strangeness(model, CENTRES)
    onnx.checker.check_model(model, full_check=True)
    return model


@pytest.mark.parametrize("best", [True, False])
def test_strangeness_is_the_distance_to_the_nearest_centre(best: bool) -> None:
    """And whatever the graph gave before, it gives to the bit."""
    engine = OnnxEngine(measuring(best=best).SerializeToString(), 3)
    plain = OnnxEngine(make_model(3, best=best).SerializeToString(), 3)
    pixels = np.vstack([make_pixels(2500), CENTRES.astype(np.uint8)])
    for one in (pixels, np.asfortranarray(pixels), pixels.astype(np.float32)):
        *values, strangeness = engine.measure(one)
        np.testing.assert_allclose(strangeness, distance(pixels, CENTRES), atol=1e-2)
        for value, expected in zip(values, plain.most_probable(one), strict=True):
            np.testing.assert_array_equal(value, expected)
    np.testing.assert_array_equal(engine.probabilities(pixels), plain.probabilities(pixels))
    assert engine.measures
    assert not plain.measures


def test_strangeness_that_is_not_asked_for_is_nan() -> None:
    """The switch need not be given: the graph takes pixels alone, as it always did."""
    session = onnxruntime.InferenceSession(measuring(best=True).SerializeToString())
    assert [one.name for one in session.get_inputs()] == ["pixels"]
    (strangeness,) = session.run(["strangeness"], {"pixels": np.zeros((4, 64), np.float32)})
    assert strangeness.shape == (4,)
    assert np.isnan(strangeness).all()


def test_rows_on_a_centre_that_are_no_whole_numbers_are_packed() -> None:
    """Their distance is 0, and hundredths in float32: small against a threshold of 20."""
    generator = np.random.default_rng(0)
    pixels = generator.uniform(0, 16, (2000, 64))
    centres = pixels[:100].astype(np.float32)
    model = make_model(3)
    add_strangeness(model, centres)
    check_strangeness(model.SerializeToString(), 3, centres, pixels)
    check_strangeness(model.SerializeToString(), 3, centres, pixels * 16 / 255)


def test_a_wrong_distance_is_not_packed() -> None:
    model = measuring(best=True).SerializeToString()
    pixels = make_pixels(20)
    check_strangeness(model, 3, CENTRES, pixels)
    with pytest.raises(InternalError, match="squared strangeness is off by"):
        check_strangeness(model, 3, CENTRES + 1, pixels)


def _rename(model: onnx.ModelProto) -> None:
    model.graph.output[-1].name = "oddness"
    model.graph.node[-1].output[0] = "oddness"


def _drop(model: onnx.ModelProto) -> None:
    del model.graph.output[-1]


def _another_switch(model: onnx.ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("more", TensorProto.BOOL, []))
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(False), "more"))


@pytest.mark.parametrize("change", [_rename, _drop, _another_switch])
def test_other_ports_are_refused(change: Any) -> None:
    model = measuring(best=True)
    change(model)
    with pytest.raises(BundleError, match=r"model\.onnx (gives|takes)"):
        OnnxEngine(model.SerializeToString(), 3)
