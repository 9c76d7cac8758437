"""Hostile bundles: every hash is right, and one member is not what it should be."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from paths import ROOT
from sklearn.preprocessing import LabelBinarizer, StandardScaler

from batchdigits.archive.bundle_file import build_bundle
from batchdigits.archive.container import pack, unpack
from batchdigits.archive.manifest import Manifest

REAL = ROOT / "tests" / "data" / "digits-format-1.bundle"
"""A bundle that train wrote, with a Keras model and scikit-learn objects of ten digits."""

Members = dict[str, bytes]


def real_members() -> tuple[Manifest, Members]:
    """Manifest and other members of the real bundle."""
    members = unpack(REAL.read_bytes())
    return Manifest.parse(members.pop("manifest.json")), members


def rehashed(**members: bytes) -> bytes:
    """The real bundle with members replaced, and every size and sha256 computed again."""
    manifest, found = real_members()
    found.update({name.replace("__", "."): data for name, data in members.items()})
    return build_bundle(manifest, found)


def with_facts(**facts: Any) -> bytes:
    """The real bundle with other facts in its manifest."""
    manifest, members = real_members()
    return build_bundle(replace(manifest, **facts), members)


def with_manifest_text(change: Callable[[str], str]) -> bytes:
    """The real bundle with the text of its manifest changed, which no hash covers."""
    members = unpack(REAL.read_bytes())
    members["manifest.json"] = change(members["manifest.json"].decode()).encode()
    return pack(members)


def zipped(*entries: tuple[str | zipfile.ZipInfo, bytes], compression: int = 0) -> bytes:
    """A ZIP file as Python writes it, with members of any name, any number of times."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", compression) as archive:
        for name, data in entries:
            archive.writestr(name, data, compression)
    return sink.getvalue()


def linked(name: str, target: str) -> tuple[zipfile.ZipInfo, bytes]:
    """A member that claims to be a symbolic link."""
    entry = zipfile.ZipInfo(name)
    entry.external_attr = 0o120777 << 16
    return entry, target.encode()


def lying_about(name: str, size: int, data: bytes) -> bytes:
    """A ZIP file whose central directory gives a false size for a member."""
    at = data.index(b"PK\x01\x02")
    while data[at + 46 : at + 46 + len(name)] != name.encode():
        at = data.index(b"PK\x01\x02", at + 1)
    return data[: at + 20] + struct.pack("<II", size, size) + data[at + 28 :]


# Pickles. `ran` is a file that each of them would make, or one that it would read.


class Calls:
    """Pickles as a call of `function` with `arguments`, and a state set on the result."""

    def __init__(self, function: Any, *arguments: Any, state: Any = None) -> None:
        self.value = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.value


def dumped(thing: Any, protocol: int = 4) -> bytes:
    sink = io.BytesIO()
    joblib.dump(thing, sink, protocol=protocol)
    return sink.getvalue()


def _scaler_with(**attributes: Any) -> StandardScaler:
    scaler = StandardScaler().fit(np.random.default_rng(0).integers(0, 17, (100, 64)))
    vars(scaler).update(attributes)
    return scaler


def _wrapper(ran: Path, **state: Any) -> bytes:
    """A joblib array header with a pickle in the array's place that runs a command."""
    wrapper = joblib.numpy_pickle.NumpyArrayWrapper(np.ndarray, (1,), "C", np.dtype("f8"))
    vars(wrapper).update(state)
    # Protocol 3: the bytes after an array's header must not follow the end of a frame.
    return (
        pickle.dumps(wrapper, 3)[:-1] + pickle.dumps(Calls(os.system, f"touch '{ran}'"), 4) + b"."
    )


def pickles(ran: Path) -> dict[str, bytes]:
    """Pickles by the way they take; each of them, unpickled freely, touches the file `ran`."""
    touch = f"touch '{ran}'"
    code = f"__import__('os').system({touch!r})"
    evil = Calls(os.system, touch)
    objects = np.array([evil], object)
    return {
        "os.system": dumped(evil),
        "protocol 0": dumped(evil, 0),
        "protocol 5": dumped(evil, 5),
        "eval": dumped(Calls(eval, code)),
        "exec": dumped(Calls(exec, code)),
        "a nested pickle": dumped(Calls(pickle.loads, pickle.dumps(evil))),
        "in an attribute": dumped(_scaler_with(mean_=evil)),
        "in a state": dumped(Calls(StandardScaler, state={"mean_": evil})),
        "as an argument": dumped(Calls(StandardScaler, evil)),
        "before the scaler": pickle.dumps(evil, 4)[:-1] + b"0" + dumped(_scaler_with())[2:],
        "behind the scaler": dumped([_scaler_with(), evil]),
        "an object array": dumped(_scaler_with(mean_=objects)),
        "a record of objects": dumped(np.array([(evil,)], [("a", "O")])),
        "an array header for objects": _wrapper(ran, dtype=np.dtype("O")),
        "an array header for a subclass": _wrapper(ran, subclass=_Subclass, dtype=np.dtype("O")),
        "the INST opcode": f"(S'{touch}'\nios\nsystem\n.".encode(),
        "the OBJ opcode": f"(cos\nsystem\nS'{touch}'\no.".encode(),
        "a dotted name": b"\x80\x04\x8c\x13joblib.numpy_pickle\x8c\x09os.system\x93"
        + pickle.dumps(touch, 4)[11:-2]
        + b"\x85R.",
        "compressed": _compressed(evil),
    }


