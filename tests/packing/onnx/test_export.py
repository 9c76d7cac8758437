from dataclasses import replace

import numpy as np
import onnx
import pytest

from batchdigits.engines.onnx.engine import OnnxEngine
from batchdigits.errors import InternalError
from batchdigits.packing.onnx.export import check_agreement, export_onnx
from batchdigits.packing.onnx.multiplications import count_in_graph, count_in_network
from batchdigits.training.data import Labelled
from batchdigits.training.fit import Fitted, fit
from batchdigits.training.settings import make_settings

SCALER = ["Mul", "Add"]
BEST = ["ArgMax", "ReduceMax"]
IMAGE = ["Reshape", "Conv", "Relu", "Conv", "Relu", "MaxPool", "Transpose", "Reshape"]
COLUMNS = ["Transpose", "Reshape"]
SOFTMAX = ["Reshape", "ReduceMax", "Sub", "Exp", "ReduceSum", "Reciprocal", "Mul"]
OPERATORS = {
    "mlp": [*COLUMNS, "Conv", "Relu", "Conv", *SOFTMAX, "ArgMax", "Transpose"],
    "mlp2": [*COLUMNS, "Conv", "Relu", "Conv", "Relu", "Conv", *SOFTMAX, "ArgMax", "Transpose"],
    "cnn": [*SCALER, *IMAGE, "Gemm", "Relu", "Gemm", "Softmax", *BEST],
}


@pytest.mark.parametrize("arch", OPERATORS)
def test_the_graph_is_the_network_and_no_more(digits: Labelled, arch: str) -> None:
    """Dropout and shape computations leave no trace, the scaler is a part of the first layer."""
    settings = make_settings(arch=arch, epochs=1, copies=1, units=24, dropout=0.3)
    fitted = fit(digits.pixels, digits.targets, digits.classes, settings)
    data = export_onnx(fitted)
    graph = onnx.load_from_string(data).graph
    assert [node.op_type for node in graph.node] == OPERATORS[arch]
    agreement = check_agreement(fitted, data, digits.pixels, 0)
    assert agreement.data_rows == 1797
    assert agreement.labels_differ == 0


def test_the_same_model_gives_the_same_bytes(small_fit: Fitted) -> None:
    """Whatever the process exported before."""
    assert export_onnx(small_fit) == export_onnx(small_fit)


def test_pixels_go_in_raw_and_any_number_of_them(small_fit: Fitted, digits: Labelled) -> None:
    engine = OnnxEngine(export_onnx(small_fit), 10)
    rows = digits.pixels[:3].astype(np.uint8)
    assert np.allclose(engine.probabilities(rows), small_fit.probabilities(rows), atol=1e-5)


def test_constant_pixels_are_as_the_scaler_has_them(digits: Labelled) -> None:
    """StandardScaler divides them by 1; a pixel that is constant in training may move later."""
    pixels = digits.pixels[:300].copy()
    pixels[:, :20] = 5.0
    settings = make_settings(epochs=1, copies=1, units=16)
    fitted = fit(pixels, digits.targets[:300], digits.classes, settings)
    assert check_agreement(fitted, export_onnx(fitted), digits.pixels, 0).holds


def test_a_graph_that_differs_is_refused_with_the_figures(
    small_fit: Fitted, digits: Labelled
) -> None:
    """One weight off by a hundredth is caught."""
    model = onnx.load_from_string(export_onnx(small_fit))
    (last,) = (part for part in model.graph.initializer if part.name == "layer_2_weights")
    weights = onnx.numpy_helper.to_array(last).copy()
    weights[0, 20] += 0.01
    last.CopyFrom(onnx.numpy_helper.from_array(weights, last.name))
    with pytest.raises(InternalError, match=r"differs from scaler and Keras by .* on 1797 rows"):
        check_agreement(small_fit, model.SerializeToString(), digits.pixels, 0)


def test_a_nan_is_no_agreement(small_fit: Fitted, digits: Labelled) -> None:
    agreement = check_agreement(small_fit, export_onnx(small_fit), digits.pixels[:9], 0)
    assert agreement.holds
    assert not replace(agreement, random_worst=float("nan")).holds


def test_windows_of_pixels_become_groups(digits: Labelled) -> None:
    """The network's zeros are left out of the graph, which still equals Keras."""
    settings = make_settings(epochs=1, copies=1)
    fitted = fit(digits.pixels, digits.targets, digits.classes, settings)
    data = export_onnx(fitted)
    assert count_in_graph(data) < 0.7 * count_in_network(fitted.model)
    assert check_agreement(fitted, data, digits.pixels, 0).holds
