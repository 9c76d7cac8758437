"""The files to import: their bytes, their digests, and what was written into them by whom."""

from __future__ import annotations

import bz2
import errno
import lzma
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchdigits.archive.container import MAX_FILE_BYTES
from batchdigits.errors import BundleError, NoInputError, UnusableInputError
from batchdigits.files.digest import digest_bytes
from batchdigits.files.plain import read_plain

_LZMA_MEMORY = 256 * 1024 * 1024
"""More than any level of xz needs to decompress; a header can ask for gigabytes."""


@dataclass(frozen=True, slots=True)
class Saved:
    """One saved part of a model.

    name  the path as given, or what it is where it came from memory; begins messages
    data  its bytes, at most 64 MiB
    """

    name: str
    data: bytes

    @property
    def digest(self) -> str:
        """Return "sha256:…" of the bytes."""
        return digest_bytes(self.data)


def read_saved(path: str | os.PathLike[str]) -> Saved:
    """Read a file. Raises NoInputError if it can't be read, UnusableInputError if it can't be one.

    A link is followed; a FIFO or a device is refused.
    """
    name = os.fspath(path)
    try:
        return Saved(name, read_plain(Path(os.path.realpath(name)), MAX_FILE_BYTES)[0])
    except ValueError as error:
        raise NoInputError(f"{name!r} is not a path: {error}") from error
    except OSError as error:
        if error.errno == errno.EISDIR:
            raise UnusableInputError(
                f"{name}: is a folder, expected a file; load a SavedModel in Keras, and save it "
                "with model.save('model.keras')"
            ) from error
        if error.errno in (errno.EINVAL, errno.EFBIG):
            raise UnusableInputError(f"{name}: {error.strerror}, expected a file") from error
        raise NoInputError(f"{name}: can't be read: {error.strerror or error}") from error


def decompress(saved: Saved) -> bytes:
    """Return what joblib compressed, or the bytes themselves.

    Raises BundleError for damaged data and for more than 64 MiB, UnusableInputError for lz4.
    """
    for magic, open_stream in _COMPRESSIONS.items():
        if saved.data.startswith(magic):
            return _bounded(saved, open_stream())
    if saved.data.startswith(b"\x04\x22\x4d\x18"):
        raise UnusableInputError(
            f"{saved.name}: is compressed with lz4, expected zlib, gzip, bz2, lzma or xz; save it "
            "again with joblib.dump(…, compress=3)"
        )
    return saved.data


def _bounded(saved: Saved, stream: Any) -> bytes:
    try:
        data: bytes = stream.decompress(saved.data, MAX_FILE_BYTES + 1)
    except (zlib.error, lzma.LZMAError, OSError, EOFError, MemoryError) as error:
        raise BundleError(f"{saved.name}: can't be decompressed ({error})") from error
    if len(data) > MAX_FILE_BYTES:
        raise BundleError(
            f"{saved.name}: decompresses to more than {MAX_FILE_BYTES >> 20} MiB: refused"
        )
    if not stream.eof:
        raise BundleError(f"{saved.name}: is cut off: copy it again")
    return data


def _lzma() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(memlimit=_LZMA_MEMORY)


_COMPRESSIONS: dict[bytes, Any] = {
    b"\x78": zlib.decompressobj,
    b"\x1f\x8b": lambda: zlib.decompressobj(wbits=31),
    b"BZ": bz2.BZ2Decompressor,
    b"\xfd7zXZ": _lzma,
    b"\x5d\x00": _lzma,
}
