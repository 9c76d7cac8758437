"""SHA-256 digests, written as `sha256:` and 64 hexadecimal digits."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
import stat
from typing import IO

from batchdigits.errors import IOFailedError, UsageError
from batchdigits.files.objects.path import ObjectPath

BytesLike = bytes | bytearray | memoryview

_BLOCK_BYTES = 256 * 1024
_PREFIX = "sha256:"
_DIGEST = re.compile(f"{_PREFIX}[0-9a-f]{{64}}")


def digest_text(hexadecimal: str) -> str:
    """Return the digest that has these 64 hexadecimal digits."""
    return f"{_PREFIX}{hexadecimal}"


def short_digest(digest: str, digits: int = 12) -> str:
    """Return a digest cut to its first hexadecimal digits, for people to read."""
    return digest[: len(_PREFIX) + digits]


def digest_bytes(data: BytesLike) -> str:
    """Return the digest of a file that holds these bytes."""
    return digest_text(hashlib.sha256(data).hexdigest())


def digest_file(path: str | os.PathLike[str]) -> str:
    """Return the digest of the bytes of a regular file, as many as its size says.

    Raises IOFailedError when it can't be read, for a FIFO or a device too. Of an object it reads
    the version that is there now.
    """
    if isinstance(path, ObjectPath):
        from batchdigits.files.objects.download import hexdigest_of

        return digest_text(hexdigest_of(path))
    try:
        # Without O_NONBLOCK a FIFO would hang the run.
        with open(path, "rb", buffering=0, opener=_open_at_once) as raw:
            return digest_open(raw)
    except OSError as error:
        raise IOFailedError(f"{path}: can't be read: {error.strerror or error}") from error


def digest_open(raw: io.FileIO) -> str:
    """Return the digest as `digest_file` does, of a file opened at its beginning."""
    facts = os.fstat(raw.fileno())
    if not stat.S_ISREG(facts.st_mode):
        raise OSError(errno.EINVAL, "is not a regular file")
    sha256, left = hashlib.sha256(), facts.st_size
    buffer = memoryview(bytearray(min(_BLOCK_BYTES, left)))
    # No byte more than the size: a file of /proc has none, and reading it may wait for ever.
    while left and (count := raw.readinto(buffer[:left])):
        sha256.update(buffer[:count])
        left -= count
    return digest_text(sha256.hexdigest())


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def is_digest(text: str) -> bool:
    """Return whether `text` is "sha256:" and 64 lower-case hexadecimal digits."""
    return _DIGEST.fullmatch(text) is not None


def parse_digest(text: str) -> str:
    """Return `text` if it is a digest. Raises UsageError for anything else."""
    if not is_digest(text):
        raise UsageError(
            f"expected digest {text!r}: give sha256: and the 64 lower-case hexadecimal digits that "
            "sha256sum prints"
        )
    return text


class HashingReader:
    """Reads a raw binary file and hashes what it has read. An OSError passes through."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self._hash = hashlib.sha256()
        self.bytes_read = 0

    @property
    def closed(self) -> bool:
        return self._raw.closed

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """Return 1 to `size` bytes (all that are left if negative); none at the end of the file."""
        data = self._raw.read(size)
        self._hash.update(data)
        self.bytes_read += len(data)
        return data

    def digest(self) -> str:
        return digest_text(self._hash.hexdigest())

    def close(self) -> None:
        self._raw.close()


class HashingWriter:
    """Writes to a raw binary file and hashes what it has written. An OSError passes through."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self._hash = hashlib.sha256()
        self.bytes_written = 0

    @property
    def closed(self) -> bool:
        return self._raw.closed

    def writable(self) -> bool:
        return True

    def write(self, data: BytesLike) -> int:
        """Write all of `data`: a raw file may take only a part of it at a time."""
        left = memoryview(data).cast("B")
        length = len(left)
        while left:
            count = self._raw.write(left)
            self._hash.update(left[:count])
            self.bytes_written += count
            left = left[count:]
        return length

    def tell(self) -> int:
        return self.bytes_written

    def flush(self) -> None:
        self._raw.flush()

    @property
    def inode(self) -> int:
        """The number that the file system gave to the file, which must be open."""
        return os.fstat(self._raw.fileno()).st_ino

    def sync(self) -> None:
        os.fsync(self._raw.fileno())

    def digest(self) -> str:
        return digest_text(self._hash.hexdigest())

    def close(self) -> None:
        self._raw.close()
