"""SHA-256 digests, written as `sha256:` and 64 hexadecimal digits."""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO

from batchdigits.errors import InterruptedRunError, IOFailedError, TryAgainError, UsageError
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
    with closing(GrowingDigest(path)) as growing:
        return growing.digest()


class GrowingDigest:
    """The digest of a regular file, as many bytes as its size says, computed part by part.

    The constructor opens it. Every method raises IOFailedError when it can't be read.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = path
        with self._explained():
            # Without O_NONBLOCK a FIFO would hang the run.
            flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
            self._raw = io.FileIO(os.open(path, flags))
        facts = os.fstat(self._raw.fileno())
        if not stat.S_ISREG(facts.st_mode):
            self.close()
            raise IOFailedError(f"{path}: can't be read: is not a regular file")
        self._hash = hashlib.sha256()
        # No byte more than the size: a file of /proc has none, and reading it may wait for ever.
        self._size = self._left = facts.st_size
        self._buffer = memoryview(bytearray(min(_BLOCK_BYTES, self._left)))

    def grow(self, share: float) -> None:
        """Hash the bytes up to this share of the file, 0..1, that were not hashed yet."""
        todo = self._left - int(self._size * (1 - share))
        with self._explained():
            while todo > 0 and (count := self._raw.readinto(self._buffer[:todo])):
                self._hash.update(self._buffer[:count])
                self._left -= count
                todo -= count

    def digest(self) -> str:
        """Return the digest of the whole file."""
        self.grow(1)
        return digest_text(self._hash.hexdigest())

    def close(self) -> None:
        self._raw.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            problem = error.strerror or error
            raise IOFailedError(f"{self._path}: can't be read: {problem}") from error


@contextmanager
def refuse_changes(digests: Mapping[Path, str]) -> Iterator[None]:
    """Raise TryAgainError if a file has lost its digest, rather than the error that this led to.

    It is for files that are read several times, by their names.
    """
    try:
        yield
    except InterruptedRunError:
        raise
    except Exception:
        _verify(digests)
        raise
    _verify(digests)


def _verify(digests: Mapping[Path, str]) -> None:
    for path, digest in digests.items():
        if not path.is_file() or digest_file(path) != digest:
            raise TryAgainError(
                f"{path}: was changed while it was read; run again when it is complete"
            )


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
