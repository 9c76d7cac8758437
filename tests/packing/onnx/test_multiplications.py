"""Multiplications are counted alike in a network and in its graph."""

import pytest

from batchdigits.packing.onnx.export import export_onnx
from batchdigits.packing.onnx.multiplications import count_in_graph, count_in_network
from batchdigits.training.data import Labelled
from batchdigits.training.fit import Fitted, fit
from batchdigits.training.settings import make_settings


def test_a_dense_network_has_one_for_each_weight(small_fit: Fitted) -> None:
    assert count_in_network(small_fit.model) == 64 * 40 + 40 * 10
    assert count_in_graph(export_onnx(small_fit)) == 64 * 40 + 40 * 10


def test_what_strangeness_needs_is_not_counted(small_fit: Fitted, digits: Labelled) -> None:
    graph = export_onnx(small_fit, digits.pixels[:9].astype("float32"))
    assert count_in_graph(graph) == count_in_network(small_fit.model)


@pytest.mark.parametrize("layers", [1, 2])
def test_a_convolution_multiplies_at_each_place(digits: Labelled, layers: int) -> None:
    settings = make_settings(arch="cnn", epochs=1, copies=0, units=8, layers=layers)
    fitted = fit(digits.pixels[:200], digits.targets[:200], digits.classes, settings)
    filters = 16 * layers
    convolutions = 64 * 9 * (16 if layers == 1 else 16 + 16 * 32)
    expected = convolutions + 16 * filters * 8 + 8 * 10
    assert count_in_network(fitted.model) == expected
    assert count_in_graph(export_onnx(fitted)) == expected
