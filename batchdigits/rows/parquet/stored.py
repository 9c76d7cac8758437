"""A Parquet file as pyarrow reads it, in any order, from a disk or from object storage."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from batchdigits.errors import IOFailedError, UnusableInputError
from batchdigits.files.digest import GrowingDigest, digest_text
from batchdigits.files.objects.path import ObjectPath
from batchdigits.files.streams import Snapshot


class Whole(Protocol):
    """An open file, its digest, and whether the same, unchanged file is still at its path."""

    file: pa.NativeFile

    def follow(self, share: float) -> None:
        """Hash the file up to this share of it, 0..1, which was read just now."""

    def digest(self) -> str: ...

    def verify(self) -> None: ...

    def close(self) -> None: ...


def open_whole(path: Path, scratch: str | None) -> Whole:
    """Open a file, or an object, which a thread copies into the folder `scratch` meanwhile.

    Raises NoInputError if it is absent, OSError or IOFailedError if it can't be read.
    """
    return _Object(path, scratch) if isinstance(path, ObjectPath) else _File(path)


def open_stored(path: Path) -> pa.NativeFile:
    """Open a file or an object for reading a part of it."""
    if isinstance(path, ObjectPath):
        return pa.PythonFile(path.open("rb"), mode="r")
    return pa.OSFile(os.fsencode(path))


@contextmanager
def damage_as_unusable(name: str) -> Iterator[None]:
    """Turn pyarrow's exceptions for damage into one line; real I/O errors carry an errno."""
    try:
        yield
    except MemoryError:  # pyarrow's own is an ArrowException too, but the file may be sound
        raise
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise IOFailedError(f"{name}: reading failed: {error.strerror}") from error
        detail = " ".join(str(error).split())
        raise UnusableInputError(
            f"{name}: can't be read as Parquet ({detail}); restore or re-create the file"
        ) from error


class _File:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._snapshot = Snapshot.of(path)
        self.file = pa.OSFile(os.fsencode(path))
        self._digest: GrowingDigest | None = None

    def follow(self, share: float) -> None:
        # While others score, and before the system forgets what it read from the disk.
        self._growing().grow(share)

    def digest(self) -> str:
        return self._growing().digest()

    def verify(self) -> None:
        self._snapshot.verify(self._path)

    def close(self) -> None:
        self.file.close()
        if self._digest is not None:
            self._digest.close()

    def _growing(self) -> GrowingDigest:
        if self._digest is None:
            self._digest = GrowingDigest(self._path)
        return self._digest


class _Object:
    def __init__(self, path: ObjectPath, scratch: str | None) -> None:
        from batchdigits.files.objects.download import Spool

        self._spool = Spool(path, None if scratch is None else Path(scratch))
        self.file = pa.PythonFile(self._spool, mode="r")

    def follow(self, share: float) -> None:
        pass  # the spool hashes what it copies

    def digest(self) -> str:
        return digest_text(self._spool.hexdigest())

    def verify(self) -> None:
        self._spool.verify()

    def close(self) -> None:
        self._spool.close()
