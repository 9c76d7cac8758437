"""SHA-256 of files, taken in one pass while their bytes go by."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import IO

from batchdigits.errors import IOFailedError

BytesLike = bytes | bytearray | memoryview


def digest_file(path: str | os.PathLike[str]) -> str:
    """`sha256:` and the hexadecimal digest of a file's bytes, as sha256sum prints it.

    Raises IOFailedError when the file is absent or can't be read.
    """
    try:
        with Path(path).open("rb", buffering=0) as raw:
            return f"sha256:{hashlib.file_digest(raw, 'sha256').hexdigest()}"
    except OSError as error:
        raise IOFailedError(f"{path}: can't be read: {error.strerror or error}") from error


class HashingReader:
    """Reads a raw binary file and hashes what was read so far. An OSError passes through."""

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
        """1 to `size` bytes (all that are left when negative); none at the end of the file."""
        return self._account(self._raw.read(size))

    def digest(self) -> str:
        """`sha256:…` of what was read so far."""
        return f"sha256:{self._hash.hexdigest()}"

    def close(self) -> None:
        self._raw.close()

    def _account(self, data: bytes) -> bytes:
        self._hash.update(data)
        self.bytes_read += len(data)
        return data


class HashingWriter:
    """Writes to a raw binary file and hashes what landed there. An OSError passes through."""

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
        """Writes all of `data`: a raw file may take a part of it at a time."""
        left = memoryview(data).cast("B")
        length = len(left)
        while left:
            count = self._raw.write(left)
            self._hash.update(left[:count])
            self.bytes_written += count
            left = left[count:]
        return length

    def tell(self) -> int:
        """The number of bytes written, which is where the next one goes."""
        return self.bytes_written

    def flush(self) -> None:
        self._raw.flush()

    def sync(self) -> None:
        """Waits until what was written is on the disk."""
        os.fsync(self._raw.fileno())

    def digest(self) -> str:
        """`sha256:…` of what was written so far."""
        return f"sha256:{self._hash.hexdigest()}"

    def close(self) -> None:
        self._raw.close()
