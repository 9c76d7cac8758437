"""An output as receipts and commits name it, and the file on the disk that it must be."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from batchdigits.errors import IOFailedError
from batchdigits.files.atomic import temporary_name
from batchdigits.files.digest import digest_file
from batchdigits.files.objects.client import Version
from batchdigits.files.objects.path import ObjectPath

_LONGEST_NAME = 255  # bytes, on every file system of Linux


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """An output with a complete temporary: its final path, `sha256:…`, and length in bytes.

    `inode` tells the temporary from another file of its name; None where a document names it.
    `version` is that of an object; None of a file.
    """

    path: Path
    digest: str
    bytes: int
    inode: int | None = field(default=None, compare=False)
    version: Version | None = field(default=None, compare=False)


def is_present(path: Path) -> bool:
    """Return whether there is anything at a path, even a broken link."""
    return path.exists() if isinstance(path, ObjectPath) else os.path.lexists(path)


def is_file_of(path: Path, output: WrittenFile, *, trust_etag: bool = False) -> bool:
    """Return whether the regular file at `path` has the output's size and, only then, digest.

    With `trust_etag` an object of the output's version is not read.
    """
    if isinstance(path, ObjectPath) and trust_etag and output.version is not None:
        return path.version() == output.version
    try:
        status = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    if not stat.S_ISREG(status.st_mode) or status.st_size != output.bytes:
        return False
    return digest_file(path) == output.digest


def verify_written(output: WrittenFile) -> None:
    """Raise IOFailedError unless the temporary is the very file that was written."""
    temporary = temporary_name(output.path)
    try:
        status = temporary.lstat()
    except (FileNotFoundError, NotADirectoryError):
        problem = "the file is gone"
    else:
        if output.inode not in (None, status.st_ino):
            problem = "another file is there now"
        elif status.st_size != output.bytes:
            problem = f"the file has {status.st_size}"
        elif not is_file_of(temporary, output):
            problem = "the file has others now"
        else:
            return
    raise IOFailedError(
        f"{temporary}: {output.bytes} bytes were written, but {problem}; nothing was published; "
        "check what else writes in the folder, and that its mount still exists, then run again"
    )


def entry_of(output: WrittenFile) -> dict[str, Any]:
    """Return an output as documents name it: by its file name without a folder."""
    version = {} if output.version is None else output.version.facts
    return {"path": output.path.name, "sha256": output.digest, "bytes": output.bytes, **version}


def from_entries(folder: Path, entries: Sequence[object]) -> list[WrittenFile] | None:
    """Return the outputs in `folder` that a document names; None if one entry makes no sense."""
    files = []
    for entry in entries:
        match entry:
            case {
                "path": str(name),
                "sha256": str(digest),
                "bytes": int(size),
                **others,
            } if _is_name(name):
                version = Version.of_facts(size, others)
                files.append(WrittenFile(folder / name, digest, size, version=version))
            case _:
                return None
    return files


def _is_name(name: str) -> bool:
    """Return whether this can be the name of a file in its own folder."""
    try:
        encoded = os.fsencode(name)
    except UnicodeEncodeError:
        return False
    plain = b"/" not in encoded and b"\0" not in encoded and encoded not in (b"", b".", b"..")
    return plain and len(encoded) <= _LONGEST_NAME