class _Subclass(np.ndarray):
    pass


def _compressed(thing: Any) -> bytes:
    sink = io.BytesIO()
    joblib.dump(thing, sink, compress=("zlib", 3))
    return sink.getvalue()


def odd_scalers() -> dict[str, bytes]:
    """Scalers that run nothing and do not scale, by their defect."""
    return {
        "64 words": dumped(_scaler_with(mean_=np.array(["a"] * 64))),
        "63 means": dumped(_scaler_with(mean_=np.zeros(63))),
        "no number": dumped(_scaler_with(scale_=np.full(64, np.nan))),
        "truth values": dumped(_scaler_with(scale_=np.ones(64, bool))),
        "means beyond float32": dumped(_scaler_with(mean_=np.full(64, 1e300))),
        "no spread": dumped(_scaler_with(scale_=np.zeros(64))),
        "three features": dumped(_scaler_with(n_features_in_=3)),
        "a method overwritten": dumped(_scaler_with(transform=3)),
        "a switch that is text": dumped(_scaler_with(with_mean="")),
        "never fitted": dumped(StandardScaler()),
        "a binarizer": dumped(LabelBinarizer().fit(range(10))),
    }


def odd_binarizers() -> dict[str, bytes]:
    """Binarizers that are not the bundle's, by their defect."""
    fitted = LabelBinarizer().fit(range(10))

    def with_classes(classes: Any) -> bytes:
        vars(fitted)["classes_"] = classes
        return dumped(fitted)

    return {
        "one number": with_classes(np.array(5)),
        "a number": with_classes(5),
        "in another order": with_classes(np.arange(10)[::-1].copy()),
        "of another type": with_classes(np.arange(10.0)),
        "in a table": with_classes(np.arange(10).reshape(2, 5)),
        "never fitted": dumped(LabelBinarizer()),
        "a scaler": dumped(_scaler_with()),
    }


# Keras archives


def keras_with(change: Callable[[dict[str, Any]], None]) -> bytes:
    """The real Keras model with its config changed."""
    _, members = real_members()
    with zipfile.ZipFile(io.BytesIO(members["model.keras"])) as source:
        parts = {name: source.read(name) for name in source.namelist()}
    config = json.loads(parts["config.json"])
    change(config)
    parts["config.json"] = json.dumps(config).encode()
    return zipped(*parts.items())


def keras_parts() -> Members:
    """The members of the real Keras model."""
    _, members = real_members()
    with zipfile.ZipFile(io.BytesIO(members["model.keras"])) as source:
        return {name: source.read(name) for name in source.namelist()}


