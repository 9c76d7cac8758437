"""SHA-256 digests, written as `sha256:` and 64 hexadecimal digits."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import IO

from batchdigits.errors import IOFailedError, UsageError

BytesLike = bytes | bytearray | memoryview

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
    """Return the digest of a file's bytes. Raises IOFailedError when it can't be read."""
    try:
        with Path(path).open("rb", buffering=0) as raw:
            return digest_text(hashlib.file_digest(raw, "sha256").hexdigest())
    except OSError as error:
        raise IOFailedError(f"{path}: can't be read: {error.strerror or error}") from error


def parse_digest(text: str) -> str:
    """Return `text` if it is a digest. Raises UsageError for anything else."""
    if not _DIGEST.fullmatch(text):
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

    def sync(self) -> None:
        os.fsync(self._raw.fileno())

    def digest(self) -> str:
        return digest_text(self._hash.hexdigest())

    def close(self) -> None:
        self._raw.close()
