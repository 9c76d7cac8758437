"""gzip and Zstandard, read and written, over files that are hashed as they are on the disk."""

from __future__ import annotations

import zlib
from contextlib import suppress
from typing import Any, Protocol

from batchdigits.files.content import GZIP_MAGIC
from batchdigits.files.digest import BytesLike, HashingReader, HashingWriter
from batchdigits.files.names import Compression

_GZIP_CHUNK = 1 << 17  # what a call leaves of it is copied
_GZIP_WINDOW = 31  # zlib and igzip: a gzip header and trailer, and the largest window
_FLAGS = 3  # their place in the header of a member
_KNOWN_FLAGS = b"\x1f"
_GZIP_LEVEL = 1  # predictions: 45 MB/s to 35 % of their size; level 6 does 7 MB/s to 27 %


class Decoder(Protocol):
    """A reader of decompressed bytes: 1 to `size` of them, and none only at the end."""

    def read(self, size: int) -> bytes: ...


class Encoder(Protocol):
    """A compressor into a writer. give_up() drops the bytes still held and never raises."""

    def write(self, data: BytesLike) -> None: ...

    def finish(self) -> None: ...

    def give_up(self) -> None: ...


def open_decoder(reader: HashingReader, compression: Compression) -> Decoder:
    """Open a decoder over a file.

    Its read() raises EOFError, zlib.error, or an OSError without a number for data that are
    truncated, damaged or followed by something else.
    """
    if compression == "gz":
        return _GzipDecoder(reader)
    if compression == "zst":
        import pyarrow as pa

        # libzstd checks frames, and pyarrow that the last one is complete; Python has no Zstandard.
        decoder: Decoder = pa.CompressedInputStream(pa.PythonFile(reader, mode="r"), "zstd")
        return decoder
    return reader


def open_encoder(writer: HashingWriter, compression: Compression) -> Encoder:
    """Open an encoder into `writer`; the same bytes give the same file, without date and name."""
    if compression == "gz":
        return _GzipEncoder(writer)
    if compression == "zst":
        return _ZstdEncoder(writer)
    return _PlainEncoder(writer)


def _inflating_library() -> Any:
    """Return igzip, or zlib on a machine for which there is none; both have the same functions."""
    try:
        from isal import isal_zlib
    except ImportError:
        return zlib
    return isal_zlib


class _GzipDecoder:
    """A decoder of all members of a gzip file; zero padding after the last is legal (tar adds it).

    It uses igzip, which takes a quarter of zlib's time. Python's gzip module reads 8 KiB at a time,
    and pyarrow refuses the padding. Raises EOFError for truncation, zlib.error for damage and other
    bytes.
    """

    def __init__(self, raw: HashingReader) -> None:
        self._library = _inflating_library()
        self._raw = raw
        self._member = self._library.decompressobj(_GZIP_WINDOW)
        self._begins = True
        self._waiting = b""

    def read(self, size: int) -> bytes:
        """1 to `size` bytes, none at the end."""
        while True:
            if self._member.eof and not self._open_next_member():
                return b""
            if self._begins:
                self._check_flags()
            data = self._decompressed(size)
            if data:
                return data
            if not self._waiting and not self._member.eof:
                self._waiting = self._raw.read(_GZIP_CHUNK)
                if not self._waiting:
                    raise EOFError("truncated")

    def _decompressed(self, size: int) -> bytes:
        try:
            data: bytes = self._member.decompress(self._waiting, size)
        except self._library.error as error:
            raise zlib.error(str(error)) from error
        self._waiting = self._member.unconsumed_tail
        return data

    def _open_next_member(self) -> bool:
        rest = self._member.unused_data.lstrip(b"\0")
        while not rest:
            chunk = self._raw.read(_GZIP_CHUNK)
            if not chunk:
                return False
            rest = chunk.lstrip(b"\0")
        if not GZIP_MAGIC.startswith(rest[:2]):
            raise zlib.error("followed by bytes that are not gzip")
        self._member = self._library.decompressobj(_GZIP_WINDOW)
        self._begins = True
        self._waiting = rest
        return True

    def _check_flags(self) -> None:
        """Refuse a member with reserved flags, as RFC 1952 demands: igzip ignores them."""
        while len(self._waiting) <= _FLAGS and (more := self._raw.read(_GZIP_CHUNK)):
            self._waiting += more
        if self._waiting[_FLAGS : _FLAGS + 1] > _KNOWN_FLAGS:
            raise zlib.error("unknown header flags set")
        self._begins = False


class _PlainEncoder:
    def __init__(self, writer: HashingWriter) -> None:
        self._writer = writer

    def write(self, data: BytesLike) -> None:
        self._writer.write(data)

    def finish(self) -> None:
        pass

    def give_up(self) -> None:
        pass


class _GzipEncoder:
    def __init__(self, writer: HashingWriter) -> None:
        self._writer = writer
        self._compressor = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)

    def write(self, data: BytesLike) -> None:
        self._writer.write(self._compressor.compress(data))

    def finish(self) -> None:
        self._writer.write(self._compressor.flush())

    def give_up(self) -> None:
        pass


class _ZstdEncoder:
    """An encoder over pyarrow's, which closes its sink and may write late: it gets a proxy sink."""

    def __init__(self, writer: HashingWriter) -> None:
        import pyarrow as pa

        self._sink = _Sink(writer)
        self._compressor = pa.CompressedOutputStream(pa.PythonFile(self._sink, mode="w"), "zstd")

    def write(self, data: BytesLike) -> None:
        self._compressor.write(data)

    def finish(self) -> None:
        self._compressor.close()

    def give_up(self) -> None:
        self._sink.abandoned = True
        with suppress(OSError):
            self._compressor.close()


class _Sink:
    """A proxy that forwards writes until it is abandoned, and never closes the writer."""

    closed = False

    def __init__(self, writer: HashingWriter) -> None:
        self._writer = writer
        self.abandoned = False

    def write(self, data: bytes) -> int:
        return len(data) if self.abandoned else self._writer.write(data)

    def tell(self) -> int:
        return self._writer.tell()

    def flush(self) -> None:
        pass

    def writable(self) -> bool:
        return True

    def close(self) -> None:
        pass