def _put_layer(layer: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
    return lambda config: config["config"]["layers"].insert(1, layer)


def _lambda(ran: Path) -> dict[str, Any]:
    """A Lambda layer as Keras itself writes it, whose code makes the file."""
    from batchdigits.engines.keras.engine import import_keras

    keras = import_keras()
    path = str(ran)
    layer = keras.layers.Lambda(lambda x: open(path, "w") and x)  # noqa: SIM115, PTH123
    found: dict[str, Any] = keras.saving.serialize_keras_object(layer)
    return found


def keras_archives(ran: Path) -> dict[str, bytes]:
    """Keras models that would run code, read files or fill the memory, by what they try."""
    path, parts = str(ran), keras_parts()
    named = {"registered_name": None, "config": {"name": "x"}}
    bomb = zipped(*(parts | {"config.json": b" " * (1 << 28)}).items(), compression=8)
    function = {"module": "os", "class_name": "function", "config": "system", **named}
    function["registered_name"] = "system"

    def set_activation(config: dict[str, Any]) -> None:
        config["config"]["layers"][-1]["config"]["activation"] = function

    def set_compile(config: dict[str, Any]) -> None:
        config["compile_config"] = {"optimizer": {"module": "os", "class_name": "system"}}

    def deepen(config: dict[str, Any]) -> None:
        config["config"]["layers"].append(json.loads("[" * 200 + "]" * 200))

    def layer(place: str | None, class_name: str, **config: Any) -> bytes:
        node = {"module": place, "class_name": class_name, "registered_name": None}
        return keras_with(_put_layer({**node, "config": {"name": "x", **config}}))

    doubled = parts["config.json"].replace(b'{"module"', b'{"module": "os", "module"', 1)
    return {
        "a Lambda layer": keras_with(_put_layer(_lambda(ran))),
        "a saved model": layer("keras.layers", "TFSMLayer", filepath=path),
        "a vocabulary": layer("keras.layers", "StringLookup", vocabulary=path),
        "a torch module": layer("keras.layers", "TorchModuleWrapper", module=path),
        "a module path": layer("os", "system", command=f"touch {path}"),
        "a private module": layer("keras.src.utils.file_utils", "get_file", origin=path),
        "a function": keras_with(set_activation),
        "to be compiled": keras_with(set_compile),
        "a registered name": keras_with(
            lambda config: config["config"]["layers"][1].update(registered_name="evil>Dense")
        ),
        "another class": keras_with(lambda config: config.update(class_name="Evil")),
        "a key twice": zipped(*(parts | {"config.json": doubled}).items()),
        "a deep config": keras_with(deepen),
        "a bomb": bomb,
        "a size that lies": lying_about("config.json", 0xFFFFFF00, zipped(*parts.items())),
        "an asset": zipped(*parts.items(), ("assets/../../evil", b"x")),
        "weights as NumPy": zipped(*parts.items(), ("model.weights.npz", b"x")),
        "no archive": pickle.dumps(Calls(os.system, f"touch '{ran}'")),
    }


# ONNX graphs


def _make_external(tensor: TensorProto, location: str) -> TensorProto:
    onnx.external_data_helper.set_external_data(tensor, location=location)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    return tensor


def _largest(model: onnx.ModelProto) -> TensorProto:
    return max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))


def _hidden(location: str) -> TensorProto:
    return _make_external(numpy_helper.from_array(np.zeros(1, np.float32), "hidden"), location)


def onnx_graphs(secret: Path) -> dict[str, bytes]:
    """Graphs that would read the file `secret` or load foreign code, by what they try."""
    _, members = real_members()

    def changed(change: Callable[[onnx.ModelProto], Any]) -> bytes:
        model = onnx.load_from_string(members["model.onnx"])
        change(model)
        data: bytes = model.SerializeToString()
        return data

    def in_branch(model: onnx.ModelProto) -> None:
        inner = helper.make_graph([], "inner", [], [], [_hidden(str(secret))])
        node = helper.make_node("If", ["pixels"], ["y"], then_branch=inner, else_branch=inner)
        model.graph.node.append(node)

    def in_function(model: onnx.ModelProto) -> None:
        node = helper.make_node("Constant", [], ["y"], value=_hidden(str(secret)))
        imports = [helper.make_opsetid("", 17)]
        model.functions.append(helper.make_function("own", "f", [], ["y"], [node], imports))

    def weights_at(location: str) -> bytes:
        return changed(lambda m: _make_external(_largest(m), location))

    return {
        "a file in the folder": weights_at(secret.name),
        "an absolute path": weights_at(str(secret)),
        "a path with ..": weights_at(f"../{secret.parent.name}/{secret.name}"),
        "a path through the root": weights_at(f"{'../' * 30}{secret}"),
        "an address in memory": weights_at("*/_ORT_MEM_ADDR_/*"),
        "in a constant": changed(
            lambda m: m.graph.node.append(
                helper.make_node("Constant", [], ["c"], value=_hidden(str(secret)))
            )
        ),
        "in a branch": changed(in_branch),
        "in a function": changed(in_function),
        "in a training graph": changed(
            lambda m: m.training_info.add().initialization.initializer.append(_hidden(str(secret)))
        ),
        "in a sparse tensor": changed(
            lambda m: m.graph.sparse_initializer.append(
                helper.make_sparse_tensor(
                    _hidden(str(secret)), numpy_helper.from_array(np.zeros(1, np.int64), "i"), [9]
                )
            )
        ),
        "an operator of another library": changed(
            lambda m: m.graph.node.append(
                helper.make_node("PyOp", ["pixels"], ["y"], domain="ai.onnx.contrib")
            )
        ),
        "ONNX Runtime's own format": b"    ORTM" + members["model.onnx"],
        "no graph": pickle.dumps(Calls(os.system, f"cat '{secret}'")),
    }
