"""Checks of `model.onnx` before ONNX Runtime opens it: weights inside, standard operators only.

ONNX Runtime looks up external data in the current folder even for a model given as bytes, and one
kind of location means an address in memory. So every tensor of the model is visited here first.
Field numbers are from onnx.proto.
"""

from __future__ import annotations

from batchdigits.engines.onnx.protobuf import as_bytes, fields
from batchdigits.errors import BundleError

STANDARD_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})

# For each message: the fields that lead to tensors or operators, and the message that they hold.
NESTED: dict[str, dict[int, str]] = {
    "ModelProto": {7: "GraphProto", 8: "OperatorSetIdProto"},
    "GraphProto": {1: "NodeProto", 5: "TensorProto", 15: "SparseTensorProto"},
    "NodeProto": {5: "AttributeProto"},
    "AttributeProto": {
        5: "TensorProto",
        10: "TensorProto",
        22: "SparseTensorProto",
        23: "SparseTensorProto",
        6: "GraphProto",
        11: "GraphProto",
    },
    "SparseTensorProto": {1: "TensorProto", 2: "TensorProto"},
    "TensorProto": {},
    "OperatorSetIdProto": {},
}
# Fields that are refused: training graphs and functions would bypass the fields above.
FORBIDDEN = {
    ("ModelProto", 20): "training graphs",
    ("ModelProto", 25): "functions of its own",
    ("TensorProto", 13): "weights in another file",
}
_DATA_LOCATION = ("TensorProto", 14)
_DOMAINS = {("NodeProto", 7), ("OperatorSetIdProto", 1)}

_MAX_DEPTH = 32
_RUNTIME_FORMAT = b"ORTM"


def check_onnx_graph(model: bytes) -> None:
    """Raise BundleError unless `model` has all its weights inside and standard operators only.

    Bytes that can be read as ONNX and as ONNX Runtime's own format are refused: the latter is not
    checked here, and a program that opens the exported file would take it for that.
    """
    if model[4:8] == _RUNTIME_FORMAT:
        raise BundleError("model.onnx is in ONNX Runtime's own format: refused")
    _check(memoryview(model), "ModelProto", 0)


def _check(message: memoryview, kind: str, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise BundleError(f"model.onnx nests deeper than {_MAX_DEPTH} levels: refused")
    nested = NESTED[kind]
    for number, value in fields(message):
        key = (kind, number)
        if key in FORBIDDEN or (key == _DATA_LOCATION and value != 0):
            what = FORBIDDEN.get(key, "weights in another file")
            raise BundleError(f"model.onnx has {what}: refused, rebuild the bundle with train")
        if key in _DOMAINS:
            _check_domain(value)
        elif number in nested:
            _check(as_bytes(value), nested[number], depth + 1)


def _check_domain(value: memoryview | int) -> None:
    domain = bytes(as_bytes(value)).decode("utf-8", "replace")
    if domain not in STANDARD_DOMAINS:
        raise BundleError(
            f"model.onnx uses operators of {domain[:60]!r}, only ONNX's own are allowed: refused"
        )
