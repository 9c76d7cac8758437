"""One version of an object from beginning to end, fetched ahead by threads."""

from __future__ import annotations

import hashlib
import os
import tempfile
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from batchdigits.errors import IOFailedError, NoInputError
from batchdigits.files.objects import client
from batchdigits.files.objects.client import Version
from batchdigits.files.objects.path import ObjectPath

RANGE_BYTES = 4 << 20
FIRST_BYTES = 1 << 16
"""The first range is short: often it is only looked at."""

RANGES_AHEAD = 3
"""Ranges that are fetched at once: with the one that is read 16 MB, and some copies of them."""

TAIL_BYTES = 1 << 20
"""What is read at once at the end of a file: the footer of a Parquet file, in most cases."""


FAR_BYTES = 16 << 20
"""A few bytes that are this far ahead of a download are fetched by themselves."""


def present_version(path: ObjectPath) -> Version:
    """Return the version of an object. Raises NoInputError if there is none."""
    version = path.version()
    if version is None:
        raise NoInputError(f"{path}: no such object; check its address")
    return version


class Download:
    """The bytes of one version, once in their order, read by one thread.

    `read` raises TryAgainError if the object is replaced meanwhile, IOFailedError if the store
    does not answer for as long as requests are tried again.
    """

    def __init__(self, path: ObjectPath, version: Version) -> None:
        self._address = path.address
        self.version = version
        self._next = 0
        self._ahead: deque[Future[memoryview]] = deque()
        self._current = memoryview(b"")
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        """Return 1 to `size` bytes, those of one range if negative; none at the end."""
        if not self._current:
            self._fetch()
            if not self._ahead:
                return b""
            self._current = self._ahead.popleft().result()
            self._fetch()
        data = self._current if size < 0 else self._current[:size]
        self._current = self._current[len(data) :]
        return bytes(data)

    def close(self) -> None:
        """Fetch no more. Requests that are under way end by themselves."""
        self.closed = True
        self._ahead.clear()
        self._current = memoryview(b"")

    def _fetch(self) -> None:
        while not self.closed and len(self._ahead) < RANGES_AHEAD and self._next < self._size:
            start = self._next
            self._next = min(start + (RANGE_BYTES if start else FIRST_BYTES), self._size)
            work = partial(client.read_range, self._address, start, self._next, self.version)
            self._ahead.append(client.in_background(work))
            if start == 0:  # until more is wanted
                return

    @property
    def _size(self) -> int:
        return self.version.size


class Spool:
    """An object as a file that is read in any order, and hashed in its own.

    A thread downloads it once, from beginning to end, into a file without a name in the folder
    `scratch`; a read waits until its bytes are there. The end of the object, where Parquet has its
    footer, is fetched first. Errors are those of `Download`, and IOFailedError if the scratch
    folder is full.
    """

    def __init__(self, path: ObjectPath, scratch: Path | None) -> None:
        self.version = present_version(path)
        self._path = path
        self._download = Download(path, self.version)
        with explained_scratch(scratch):
            self._file = tempfile.TemporaryFile(dir=scratch)  # noqa: SIM115  # closed by close()
        self._ready = threading.Condition()
        self._there = 0
        self._hash = hashlib.sha256()
        self._failure: Exception | None = None
        self._position = 0
        self._tail_start = max(0, self.version.size - TAIL_BYTES)
        self._tail = bytes(
            client.read_range(path.address, self._tail_start, self.version.size, self.version)
        )
        threading.Thread(target=self._run, daemon=True, name="spool").start()

    def _run(self) -> None:
        try:
            while data := self._download.read():
                with self._ready:
                    if self._file.closed:
                        return
                    _write(self._file.fileno(), data, self._there)
                    self._hash.update(data)
                    self._there += len(data)
                    self._ready.notify_all()
        except Exception as error:  # noqa: BLE001  # raised by whoever reads
            with self._ready:
                self._failure = error
                self._ready.notify_all()

    @property
    def closed(self) -> bool:
        return self._file.closed

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.version.size}
        self._position = max(0, start[whence] + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def size(self) -> int:
        return self.version.size

    def read(self, size: int = -1) -> bytes:
        """Return the bytes at the position, after waiting for them."""
        start = self._position
        end = self.version.size if size < 0 else min(start + size, self.version.size)
        if end <= start:
            return b""
        self._position = end
        if start >= self._tail_start:
            return self._tail[start - self._tail_start : end - self._tail_start]
        if end - start <= FIRST_BYTES and end > self._there + FAR_BYTES:
            return bytes(client.read_range(self._path.address, start, end, self.version))
        self._wait(end)
        return os.pread(self._file.fileno(), end - start, start)

    def hexdigest(self) -> str:
        """Return the SHA-256 of the whole object, after waiting for its end."""
        self._wait(self.version.size)
        return self._hash.hexdigest()

    def verify(self) -> None:
        """Raise TryAgainError unless the same version is still there."""
        client.verify(self._path.address, self.version)

    def close(self) -> None:
        with self._ready:
            self._download.close()
            self._file.close()
            self._ready.notify_all()

    def _wait(self, end: int) -> None:
        with self._ready:
            while self._there < end:
                if self._failure is not None:
                    raise self._explained(self._failure)
                if self._file.closed:
                    raise ValueError(f"{self._path}: is closed")
                self._ready.wait()

    def _explained(self, error: Exception) -> Exception:
        if isinstance(error, OSError):
            return IOFailedError(
                f"{self._path}: its copy in the scratch folder can't be written: "
                f"{error.strerror or error}; name another folder with --scratch"
            )
        return error


def _write(descriptor: int, data: bytes, offset: int) -> None:
    """Write all of `data`: a full disk takes a part of it first."""
    left = memoryview(data)
    while left:
        count = os.pwrite(descriptor, left, offset)
        left, offset = left[count:], offset + count


@contextmanager
def explained_scratch(scratch: Path | None) -> Iterator[None]:
    """Turn an OSError of the scratch folder into IOFailedError with the fix."""
    try:
        yield
    except OSError as error:
        raise IOFailedError(
            f"{scratch or tempfile.gettempdir()}: can't be written: {error.strerror or error}; "
            "name another folder with --scratch"
        ) from error


def hexdigest_of(path: ObjectPath) -> str:
    """Return the SHA-256 of the object that is there now. Raises NoInputError for none."""
    download = Download(path, present_version(path))
    sha256 = hashlib.sha256()
    while data := download.read():
        sha256.update(data)
    return sha256.hexdigest()


def read_beginning(path: ObjectPath, count: int) -> bytes:
    """Return the first bytes of an object, or all that it has. Raises NoInputError for none."""
    version = present_version(path)
    return bytes(client.read_range(path.address, 0, min(count, version.size), version))
