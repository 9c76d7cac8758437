"""A network as data, and the Keras model that is built from it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from saved_models import dense, network

from batchdigits.errors import BundleError, UnusableInputError, UsageError
from batchdigits.training.importing.network import (
    Layer,
    Network,
    build_model,
    make_network,
    output_matrix,
    output_width,
)

RELU = Layer("Activation", {"activation": "relu"})
SOFTMAX = Layer("Activation", {"activation": "softmax"})


def answers(made: Network, matrix: Any, rows: Any) -> Any:
    return build_model(made, np.asarray(matrix, float))(rows.astype(np.float32)).numpy()


@pytest.fixture
def rows() -> Any:
    return np.random.default_rng(1).normal(0, 1, (20, 64))


@pytest.mark.usefixtures("digits")
def test_outputs_are_sorted_by_a_permutation_of_the_last_layer(rows: Any) -> None:
    made = network(dense(8, 64), RELU, dense(3, 8))
    plain, sorted_ = (answers(made, matrix, rows) for matrix in (np.eye(3), np.eye(3)[[2, 0, 1]]))
    np.testing.assert_allclose(sorted_[:, [2, 0, 1]], plain, atol=1e-7)
    assert output_width(made) == 3
    np.testing.assert_allclose(plain.sum(axis=1), 1, atol=1e-6)


@pytest.mark.usefixtures("digits")
def test_a_sigmoid_becomes_the_second_of_two_probabilities(rows: Any) -> None:
    made = network(dense(1, 64), output="sigmoid")
    layer = made.layers[0]
    logits = rows.astype(np.float32) @ layer.weights[0] + layer.weights[1]
    found = answers(made, output_matrix(made, 1, logits=False), rows)
    np.testing.assert_allclose(found[:, 1], 1 / (1 + np.exp(-logits[:, 0])), atol=1e-6)


@pytest.mark.usefixtures("digits")
def test_a_network_without_a_dense_layer_at_its_end_gets_one(rows: Any) -> None:
    """Its outputs may be in another order too."""
    kernel = np.random.default_rng(0).normal(0, 1, (3, 3, 1, 4)).astype(np.float32)
    options = {"filters": 4, "kernel_size": (3, 3), "use_bias": False}
    pooled = Layer("GlobalMaxPooling2D", {"keepdims": False})
    made = Network("m", (8, 8, 1), (Layer("Conv2D", options, (kernel,)), pooled), "softmax")
    plain, sorted_ = (answers(made, matrix, rows) for matrix in (np.eye(4), np.eye(4)[::-1]))
    np.testing.assert_allclose(sorted_[:, ::-1], plain, atol=1e-6)


@pytest.mark.parametrize(
    ("output", "width", "logits", "error", "told"),
    [
        ("linear", 10, False, UnusableInputError, "has no softmax; .* give --logits"),
        ("softmax", 10, True, UsageError, "leave --logits out"),
        ("sigmoid", 10, False, UnusableInputError, "10 sigmoids"),
        ("softmax", 1, False, UnusableInputError, "softmax of one value is always 1"),
    ],
)
def test_outputs_that_are_no_probabilities_are_refused(
    output: str, width: int, logits: bool, error: Any, told: str
) -> None:
    with pytest.raises(error, match=told):
        output_matrix(network(dense(width, 64), output=output), width, logits=logits)


@pytest.mark.parametrize(
    ("shape", "layers", "error", "told"),
    [
        ((784,), [dense(3, 784)], UnusableInputError, "takes 784 values.*8 x 8 images"),
        ((28, 28, 1), [], UnusableInputError, "takes 28 x 28 x 1"),
        ((4, 16), [], UnusableInputError, "takes 4 x 16"),
        ((64,), [dense(3, 64), RELU], UnusableInputError, "ends with relu, expected softmax"),
        ((64,), [SOFTMAX], UnusableInputError, "ends with nothing"),
    ],
)
def test_another_input_or_output_is_refused(shape: Any, layers: Any, error: Any, told: str) -> None:
    with pytest.raises(error, match=told):
        make_network("model.h5", shape, layers)


def test_weights_that_are_not_finite_are_damage() -> None:
    broken = dense(3, 64)
    broken.weights[0][5, 1] = np.nan
    with pytest.raises(BundleError, match="Dense 3 has weights that are not finite"):
        make_network("model.h5", (64,), [broken, SOFTMAX])


@pytest.mark.usefixtures("digits")
@pytest.mark.parametrize(
    ("layers", "error", "told"),
    [
        ([dense(3, 63)], BundleError, "shapes 63 x 3, 3, its config needs 64 x 3, 3"),
        ([dense(8, 64), dense(3, 9)], BundleError, "needs 8 x 3, 3"),
        ([Layer("Dense", {"units": 10**9, "use_bias": False}, ())], BundleError, "shapes none"),
        ([Layer("Reshape", {"target_shape": (7, 9)})], UnusableInputError, "does not fit"),
        ([Layer("MaxPooling2D", {"pool_size": (2, 2)})], UnusableInputError, "does not fit"),
        ([dense(1 << 18, 64)], UnusableInputError, "gives 262144 values for a row"),
    ],
)
def test_layers_and_weights_that_do_not_fit_are_refused(layers: Any, error: Any, told: str) -> None:
    """Before Keras allots memory for what a config claims."""
    with pytest.raises(error, match=told):
        output_width(Network("model.h5", (64,), tuple(layers), "softmax"))


def test_the_facts_list_the_layers_in_words() -> None:
    facts = network(dense(8, 64), RELU, dense(3, 8)).facts
    layers = ["Dense 8", "Activation relu", "Dense 3", "Activation softmax"]
    assert facts == {"input_shape": [64], "layers": layers, "weights": 8 * 65 + 3 * 9}
