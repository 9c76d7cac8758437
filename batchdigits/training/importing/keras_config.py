"""The config of a Keras model, read by hand: its layers, from the input to the output."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from batchdigits.errors import BundleError, UnusableInputError
from batchdigits.training.importing.keras_layers import (
    INACTIVE,
    READERS,
    LayerConfig,
    as_damage,
    shown,
)

MOST_LAYERS = 200


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """A model: the shape of a row, and its layers from the input to the output.

    everything  all layers in the order of the file, by which a `.keras` file names their weights
    """

    shape: tuple[Any, ...]
    chain: tuple[LayerConfig, ...]
    everything: tuple[LayerConfig, ...]


def read_config(document: Any) -> ModelConfig:
    """Read the JSON of a Sequential or functional model.

    Raises UnusableInputError for a model that is not one chain of known layers, BundleError for
    a Lambda, which holds code, and for a document that Keras did not write.
    """
    with as_damage():
        kind, config = document["class_name"], document["config"]
        if kind not in ("Sequential", "Functional", "Model"):
            raise UnusableInputError(
                f"is of the class {shown(kind)}, expected a Sequential or a functional model; "
                "build one of these from the same layers, and copy the weights"
            )
        nodes = config if isinstance(config, list) else config["layers"]
        layers = tuple(_layer_config(node) for node in nodes)
        if len(layers) > MOST_LAYERS:
            raise UnusableInputError(f"has {len(layers)} layers, expected {MOST_LAYERS} at most")
        chain = layers if kind == "Sequential" else tuple(_chain(layers, config))
        shape = _input_shape(layers, chain, document)
        return ModelConfig(shape, chain, layers)


def _layer_config(node: Any) -> LayerConfig:
    kind, options = node["class_name"], node["config"]
    name = node.get("name") or options.get("name") or kind
    if not isinstance(kind, str) or not isinstance(name, str) or not isinstance(options, dict):
        raise TypeError("a layer without a name, a class or a config")
    where = f"layer {shown(name)!r}"
    if "Lambda" in kind:
        raise BundleError(
            f"{where} is a {shown(kind)}, which holds code: refused; write it with layers of Keras"
        )
    if kind in ("Sequential", "Functional", "Model"):
        raise UnusableInputError(
            f"{where} is a model inside the model; build one model of the layers of both"
        )
    custom = node.get("registered_name") not in (None, kind)
    if custom or (kind not in READERS and kind not in INACTIVE):
        raise UnusableInputError(
            f"{where} is a {shown(kind)}{' of your own' if custom else ''}, which import can't "
            f"rewrite; it knows {', '.join(sorted({*READERS, *INACTIVE}))}: train without it"
        )
    return LayerConfig(name, kind, options, node.get("inbound_nodes"))


def _chain(layers: Sequence[LayerConfig], config: Any) -> Iterator[LayerConfig]:
    """The layers of a functional model from the input to the output; each has one before it."""
    by_name = {layer.name: layer for layer in layers}
    ends = [_named(config[side]) for side in ("input_layers", "output_layers")]
    if len(by_name) != len(layers):
        raise TypeError("two layers of one name")
    if [len(names) for names in ends] != [1, 1]:
        raise UnusableInputError(
            f"has {len(ends[0])} inputs and {len(ends[1])} outputs, expected one of each"
        )
    way = [by_name[ends[1][0]]]
    while way[-1].name != ends[0][0]:
        before = _layers_before(way[-1])
        if len(before) != 1 or len(way) > len(layers):
            raise UnusableInputError(
                f"layer {shown(way[-1].name)!r} ({way[-1].kind}) has {len(before)} layers before "
                "it, expected one: import takes a chain without branches"
            )
        way.append(by_name[before[0]])
    unused = sorted(set(by_name) - {layer.name for layer in way})
    if unused:
        raise UnusableInputError(
            f"layer {shown(unused[0])!r} is beside the way from input to output: import takes a "
            "chain without branches"
        )
    yield from reversed(way)


def _layers_before(layer: LayerConfig) -> list[str]:
    """The names of the layers whose values a layer takes, over all of its calls."""
    for node in layer.inbound or ():
        calls = node if isinstance(node, list) else [node]
        kwargs = [call[3] if isinstance(call, list) and len(call) > 3 else call for call in calls]
        if any(isinstance(k, dict) and k.get("kwargs", k).get("training") for k in kwargs):
            raise UnusableInputError(
                f"layer {shown(layer.name)!r} is called with training=True, so its answers are "
                "drawn by chance; call it without"
            )
    return _named(layer.inbound)


def _named(node: Any) -> list[str]:
    """The layer's name in each mention of a tensor: ["dense", 0, 0, …], alone or inside others."""
    if isinstance(node, dict):
        if node.get("class_name") == "__keras_tensor__":
            return _named(node["config"]["keras_history"])
        return [name for child in node.values() for name in _named(child)]
    if isinstance(node, list):
        if len(node) >= 3 and isinstance(node[0], str) and type(node[1]) is type(node[2]) is int:
            return [node[0]]
        return [name for child in node for name in _named(child)]
    return []


def _input_shape(
    layers: Sequence[LayerConfig], chain: Sequence[LayerConfig], document: Any
) -> tuple[Any, ...]:
    """The shape of one row, from wherever this version of Keras wrote it."""
    first, config = chain[0].options, document["config"]
    outer = config if isinstance(config, dict) else {}
    for place, key in (
        *((first, key) for key in ("batch_shape", "batch_input_shape")),
        *((layers[0].options, key) for key in ("batch_shape", "batch_input_shape")),
        (outer, "build_input_shape"),
        (document.get("build_config") or {}, "input_shape"),
    ):
        if place.get(key):
            return tuple(place[key][1:])
    raise UnusableInputError(
        "does not say what it takes; give its first layer an input shape, such as "
        "keras.Input((64,)), and save it again"
    )
