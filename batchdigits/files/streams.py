"""The bytes of one file, read or written: (de)compressed, and hashed as they are on the disk."""

from __future__ import annotations

import io
import os
import sys
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from batchdigits.errors import (
    InternalError,
    IOFailedError,
    NoInputError,
    TryAgainError,
    UnusableInputError,
)
from batchdigits.files.atomic import explained, open_temporary
from batchdigits.files.compression import Decoder, Encoder, open_decoder, open_encoder
from batchdigits.files.content import HEAD_BYTES, refuse_content
from batchdigits.files.digest import BytesLike, HashingReader, HashingWriter
from batchdigits.files.names import Compression, InputFile
from batchdigits.files.objects.path import ObjectPath

SYNC_BYTES = 1 << 24
"""Bytes of an output after which the disk is waited for: the rows go on, and the end is short."""


class Identity(Protocol):
    """The identity of what is at a path, and its size in bytes."""

    @property
    def size(self) -> int: ...

    def verify(self, path: Path) -> None:
        """Raise TryAgainError unless the same, unchanged file is still at the path."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The identity of the file at a path and the time of its last change, to detect a change."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, path: Path | int) -> Snapshot:
        """The file at a path or an open descriptor. Raises NoInputError when there is none."""
        try:
            # Path.stat() takes no descriptor.
            status = path.stat() if isinstance(path, ObjectPath) else os.stat(path)  # noqa: PTH116
        except OSError as error:
            raise NoInputError(f"{path}: can't be read: {error.strerror or error}") from error
        times = status.st_mtime_ns, status.st_ctime_ns
        return cls(status.st_dev, status.st_ino, status.st_size, *times)

    def verify(self, path: Path) -> None:
        """Raise TryAgainError unless the same, unchanged file is still at the path."""
        try:
            now = Snapshot.of(path)
        except NoInputError as error:
            raise _changed(path, "removed") from error
        if (now.device, now.inode) != (self.device, self.inode):
            raise _changed(path, "replaced")
        if now != self:
            raise _changed(path, "changed")


def _changed(path: Path, how: str) -> TryAgainError:
    return TryAgainError(f"{path}: was {how} while it was read; run again when it is complete")


class InputStream:
    """The decompressed bytes of an input file, read once from beginning to end by one thread.

    `raw_size` is the length of the file in bytes, None for standard input.
    """

    def __init__(
        self, input_file: InputFile, raw: HashingReader, decoder: Decoder, snapshot: Identity | None
    ) -> None:
        self._input_file = input_file
        self._raw = raw
        self._decoder = decoder
        self._snapshot = snapshot
        self._ended = False
        self.raw_size = None if snapshot is None else snapshot.size

    @property
    def raw_bytes_read(self) -> int:
        """Bytes read from the file so far, before decompression."""
        return self._raw.bytes_read

    def read(self, size: int) -> bytes:
        """Read 1 to `size` bytes, and none only at the end.

        Raises UnusableInputError when compressed data are truncated, damaged or followed by
        something else, IOFailedError when reading failed.
        """
        try:
            data = self._decoder.read(size)
        except (EOFError, zlib.error) as error:
            raise self._damaged(error) from error
        except OSError as error:
            if error.errno is None:  # pyarrow raises it for data that it can't decompress
                raise self._damaged(error) from error
            message = f"{self._input_file.name}: reading failed: {error.strerror}; check the disk"
            raise IOFailedError(message) from error
        self._ended = not data
        return data

    def digest(self) -> str:
        """`sha256:…` of the whole file before decompression, known after read() reached the end."""
        if not self._ended:
            raise InternalError(
                f"{self._input_file.name}: its digest was asked for before its end was read; "
                "please report this"
            )
        return self._raw.digest()

    def verify_unchanged(self) -> None:
        """Raise TryAgainError when the file was replaced, changed or removed since the opening."""
        if self._snapshot is not None and self._input_file.path is not None:
            self._snapshot.verify(self._input_file.path)

    def close(self) -> None:
        self._raw.close()

    def _damaged(self, error: Exception) -> UnusableInputError:
        return UnusableInputError(
            f"{self._input_file.name}: its {self._input_file.compression} data can't be "
            f"decompressed ({error}); fetch or make the file again"
        )


def open_input(input_file: InputFile) -> InputStream:
    """Open an input file as bytes; the first bytes of standard input are checked here.

    Raises NoInputError when it can't be opened, IOFailedError when reading standard input
    failed, UnusableInputError when standard input is empty or in another format.
    """
    if input_file.path is None:
        return _open_standard_input(input_file)
    if isinstance(input_file.path, ObjectPath):
        return _open_object(input_file, input_file.path)
    try:
        raw = io.FileIO(input_file.path)
    except OSError as error:
        raise NoInputError(f"{input_file.name}: can't be read: {error.strerror}") from error
    reader = HashingReader(raw)
    snapshot = Snapshot.of(raw.fileno())
    return InputStream(input_file, reader, open_decoder(reader, input_file.compression), snapshot)


def _open_object(input_file: InputFile, path: ObjectPath) -> InputStream:
    from batchdigits.files.objects.download import Download, present_version

    version = present_version(path)
    raw: Any = Download(path, version)
    reader = HashingReader(raw)
    decoder = open_decoder(reader, input_file.compression)
    return InputStream(input_file, reader, decoder, version)


def read_first(stream: InputStream) -> bytes:
    """Read the first 8 decompressed bytes, which a pipe or a decoder may give one by one."""
    head = b""
    while len(head) < HEAD_BYTES and (more := stream.read(HEAD_BYTES - len(head))):
        head += more
    return head


def _open_standard_input(input_file: InputFile) -> InputStream:
    # None when the parent process has closed it; descriptor 0 may then be any file.
    if sys.stdin is None:
        raise NoInputError("-: standard input is closed; pipe a CSV into it")
    os.set_blocking(0, True)  # a non-blocking pipe with no data yet would look like its end
    reader = HashingReader(io.FileIO(0, closefd=False))
    replay = _Replay(reader)
    stream = InputStream(input_file, reader, replay, None)
    head = read_first(stream)
    refuse_content(head, input_file)
    replay.unread(head)
    return stream


class _Replay:
    """A reader whose first bytes are read twice, although a pipe can't seek."""

    def __init__(self, raw: HashingReader) -> None:
        self._raw = raw
        self._waiting = b""

    def unread(self, data: bytes) -> None:
        self._waiting = data

    def read(self, size: int) -> bytes:
        if not self._waiting:
            return self._raw.read(size)
        data, self._waiting = self._waiting[:size], self._waiting[size:]
        return data


