"""The container: a ZIP file of one fixed layout, written and read here byte for byte.

The code below lays the file out itself, without a ZIP library, so that the same members give the
same bytes on every platform and with every later version of Python. That makes the strictest check
the cheapest: packing what was read must give the file back.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Mapping

from batchdigits.errors import BundleError

MAX_FILE_BYTES = 64 * 1024 * 1024
MAX_MEMBERS = 32
MAX_NAME_LENGTH = 64

_NAME = re.compile(r"[a-z0-9][a-z0-9_]*(\.[a-z0-9_]+)*")

_VERSION_NEEDED = 20
_MADE_BY_UNIX = 3 << 8 | 20
_TIME_MIDNIGHT = 0
_DATE_1980_01_01 = 1 << 5 | 1
_REGULAR_FILE_0644 = 0o100644 << 16

_LOCAL = struct.Struct("<IHHHHHIIIHH")
_CENTRAL = struct.Struct("<IHHHHHHIIIHHHHHII")
_END = struct.Struct("<IHHHHIIH")
_LOCAL_MAGIC = 0x04034B50
_CENTRAL_MAGIC = 0x02014B50
_END_MAGIC = 0x06054B50

_ENCRYPTED = 1
_STORED = 0


def pack(members: Mapping[str, bytes]) -> bytes:
    """Pack these members into one ZIP file: stored, sorted by name, dated 1980-01-01.

    Raises BundleError for a name or a size that `unpack` would refuse.
    """
    _check_count(len(members))
    local: list[bytes] = []
    central: list[bytes] = []
    offset = 0
    for name in sorted(members):
        _check_name(name)
        data, encoded = members[name], name.encode("ascii")
        if len(data) > MAX_FILE_BYTES:
            raise BundleError(_too_large(f"member {name}", len(data)))
        common = (
            *(_VERSION_NEEDED, 0, _STORED, _TIME_MIDNIGHT, _DATE_1980_01_01),
            *(zlib.crc32(data), len(data), len(data), len(encoded), 0),
        )
        local += [_LOCAL.pack(_LOCAL_MAGIC, *common), encoded, data]
        central += [
            _CENTRAL.pack(
                *(_CENTRAL_MAGIC, _MADE_BY_UNIX, *common, 0, 0, 0, _REGULAR_FILE_0644, offset)
            ),
            encoded,
        ]
        offset += _LOCAL.size + len(encoded) + len(data)
    directory = b"".join(central)
    count = len(members)
    end = _END.pack(_END_MAGIC, 0, 0, count, count, len(directory), offset, 0)
    packed = b"".join((*local, directory, end))
    if len(packed) > MAX_FILE_BYTES:
        raise BundleError(_too_large("the bundle", len(packed)))
    return packed


def unpack(data: bytes) -> dict[str, bytes]:
    """Unpack a file that `pack` wrote, and no other.

    Raises BundleError that says what is wrong for anything else: a damaged, cut or foreign ZIP,
    members compressed, encrypted, doubled, linked, badly named or out of order, and bytes before,
    between or after them.
    """
    if len(data) > MAX_FILE_BYTES:
        raise BundleError(_too_large("the file", len(data)))
    if len(data) < 4 or int.from_bytes(data[:4], "little") != _LOCAL_MAGIC:
        raise BundleError("does not begin as a bundle does: give the .bundle file that train wrote")
    members: dict[str, bytes] = {}
    offset = 0
    while int.from_bytes(data[offset : offset + 4], "little") == _LOCAL_MAGIC:
        name, content, offset = _read_member(data, offset)
        if name in members:
            raise BundleError(f"member {name} is there twice: copy the bundle again")
        _check_count(len(members) + 1)
        members[name] = content
    if pack(members) != data:
        raise BundleError(
            "is not laid out as train writes it (member order, dates, attributes, or bytes that "
            "belong to no member): copy the bundle again, never repack it"
        )
    return members


def _read_member(data: bytes, offset: int) -> tuple[str, bytes, int]:
    """Read the member whose header is at `offset`; return its name, its content and its end."""
    start = offset + _LOCAL.size
    if start > len(data):
        raise BundleError("is cut off inside a header: copy the bundle again")
    header = _LOCAL.unpack_from(data, offset)
    _, _, flags, method, _, _, crc, stored, size, name_length, extra_length = header
    if name_length > MAX_NAME_LENGTH:
        raise BundleError(
            f"a member's name has {name_length} bytes, at most {MAX_NAME_LENGTH} are allowed"
        )
    name = data[start : start + name_length].decode("latin-1")
    _check_name(name)
    if flags & _ENCRYPTED:
        raise BundleError(f"member {name} is encrypted, bundles never are")
    if method != _STORED or stored != size or flags or extra_length:
        raise BundleError(f"member {name} is compressed or has extra fields, expected plain bytes")
    begin = start + name_length
    content = data[begin : begin + size]
    if len(content) != size:
        raise BundleError(f"is cut off inside member {name}: copy the bundle again")
    if zlib.crc32(content) != crc:
        raise BundleError(f"member {name} is damaged (its checksum differs): copy the bundle again")
    return name, content, begin + size


def _check_name(name: str) -> None:
    if len(name) > MAX_NAME_LENGTH or not _NAME.fullmatch(name):
        raise BundleError(
            f"member name {name[:MAX_NAME_LENGTH]!r} is not allowed: "
            "a plain lower-case file name, no folder, was expected"
        )


def _check_count(count: int) -> None:
    if count > MAX_MEMBERS:
        raise BundleError(
            f"has more than {MAX_MEMBERS} members: give a bundle file that train wrote"
        )


def _too_large(what: str, size: int) -> str:
    return f"{what} has {size} bytes, the most a bundle may have is {MAX_FILE_BYTES}"
