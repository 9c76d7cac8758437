"""One writer at a time: an advisory lock that the kernel frees however its holder ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from batchdigits.errors import OutputError, TryAgainError


@contextmanager
def hold_lock(path: Path) -> Iterator[None]:
    """Holds `.NAME.lock` beside `path`, which need not exist, without waiting for it.

    Raises TryAgainError when another process holds it, OutputError when its folder is absent
    or can't be written.
    """
    lock = lock_name(path)
    descriptor = _acquire(lock, path)
    try:
        yield
    finally:
        # Removed while still held: whoever waits behind us finds the name gone and tries anew.
        with suppress(OSError):
            if _is_still_named(descriptor, lock):
                lock.unlink()
        os.close(descriptor)


def lock_name(path: Path) -> Path:
    """`.NAME.lock` beside the file."""
    return path.with_name(f".{path.name}.lock")


def _acquire(lock: Path, path: Path) -> int:
    while True:
        descriptor = _open_and_lock(lock, path)
        # Its last holder may have removed the file between our opening and our locking it; a
        # lock without a name keeps nobody out.
        if _is_still_named(descriptor, lock):
            with suppress(OSError):  # a full disk: the pid is only a courtesy
                os.truncate(descriptor, 0)
                os.write(descriptor, f"{os.getpid()}\n".encode())
            return descriptor
        os.close(descriptor)


def _open_and_lock(lock: Path, path: Path) -> int:
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        raise _unlockable(lock, path, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = _holder(descriptor)
        os.close(descriptor)
        message = f"{path}: another run{holder} is writing it; try again when that has ended"
        raise TryAgainError(message) from error
    except OSError as error:
        os.close(descriptor)
        raise _unlockable(lock, path, error) from error
    return descriptor


def _unlockable(lock: Path, path: Path, error: OSError) -> OutputError:
    cause = error.strerror or error
    return OutputError(
        f"{path}: {lock.name} beside it can't be locked: {cause}; choose a folder "
        "that this user can write"
    )


def _is_still_named(descriptor: int, lock: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), lock.lstat())
    except FileNotFoundError:
        return False


def _holder(descriptor: int) -> str:
    written = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
    return f" (process {written})" if written.isdecimal() else ""