class OutputStream:
    """A file being written, usable as a sink of pyarrow: compressed and hashed on the way.

    Every method raises IOFailedError when writing failed. The file is complete only after close();
    abort() gives it up. `inode` tells the file from another of its name.
    """

    def __init__(self, path: Path, writer: HashingWriter, encoder: Encoder) -> None:
        self._path = path
        self._writer = writer
        self._encoder = encoder
        self._position = 0
        self._next_sync = SYNC_BYTES
        self._abandoned = False
        self.inode = writer.inode

    @property
    def closed(self) -> bool:
        """Return whether close() ended it; an abandoned stream accepts bytes and drops them."""
        return self._writer.closed and not self._abandoned

    @property
    def bytes_written(self) -> int:
        """Bytes written to the file so far: all of them after close()."""
        return self._writer.bytes_written

    def writable(self) -> bool:
        return True

    def write(self, data: BytesLike) -> int:
        if self.closed:
            raise ValueError(f"{self._path}: write to a closed file")
        if not self._abandoned:
            with explained(self._path):
                self._encoder.write(data)
                if self.bytes_written >= self._next_sync:
                    self._next_sync = self.bytes_written + SYNC_BYTES
                    self._writer.sync()
        length = memoryview(data).nbytes
        self._position += length
        return length

    def tell(self) -> int:
        """Bytes accepted so far, before compression."""
        return self._position

    def flush(self) -> None:
        """Do nothing: only a compressor holds bytes back, and it must keep them."""

    def digest(self) -> str:
        """`sha256:…` of the bytes written: of the whole file after close()."""
        return self._writer.digest()

    def close(self) -> None:
        """End the compression and wait until all is on the disk. A second call does nothing."""
        if self._writer.closed:
            return
        try:
            with explained(self._path):
                self._encoder.finish()
                self._writer.sync()
                self._writer.close()
        except BaseException:
            self.abort()
            raise

    def abort(self) -> None:
        """Close the incomplete file, unless it is closed. Never raises; the caller removes it.

        Later writes are dropped: a ParquetWriter writes a footer when it is deleted, and its
        exception would hide the one that matters.
        """
        if self._writer.closed:
            return
        self._abandoned = True
        self._encoder.give_up()
        with suppress(OSError):
            self._writer.close()


def open_output(path: Path, compression: Compression) -> OutputStream:
    """Create a file at `path`, a temporary, in place of one that may exist; compress its bytes."""
    writer = open_temporary(path)
    return OutputStream(path, writer, open_encoder(writer, compression))
