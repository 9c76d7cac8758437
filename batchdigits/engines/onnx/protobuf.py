"""Protocol Buffers read and written by hand, since predict does not require `onnx`.

Encoding: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterator

from batchdigits.errors import BundleError, unsound_bundle

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def fields(message: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """Yield each field's number and value, a view or an int. Raises BundleError if damaged."""
    offset = 0
    while offset < len(message):
        tag, offset = _varint(message, offset)
        if tag >= 2**32:  # a parser that keeps 32 bits would see another field
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


def as_bytes(value: memoryview | int) -> memoryview:
    """Return the value of a field that holds bytes. Raises BundleError if it is a number."""
    if isinstance(value, int):
        raise _damaged()
    return value


def field(number: int, value: bytes | memoryview | str | int) -> bytes:
    """Encode a field that holds bytes, text, an encoded message, or a number from 0."""
    if isinstance(value, int):
        return _number(number << 3 | _VARINT) + _number(value)
    data = value.encode() if isinstance(value, str) else bytes(value)
    return _number(number << 3 | _BYTES) + _number(len(data)) + data


def _number(value: int) -> bytes:
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


def _varint(message: memoryview, offset: int) -> tuple[int, int]:
    """Decode the variable-length number at `offset`, at most ten bytes; return it and its end."""
    value = 0
    for index, byte in enumerate(message[offset : offset + 10]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, offset + index + 1
    raise _damaged()


def _damaged() -> BundleError:
    return unsound_bundle("model.onnx is not an ONNX model")
