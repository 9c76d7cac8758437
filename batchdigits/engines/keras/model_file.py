"""Checks of `model.keras` before Keras opens it: known members, known layers, nothing else.

A `.keras` file is a ZIP of `config.json`, which names classes to build, and of weights. Keras'
safe mode refuses lambdas. The checks here also refuse every class that our networks don't need:
some of those read files, or call any function that the config names.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Iterator
from typing import Any

from batchdigits.archive.container import MAX_FILE_BYTES
from batchdigits.archive.strict_json import parse_json
from batchdigits.engines.keras.hdf5 import open_hdf5
from batchdigits.errors import BundleError, naming
from batchdigits.text import listing

WEIGHTS = "model.weights.h5"
MEMBERS = {"metadata.json", "config.json", WEIGHTS}

LAYERS = frozenset(
    {
        *("InputLayer", "Dense", "Conv2D", "DepthwiseConv2D", "SeparableConv2D"),
        *("MaxPooling2D", "AveragePooling2D", "GlobalMaxPooling2D", "GlobalAveragePooling2D"),
        *("Reshape", "Flatten", "ZeroPadding2D", "Rescaling", "Add", "Concatenate"),
        *("Activation", "ReLU", "LeakyReLU", "ELU", "Softmax"),
        *("BatchNormalization", "LayerNormalization"),
        *("Dropout", "SpatialDropout2D", "GaussianDropout", "GaussianNoise"),
        *("RandomTranslation", "RandomRotation", "RandomZoom"),
    }
)
_INITIALIZERS = frozenset(
    {
        *("Zeros", "Ones", "Constant", "RandomNormal", "RandomUniform", "TruncatedNormal"),
        *("GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform"),
        *("LecunNormal", "LecunUniform", "VarianceScaling", "Orthogonal"),
    }
)
_NAMES_OF_MODULES: dict[str | None, frozenset[str]] = {
    "keras.layers": LAYERS,
    "keras.initializers": _INITIALIZERS,
    "keras.regularizers": frozenset({"L1", "L2", "L1L2"}),
    "keras": frozenset({"Sequential", "Functional", "Model", "DTypePolicy"}),
    "keras.models": frozenset({"Sequential", "Functional", "Model"}),
    "keras.src.models.functional": frozenset({"Functional"}),
    # These mark a tensor's place in the graph, and a tuple. Keras reads them as data.
    None: frozenset({"__keras_tensor__", "__tuple__"}),
}


LARGEST_LAYER = 1 << 17
"""The most values that a layer may give for one row; our networks give a few thousand."""


def check_keras_archive(data: bytes) -> Any:
    """Raise BundleError unless `model.keras`, given as bytes, is an allowed network only.

    Returns its config, as Keras deserializes it.
    """
    config = _read_config(data)
    odd = sorted({_forbidden_name(node) for node in _named_nodes(config, 0)} - {""})
    if odd:
        raise BundleError(
            f"model.keras names {listing(odd)}, which our networks don't need: refused"
        )
    return config


def check_keras_sizes(config: Any, stored: int) -> None:
    """Raise BundleError for a network whose weights need more than `stored` bytes, or wide layers.

    A config of a few bytes can ask for terabytes. Keras works the shapes out from it here, and
    makes no weights. Call `check_keras_archive` first; raises what Keras raises for a bad config.
    """
    import keras
    from keras.src.backend.common import global_state

    # Keras would make these weights at the end of its next scope of this kind.
    waiting = list(global_state.get_global_attribute(_WAITING) or [])
    try:
        with keras.StatelessScope(initialize_variables=False):
            model = keras.saving.deserialize_keras_object(config, safe_mode=True)
    finally:
        global_state.set_global_attribute(_WAITING, waiting)
    needed = sum(math.prod(weight.shape) for weight in model.weights) * _SMALLEST_WEIGHT
    if needed > stored:
        raise BundleError(
            f"model.keras describes weights of at least {needed} bytes and has {stored}: refused"
        )
    widest = max((_values(layer) for layer in model.layers), default=0)
    if widest > LARGEST_LAYER:
        raise BundleError(
            f"model.keras has a layer that gives {widest} values a row, expected at most "
            f"{LARGEST_LAYER}: refused"
        )


_WAITING = "uninitialized_variables"
_SMALLEST_WEIGHT = 2  # bytes of a float16


def _values(layer: Any) -> int:
    """Return how many values a row has at the widest output of a layer."""
    shapes = [tensor.shape for node in layer._inbound_nodes for tensor in node.output_tensors]  # noqa: SLF001
    return max((math.prod(size or 1 for size in shape) for shape in shapes), default=0)


def check_keras_weights(data: bytes) -> None:
    """Raise BundleError unless `model.keras` stores all of its weights itself, in full.

    Call `check_keras_archive` first.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            weights = archive.read(WEIGHTS)
    except (OSError, KeyError, zipfile.BadZipFile, EOFError) as error:
        raise BundleError(f"model.keras has weights that can't be read ({error})") from error
    with open_hdf5(weights, "model.keras"):
        pass


def _read_config(data: bytes) -> Any:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            _check_entries(entries)
            config = archive.read("config.json")
    except (zipfile.BadZipFile, ValueError, EOFError) as error:
        raise BundleError(f"model.keras can't be read ({error})") from error
    except (KeyError, NotImplementedError, OSError) as error:
        raise BundleError(f"model.keras is not an archive that Keras wrote ({error})") from error
    with naming("model.keras"):
        return parse_json(config, "config.json", MAX_FILE_BYTES)


def _check_entries(entries: list[zipfile.ZipInfo]) -> None:
    names = sorted(entry.filename for entry in entries)
    if names != sorted(MEMBERS):
        raise BundleError(
            f"model.keras has members {listing(names)}, expected {listing(sorted(MEMBERS))}"
        )
    stored = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
    if not stored or sum(entry.file_size for entry in entries) > MAX_FILE_BYTES:
        raise BundleError("model.keras has compressed or oversized members, Keras stores them")


def _named_nodes(node: Any, depth: int) -> Iterator[dict[str, Any]]:
    """Yield every object of the config that names a class, a module, or a registered class."""
    if depth > 64:
        raise BundleError("model.keras has a config nested deeper than 64 levels")
    if isinstance(node, dict):
        if node.keys() & {"class_name", "module", "registered_name"}:
            yield node
        for child in node.values():
            yield from _named_nodes(child, depth + 1)
    elif isinstance(node, list):
        for child in node:
            yield from _named_nodes(child, depth + 1)


def _forbidden_name(node: dict[str, Any]) -> str:
    """Return the name in a node that is not allowed; empty for an allowed node."""
    name, module, registered = (
        node.get(key) for key in ("class_name", "module", "registered_name")
    )
    known = isinstance(module, str | None) and isinstance(name, str)
    if known and name in _NAMES_OF_MODULES.get(module, ()) and registered in (None, name):
        return ""
    return f"{str(module)[:60]}.{str(name)[:60]}" + (
        f" (as {str(registered)[:60]})" if registered not in (None, name) else ""
    )
