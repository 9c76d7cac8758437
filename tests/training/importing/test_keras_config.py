"""The config of a Keras model, read by hand."""

from __future__ import annotations

from typing import Any

import pytest
from saved_models import DENSE, layer_config, sequential

from batchdigits.errors import BundleError, UnusableInputError
from batchdigits.training.importing.keras_config import read_config


def inbound(name: str, **kwargs: Any) -> list[Any]:
    """A layer's inputs as Keras 3 writes them."""
    history = {"keras_history": [name, 0, 0]}
    tensor = {"class_name": "__keras_tensor__", "config": history}
    return [{"args": [tensor], "kwargs": kwargs}]


def functional(*layers: tuple[dict[str, Any], Any], output: str = "dense") -> dict[str, Any]:
    first = layer_config("InputLayer", "input", batch_shape=[None, 8, 8])
    nodes = [
        {**layer, "name": layer["config"]["name"], "inbound_nodes": into}
        for layer, into in ((first, []), *layers)
    ]
    ends = {"input_layers": [["input", 0, 0]], "output_layers": [[output, 0, 0]]}
    return {"class_name": "Functional", "config": {"layers": nodes, **ends}}


FLATTEN = layer_config("Flatten", "flat", data_format="channels_last")


def test_a_sequential_model_is_its_layers_in_order() -> None:
    dropout = layer_config("Dropout", "drop", rate=0.5, seed=None, noise_shape=None)
    config = read_config(sequential(dropout, DENSE))
    assert config.shape == (64,)
    assert [layer.name for layer in config.chain] == ["input", "drop", "dense"]


@pytest.mark.parametrize(
    "into", [inbound("flat"), [[["flat", 0, 0, {}]]]], ids=["Keras 3", "Keras 2"]
)
def test_a_functional_model_is_followed_from_its_output(into: Any) -> None:
    """Whatever the order of its layers in the file."""
    config = read_config(functional((DENSE, into), (FLATTEN, inbound("input"))))
    assert [layer.name for layer in config.chain] == ["input", "flat", "dense"]
    assert config.shape == (8, 8)


@pytest.mark.parametrize(
    "document",
    [
        {
            "class_name": "Sequential",
            "config": [
                {"class_name": "Dense", "config": {"units": 3, "batch_input_shape": [None, 64]}}
            ],
        },
        {"class_name": "Sequential", "config": {"layers": [DENSE], "build_input_shape": [2, 64]}},
        {
            "class_name": "Sequential",
            "config": {"layers": [DENSE]},
            "build_config": {"input_shape": [None, 64]},
        },
    ],
)
def test_the_input_is_found_wherever_a_version_wrote_it(document: Any) -> None:
    assert read_config(document).shape == (64,)


@pytest.mark.parametrize(
    ("document", "error", "told"),
    [
        (sequential(layer_config("Lambda", "f", function="x")), BundleError, "a Lambda, which hol"),
        (sequential(layer_config("TFOpLambda", "f")), BundleError, "TFOpLambda, which holds code"),
        (sequential(layer_config("LSTM", "f")), UnusableInputError, "'f' is a LSTM, which import"),
        (
            sequential({**DENSE, "class_name": "Mine", "registered_name": "my>Mine"}),
            UnusableInputError,
            "Mine of your own",
        ),
        (sequential({**DENSE, "registered_name": "my>Dense"}), UnusableInputError, "of your own"),
        (sequential(sequential(DENSE)), UnusableInputError, "a model inside the model"),
        ({"class_name": "MyModel", "config": {}}, UnusableInputError, "is of the class MyModel"),
        (sequential(*[DENSE] * 300), UnusableInputError, "has 301 layers"),
        ({"class_name": "Sequential", "config": {"layers": [DENSE]}}, UnusableInputError, "Input"),
        ([], BundleError, "Keras did not write"),
        ({"class_name": "Sequential"}, BundleError, "Keras did not write"),
        ({"class_name": "Sequential", "config": {"layers": [3]}}, BundleError, "did not write"),
        ({"class_name": "Sequential", "config": {"layers": []}}, BundleError, "did not write"),
        (
            functional((FLATTEN, inbound("input")), (DENSE, inbound("flat") + inbound("input"))),
            UnusableInputError,
            "has 2 layers before it, expected one",
        ),
        (
            functional((FLATTEN, inbound("input")), (DENSE, inbound("input"))),
            UnusableInputError,
            "'flat' is beside the way",
        ),
        (
            functional((FLATTEN, inbound("dense")), (DENSE, inbound("flat"))),
            UnusableInputError,
            "chain without branches",
        ),
        (
            functional((FLATTEN, inbound("input", training=True)), (DENSE, inbound("flat"))),
            UnusableInputError,
            "drawn by chance",
        ),
        (functional((DENSE, inbound("gone"))), BundleError, "Keras did not write"),
    ],
)
def test_what_is_no_chain_of_known_layers_is_refused(document: Any, error: Any, told: str) -> None:
    with pytest.raises(error, match=told):
        read_config(document)
