"""Looks into `model.onnx` before ONNX Runtime does: weights inside, standard operators only.

ONNX Runtime looks up external data in the current folder even for a model given as bytes, and has
a location that means an address in memory. So every tensor of the model is visited here first.
The walk reads Protocol Buffers by hand, as `onnx` is no requirement of predict:
https://protobuf.dev/programming-guides/encoding/, field numbers from onnx.proto.
"""

from __future__ import annotations

from collections.abc import Iterator

from batchdigits.errors import BundleError

STANDARD_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})

# For each message: its fields that lead on to tensors or operators, and to which message.
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
# Fields that must not be there: training graphs and functions are ways round the fields above.
FORBIDDEN = {
    ("ModelProto", 20): "training graphs",
    ("ModelProto", 25): "functions of its own",
    ("TensorProto", 13): "weights in another file",
}
_DATA_LOCATION = ("TensorProto", 14)
_DOMAINS = {("NodeProto", 7), ("OperatorSetIdProto", 1)}

_MAX_DEPTH = 32
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def check_onnx_graph(model: bytes) -> None:
    """Raise BundleError unless `model` has all its weights inside and standard operators only."""
    _check(memoryview(model), "ModelProto", 0)


def _check(message: memoryview, kind: str, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise BundleError(f"model.onnx nests deeper than {_MAX_DEPTH} levels: refused")
    nested = NESTED[kind]
    for number, value in _fields(message):
        key = (kind, number)
        if key in FORBIDDEN or (key == _DATA_LOCATION and value != 0):
            what = FORBIDDEN.get(key, "weights in another file")
            raise BundleError(f"model.onnx has {what}: refused, rebuild the bundle with train")
        if key in _DOMAINS:
            _check_domain(value)
        elif number in nested:
            _check(_as_bytes(value), nested[number], depth + 1)


def _check_domain(value: memoryview | int) -> None:
    domain = bytes(_as_bytes(value)).decode("utf-8", "replace")
    if domain not in STANDARD_DOMAINS:
        raise BundleError(
            f"model.onnx uses operators of {domain[:60]!r}, only ONNX's own are allowed: refused"
        )


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """Number and value of each field: bytes as a view, numbers as int."""
    offset = 0
    while offset < len(message):
        tag, offset = _varint(message, offset)
        if tag >= 2**32:  # a parser that keeps 32 bits would see another field than we do
            raise _damaged()
        number, wire_type = tag >> 3, tag & 7
        value: memoryview | int
        if wire_type == _VARINT:
            value, offset = _varint(message, offset)
        else:
            if wire_type == _BYTES:
                size, offset = _varint(message, offset)
            elif wire_type in (_FIXED64, _FIXED32):
                size = 8 if wire_type == _FIXED64 else 4
            else:
                raise _damaged()
            value = message[offset : offset + size]
            offset += size
            if len(value) != size:
                raise _damaged()
        yield number, value


def _varint(message: memoryview, offset: int) -> tuple[int, int]:
    """The variable-length number at `offset`, at most ten bytes, and where the next field is."""
    value = 0
    for place, byte in enumerate(message[offset : offset + 10]):
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value, offset + place + 1
    raise _damaged()


def _as_bytes(value: memoryview | int) -> memoryview:
    if isinstance(value, int):
        raise _damaged()
    return value


def _damaged() -> BundleError:
    return BundleError("model.onnx is no ONNX model: rebuild the bundle with train")
