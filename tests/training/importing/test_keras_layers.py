"""The layers of a Keras config, read by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from saved_models import DENSE, layer_config, sequential

from batchdigits.errors import BundleError, UnusableInputError
from batchdigits.training.importing.keras_config import read_config
from batchdigits.training.importing.keras_layers import read_layers

KERNEL = [np.ones((64, 3), np.float32), np.ones(3, np.float32)]


def test_layers_that_only_act_in_training_are_left_out() -> None:
    dropout = layer_config("Dropout", "drop", rate=0.5, seed=None, noise_shape=None)
    chain = read_config(sequential(dropout, DENSE)).chain
    layers = read_layers(chain, [[], [], KERNEL], "3.15.1")
    assert [layer.words for layer in layers] == ["Dense 3", "Activation softmax"]
    np.testing.assert_array_equal(layers[0].weights[0], KERNEL[0])


@pytest.mark.parametrize(
    ("kind", "options", "told"),
    [
        ("Dense", {"units": "3"}, "units=3, which is not known"),
        ("Dense", {"units": 3, "lora_rank": 4}, "lora_rank=4, which import does not know"),
        ("Dense", {"units": 3, "dtype": "mixed_float16"}, "computes in mixed_float16"),
        (
            "Dense",
            {"units": 3, "dtype": {"class_name": "Policy", "config": {"name": "bfloat16"}}},
            "computes in bfloat16",
        ),
        ("Dense", {"units": 3, "activation": "my_own"}, "the activation my_own; import knows elu"),
        (
            "Dense",
            {"units": 3, "activation": {"class_name": "function", "config": "f"}},
            "the activation f",
        ),
        ("Activation", {"activation": "hard_sigmoid"}, "hard_sigmoid of Keras 2"),
        ("Conv2D", {"filters": 3, "kernel_size": [3, 3], "groups": 2}, "groups=2, expected 1"),
        ("MaxPooling2D", {"data_format": "channels_first"}, "expected channels_last"),
        ("MaxPooling2D", {"pool_size": [2, 2, 2]}, "pool_size"),
        ("BatchNormalization", {"axis": [1, 2]}, "axis=.1, 2."),
        ("BatchNormalization", {"renorm": True}, "renorm=True"),
        ("Normalization", {"axis": [-1]}, "never adapted"),
        ("Normalization", {"axis": [-1], "invert": True}, "invert=True"),
        ("Softmax", {"axis": 1}, "axis=1, expected -1"),
    ],
)
def test_an_option_that_changes_what_a_layer_computes_is_known_or_refused(
    kind: str, options: Any, told: str
) -> None:
    config = read_config(sequential(layer_config(kind, "odd", **options)))
    with pytest.raises(UnusableInputError, match=told):
        read_layers(config.chain, [[], []], "2.15.0")


def test_a_lambda_as_activation_is_code() -> None:
    odd = layer_config("Dense", "odd", units=3, activation={"class_name": "__lambda__"})
    with pytest.raises(BundleError, match="has a lambda as its activation"):
        read_layers(read_config(sequential(odd)).chain, [[], []], "3.15.1")
