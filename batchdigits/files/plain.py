"""Reading a small regular file: without following a link, without waiting for a FIFO."""

from __future__ import annotations

import errno
import os
import stat
from functools import partial
from pathlib import Path

from batchdigits.files.objects.path import ObjectPath

NOT_SMALL = {errno.ELOOP, errno.EINVAL, errno.EFBIG}
"""The error numbers of what no small file of ours can be: a link, a FIFO or device, too large."""


def read_small(path: Path, limit: int, *, follow: bool = False) -> bytes:
    """Return the bytes of a small file of ours: a regular file of at most `limit` bytes.

    `follow` follows a link, for a file that the user named. Raises the OSErrors of `read_plain`.
    """
    if follow and not isinstance(path, ObjectPath):
        path = Path(os.path.realpath(path))
    return read_plain(path, limit)[0]


def read_plain(path: Path, most: int, folder: int | None = None) -> tuple[bytes, os.stat_result]:
    """Read a regular file of at most `most` bytes; return its bytes and its `fstat`.

    With `folder`, an open folder's descriptor, the name of `path` is looked up in that folder.
    Raises an OSError whose `strerror` says why the file can't be read: FileNotFoundError if it is
    absent, IsADirectoryError for a folder, the number ELOOP for a symbolic link, EINVAL for a
    FIFO, a socket or a device, EFBIG for more bytes.
    """
    if isinstance(path, ObjectPath):
        return _read_object(path, most)
    name = path if folder is None else path.name
    try:
        file = open(name, "rb", opener=partial(_open, folder=folder))  # noqa: SIM115  # closed below
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "is a symbolic link, which is not followed") from error
        raise
    with file:
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode):
            raise OSError(errno.EINVAL, "is a FIFO or a device")
        _check_size(facts.st_size, most)
        # No byte more: a file of /proc has size 0, and reading it may wait for ever.
        return file.read(facts.st_size), facts


def _read_object(path: ObjectPath, most: int) -> tuple[bytes, os.stat_result]:
    facts = path.stat()
    _check_size(facts.st_size, most)
    return path.read_bytes(), facts


def _open(path: str, flags: int, folder: int | None) -> int:
    # Without O_NONBLOCK a FIFO in the file's place would hang the run.
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)


def _check_size(size: int, most: int) -> None:
    if size > most:
        raise OSError(errno.EFBIG, f"has {size} bytes, more than the {most} allowed")
