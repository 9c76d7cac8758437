"""The two files that Keras saves a model in: `.keras`, a ZIP, and `.h5`, an HDF5 file.

Both hold a config, which names layers, and arrays of weights. They are read here as data; Keras'
own loader is never called, since for `.h5` it runs code that the file names.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from batchdigits.archive.container import MAX_FILE_BYTES
from batchdigits.archive.strict_json import parse_json
from batchdigits.engines.keras.hdf5 import open_hdf5, read_texts
from batchdigits.engines.keras.model_file import MEMBERS, WEIGHTS
from batchdigits.errors import BundleError, UnusableInputError
from batchdigits.text import listing
from batchdigits.training.importing.keras_config import ModelConfig, read_config
from batchdigits.training.importing.keras_layers import LayerConfig, read_layers
from batchdigits.training.importing.network import Floats, Network, as_floats, make_network
from batchdigits.training.importing.saved import Saved

_ZIP = b"PK\x03\x04"
_HDF5 = b"\x89HDF\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class KerasModel:
    """A network, and the version of Keras that saved it."""

    network: Network
    version: str


def read_keras(saved: Saved) -> KerasModel:
    """Read a model from a `.keras` or `.h5` file; the first bytes decide which it is.

    Raises UnusableInputError for a file of another kind and for a model that can't be rewritten,
    BundleError for one that is damaged, or that holds code or points at other files.
    """
    try:
        if saved.data.startswith(_ZIP):
            return _read_archive(saved)
        if saved.data.startswith(_HDF5):
            return _read_h5(saved)
    except (BundleError, UnusableInputError) as error:
        message = str(error)
        named = message if message.startswith(saved.name) else f"{saved.name}: {message}"
        raise type(error)(named) from error
    raise UnusableInputError(
        f"{saved.name}: is no Keras model, expected a .keras or .h5 file, as model.save writes it"
    )


def _read_archive(saved: Saved) -> KerasModel:
    members = _members(saved.data)
    version = _text(_json(members["metadata.json"], "metadata.json").get("keras_version"))
    config = read_config(_json(members["config.json"], "config.json"))
    with open_hdf5(members[WEIGHTS], saved.name) as file:
        paths = dict(zip((layer.name for layer in config.everything), _paths(config), strict=True))
        weights = [_stored(file, paths[layer.name], layer) for layer in config.chain]
    return _model(saved, config, weights, version)


def _members(data: bytes) -> dict[str, bytes]:
    """The members of the ZIP, which must be the three that Keras writes, and not too large."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            names = sorted(entry.filename for entry in entries)
            if names != sorted(MEMBERS):
                raise UnusableInputError(
                    f"is a ZIP file of {listing(names)[:200]}, expected {listing(sorted(MEMBERS))}"
                )
            if sum(entry.file_size for entry in entries) > MAX_FILE_BYTES:
                raise BundleError(f"unpacks to more than {MAX_FILE_BYTES >> 20} MiB: refused")
            return {entry.filename: archive.read(entry) for entry in entries}
    except (zipfile.BadZipFile, EOFError, OSError, RuntimeError, ValueError) as error:
        raise BundleError(f"can't be unpacked ({error}): copy it again") from error


def _json(text: bytes, name: str) -> dict[str, Any]:
    document = parse_json(text, name, MAX_FILE_BYTES)
    if not isinstance(document, dict):
        raise BundleError(f"{name} holds no object: damaged")
    return document


def _paths(config: ModelConfig) -> list[str]:
    """Where a `.keras` file keeps each layer's weights: numbered by class, as `dense_1`."""
    seen: Counter[str] = Counter()
    paths = []
    for layer in config.everything:
        words = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", layer.kind)
        name = re.sub("([a-z])([A-Z])", r"\1_\2", words).lower()
        paths.append(f"layers/{name}_{seen[name]}" if seen[name] else f"layers/{name}")
        seen[name] += 1
    return paths


def _stored(file: Any, path: str, layer: LayerConfig) -> list[Floats]:
    group = file.get(f"{path}/vars")
    if group is None:
        return []
    written = read_texts(group, "name") or [layer.name]  # since Keras 3.7
    if written != [layer.name]:
        raise BundleError(f"its weights of layer {layer.name!r} are those of {written}: damaged")
    return [_floats(group[str(number)], layer) for number in range(len(group))]


def _read_h5(saved: Saved) -> KerasModel:
    with open_hdf5(saved.data, saved.name) as file:
        text = read_texts(file, "model_config")
        if not text:
            raise UnusableInputError(
                "has no model, only weights or other data; save the whole model with "
                "model.save('model.keras')"
            )
        version = _text((read_texts(file, "keras_version") or [""])[0])
        document = parse_json(text[0].encode("utf-8", "replace"), "model_config", MAX_FILE_BYTES)
        config = read_config(document)
        weights = [_named_weights(file, layer) for layer in config.chain]
    return _model(saved, config, weights, version)


def _named_weights(file: Any, layer: LayerConfig) -> list[Floats]:
    group = file["model_weights"].get(layer.name)
    names = None if group is None else read_texts(group, "weight_names")
    return [_floats(group[name], layer) for name in names or ()]


def _model(
    saved: Saved, config: ModelConfig, weights: Sequence[Sequence[Floats]], version: str
) -> KerasModel:
    layers = read_layers(config.chain, weights, version)
    return KerasModel(make_network(saved.name, config.shape, layers), version)


def _floats(dataset: Any, layer: LayerConfig) -> Floats:
    if getattr(dataset, "dtype", np.dtype("V1")).kind not in "fiu":
        raise BundleError(f"its weights of layer {layer.name!r} are no numbers: damaged")
    return as_floats(np.asarray(dataset[()]))


def _text(value: Any) -> str:
    return str(value)[:40]
