"""One writer at a time: an advisory lock, which the kernel frees even if its holder is killed."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from batchdigits.errors import (
    BatchdigitsError,
    InterruptedRunError,
    IOFailedError,
    OutputError,
    TryAgainError,
)

_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG}
# A process that only tests the lock shares it for an instant: that is no reason to give up.
_TRIES = 50
_PAUSE = 0.01  # seconds


@contextmanager
def hold_lock(path: Path) -> Iterator[None]:
    """Hold `.NAME.lock` beside `path`, which need not exist; never wait for another run.

    Raises TryAgainError when another process holds the lock, OutputError when its folder is absent,
    can't be written or knows no locks, IOFailedError when the disk is full.
    """
    lock = lock_name(path)
    try:
        descriptor = _acquire(lock, path)
    except InterruptedRunError:
        _remove_free(lock)
        raise
    try:
        yield
    finally:
        _let_go(descriptor, lock)


def refuse_held(path: Path) -> None:
    """Raise what hold_lock would where another process holds the lock or it can't be opened.

    Writes, creates and removes nothing. A free lock file is shared for an instant, less than
    hold_lock waits.
    """
    lock = lock_name(path)
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return
    except OSError as error:
        raise _unlockable(lock, path, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise _busy(path, descriptor) from error
    except OSError as error:
        raise _unlockable(lock, path, error) from error
    finally:
        os.close(descriptor)


def lock_name(path: Path) -> Path:
    """`.NAME.lock` beside the file."""
    return path.with_name(f".{path.name}.lock")


def _acquire(lock: Path, path: Path) -> int:
    while True:
        descriptor = _open_and_lock(lock, path)
        # The last holder may have removed the file between our opening and our locking it; a lock
        # on a file without a name keeps nobody out.
        try:
            if _is_still_named(descriptor, lock):
                with suppress(OSError):  # a full disk; the pid is only for messages
                    os.truncate(descriptor, 0)
                    os.write(descriptor, f"{os.getpid()}\n".encode())
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _let_go(descriptor: int, lock: Path) -> None:
    # The file is removed while still held: the next process sees the name gone and tries again.
    with suppress(OSError):
        if _is_still_named(descriptor, lock):
            lock.unlink()
    os.close(descriptor)


def _remove_free(lock: Path) -> None:
    """Remove a lock file that nobody holds: a signal may arrive just after ours was created."""
    with suppress(OSError):
        descriptor = os.open(lock, os.O_RDWR | os.O_NOFOLLOW)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
        else:
            _let_go(descriptor, lock)


def _open_and_lock(lock: Path, path: Path) -> int:
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        raise _unlockable(lock, path, error) from error
    try:
        _lock(descriptor)
    except BlockingIOError as error:
        busy = _busy(path, descriptor)
        os.close(descriptor)
        raise busy from error
    except OSError as error:
        os.close(descriptor)
        if error.errno in _NO_LOCKS:  # nobody can hold it, and nobody would remove it
            with suppress(OSError):
                lock.unlink()
        raise _unlockable(lock, path, error) from error
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _lock(descriptor: int) -> None:
    for _ in range(_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_PAUSE)
        else:
            return
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _busy(path: Path, descriptor: int) -> TryAgainError:
    holder = _holder(descriptor)
    return TryAgainError(
        f"{path}: another run{holder} is writing it; try again when that run has ended"
    )


def _unlockable(lock: Path, path: Path, error: OSError) -> BatchdigitsError:
    problem = f"{path}: {lock.name} beside it can't be locked: {error.strerror or error}"
    if error.errno in _NO_LOCKS:
        return OutputError(
            f"{problem}: the file system of {path.parent} has no locks (flock); choose a folder "
            "that has, or, if never two runs write there at once, predict with --no-lock"
        )
    if error.errno in _NO_ROOM:
        return IOFailedError(f"{problem}; free or check the disk, then run again")
    return OutputError(f"{problem}; choose a folder that this user can write")


def _is_still_named(descriptor: int, lock: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), lock.lstat())
    except FileNotFoundError:
        return False


def _holder(descriptor: int) -> str:
    written = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
    return f" (process {written})" if written.isdecimal() else ""
