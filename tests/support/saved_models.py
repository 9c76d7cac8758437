"""Saved models made in memory, and networks of a few units."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import h5py
import joblib
import numpy as np

from batchdigits.training.importing.network import Layer, Network
from batchdigits.training.importing.saved import Saved


def joblibbed(estimator: Any, **options: Any) -> Saved:
    """An estimator as joblib saves it."""
    sink = io.BytesIO()
    joblib.dump(estimator, sink, **options)
    return Saved("part.joblib", sink.getvalue())


def dense(units: int, inputs: int, seed: int = 0) -> Layer:
    """A Dense layer with random weights."""
    random = np.random.default_rng(seed)
    kernel, bias = random.normal(0, 0.3, (inputs, units)), random.normal(0, 0.3, units)
    weights = (kernel.astype(np.float32), bias.astype(np.float32))
    return Layer("Dense", {"units": units, "use_bias": True}, weights)


def network(*layers: Layer, output: str = "softmax") -> Network:
    """A network of plain rows."""
    return Network("model.h5", (64,), layers, output)


def layer_config(kind: str, name: str, **options: Any) -> dict[str, Any]:
    """A layer's entry in a config, as Keras 3 writes it in a `.keras` file."""
    return {
        "module": "keras.layers",
        "class_name": kind,
        "config": {"name": name, "trainable": True, "dtype": "float32", **options},
        "registered_name": None,
    }


def sequential(*layers: dict[str, Any]) -> dict[str, Any]:
    """The config of a Sequential model of 64 pixels."""
    first = layer_config("InputLayer", "input", batch_shape=[None, 64])
    return {"class_name": "Sequential", "config": {"layers": [first, *layers]}}


DENSE = layer_config("Dense", "dense", units=3, activation="softmax", use_bias=True)
WEIGHTS = {"layers/dense/vars/0": np.ones((64, 3)), "layers/dense/vars/1": np.ones(3)}


def h5_bytes(fill: Callable[[Any], object]) -> bytes:
    """An HDF5 file that a function fills."""
    sink = io.BytesIO()
    with h5py.File(sink, "w") as file:
        fill(file)
    return sink.getvalue()


def stored(weights: dict[str, Any]) -> bytes:
    """An HDF5 file of these datasets."""

    def fill(file: Any) -> None:
        for path, values in weights.items():
            file[path] = values

    return h5_bytes(fill)


def archive(
    config: Any = None, weights: bytes | None = None, *, compression: int = 0, **more: bytes
) -> Saved:
    """A `.keras` file."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", compression) as file:
        file.writestr("metadata.json", '{"keras_version": "3.15.1"}')
        file.writestr("config.json", json.dumps(config or sequential(DENSE)))
        file.writestr("model.weights.h5", stored(WEIGHTS) if weights is None else weights)
        for name, data in more.items():
            file.writestr(name.replace("__", "."), data)
    return Saved("model.keras", sink.getvalue())


def h5_model(config: Any = None, fill: Callable[[Any], object] = lambda _: None) -> Saved:
    """A `.h5` file as Keras writes it, with more that `fill` puts into it."""

    def write(file: Any) -> None:
        file.attrs["model_config"] = json.dumps(config or sequential(DENSE))
        file.attrs["keras_version"] = "2.15.0"
        group = file.create_group("model_weights/dense")
        group.attrs["weight_names"] = ["dense/kernel:0", "dense/bias:0"]
        group["dense/kernel:0"], group["dense/bias:0"] = np.ones((64, 3)), np.ones(3)
        fill(file)

    return Saved("model.h5", h5_bytes(write))
