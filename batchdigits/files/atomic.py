"""The one way to write a file: beside its target, flushed, synced, renamed, the folder synced."""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from batchdigits.errors import IOFailedError, OutputError, UsageError
from batchdigits.files.digest import HashingWriter
from batchdigits.files.names import refuse_url
from batchdigits.files.objects.path import ObjectPath

# The name or its folder is at fault, not the disk below: another name would help.
_UNUSABLE_NAME = {
    errno.EACCES,
    errno.EEXIST,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.ENOTEMPTY,
    errno.EPERM,
    errno.EROFS,
}
# Some network and FUSE file systems can't sync a folder at all; they order renames themselves.
_UNSYNCABLE_FOLDER = {errno.EINVAL, errno.ENOTSUP}
# FAT and some network and FUSE file systems have no second names for a file, and a full disk has
# no room for one.
_UNLINKABLE = {errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}
_UNLINKABLE |= {errno.ENOSPC, errno.EDQUOT}
_MODE = 0o666

OVERWRITE = "give --overwrite, or name another file"


def temporary_name(path: Path) -> Path:
    """Return `.NAME.tmp` beside the file: always the same, for a writer that holds a lock."""
    return path.with_name(f".{path.name}.tmp")


def replace_file(path: Path, data: bytes, *, mode: int = _MODE) -> None:
    """Write `data` to `path`, whole or not at all, over a file that may be there.

    The umask takes permissions away from `mode`. Of several writers at once, the last wins. Raises
    OutputError when the name can't be written, IOFailedError when writing failed.
    """
    _replace(_own_temporary(path), path, data, mode)


def replace_under_lock(path: Path, data: bytes) -> None:
    """Write as `replace_file` does, under a lock: a temporary that a kill left is written anew."""
    _replace(temporary_name(path), path, data)


def create_under_lock(path: Path, data: bytes) -> None:
    """Write as `replace_under_lock` does, but never over anything. Raises FileExistsError."""
    temporary = temporary_name(path)
    try:
        write_synced(temporary, path, data)
        name_new(temporary, path)
    finally:
        remove_file(temporary)
    fsync_folder(path.parent)


def _own_temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}.tmp")


def _replace(temporary: Path, path: Path, data: bytes, mode: int = _MODE) -> None:
    try:
        write_synced(temporary, path, data, mode)
        move_file(temporary, path)
    finally:
        remove_file(temporary)
    fsync_folder(path.parent)


def create_file(path: Path, data: bytes, *, mode: int = _MODE) -> None:
    """Write `data` to `path`, whole or not at all, and never over anything that is there.

    The umask takes permissions away from `mode`. Raises FileExistsError when the name is taken,
    OutputError when it can't be written, IOFailedError when writing failed.
    """
    if isinstance(path, ObjectPath):
        path.create(data)
        return
    temporary = _own_temporary(path)
    try:
        write_synced(temporary, path, data, mode)
        name_new(temporary, path)
    finally:
        remove_file(temporary)
    fsync_folder(path.parent)


def write_synced(temporary: Path, path: Path, data: bytes, mode: int = _MODE) -> None:
    """Write a new temporary for `path` and wait until its bytes are on the disk."""
    writer = open_temporary(temporary, mode)
    with explained(path), closing(writer):
        writer.write(data)
        writer.sync()


def write_output(
    path: Path, data: bytes, *, overwrite: bool, fix: str = OVERWRITE, mode: int = _MODE
) -> None:
    """Write a file that a user named, whole or not at all.

    overwrite  replace a file of that name; without it, raise OutputError that ends with `fix`
    mode       permissions of the file, before the umask

    Raises OutputError when the name can't be written, IOFailedError when writing failed.
    """
    if overwrite:
        replace_file(path, data, mode=mode)
        return
    try:
        create_file(path, data, mode=mode)
    except FileExistsError as error:
        raise _taken(path, fix) from error


def check_output(
    name: str, *, overwrite: bool, suffix: str, fix: str = OVERWRITE, flag: str = "--output"
) -> Path:
    """Check, before work begins, that `write_output` can write the file that `flag` names.

    Returns its path. Raises UsageError for a name that lacks `suffix`, OutputError if its folder is
    missing, if it is a folder, or if it exists and `overwrite` is false.
    """
    if not name.endswith(suffix):
        raise UsageError(f"{flag} {name!r}: expected a file name that ends in {suffix}")
    path = check_parent(name, flag)
    if path.is_dir():
        raise OutputError(f"{path}: is a folder; name a file")
    if not overwrite:
        refuse_existing(path, fix)
    return path


def check_parent(name: str, flag: str) -> Path:
    """Check that the folder of what `flag` names exists; return the path.

    Raises UsageError for an empty name, OutputError if the folder is missing.
    """
    if not name:  # an unset variable in a script
        raise UsageError(f"{flag} is empty: name a path, or leave the flag out")
    refuse_url(name, flag)
    path = Path(name)
    if not path.absolute().parent.is_dir():
        raise OutputError(f"{path}: there is no folder {path.parent}; make it, or name another")
    return path


def refuse_existing(path: Path, fix: str = OVERWRITE) -> None:
    """Raise OutputError that ends with `fix` if anything is at `path`, even a broken link."""
    if os.path.lexists(path):
        raise _taken(path, fix)


def _taken(path: Path, fix: str) -> OutputError:
    return OutputError(f"{path}: exists; {fix}")


def open_temporary(path: Path, mode: int = _MODE) -> HashingWriter:
    """Open a new file with the umask's permissions, in place of a regular file that may be there.

    The file is nobody else's: if another process creates one meanwhile, this fails. Never follows
    a link. Raises OutputError or IOFailedError.
    """
    create = os.O_CREAT | os.O_EXCL
    with explained(path):
        # A leftover may have other permissions or a second name elsewhere; a device stays.
        with suppress(FileNotFoundError):
            if stat.S_ISREG(path.lstat().st_mode):
                path.unlink()
            else:
                create = 0
        descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | create, mode)
        return HashingWriter(io.FileIO(descriptor, "wb"))


def move_file(source: Path, target: Path) -> None:
    """Rename `source` over whatever `target` is. The caller syncs the folder."""
    with explained(target):
        source.replace(target)


def name_new(source: Path, target: Path) -> None:
    """Give the file at `source` the name `target` too, where nothing may be.

    The caller syncs the folder and then removes the old name, which may be gone. Raises
    FileExistsError when the name is taken: a rename would overwrite, a link refuses. Where no link
    can be made it is renamed, and nothing but a look before that keeps a file that appears
    at the same instant.
    """
    with explained(target, passing=FileExistsError):
        try:
            os.link(source, target, follow_symlinks=False)
        except FileExistsError:
            # NFS repeats a call whose answer was lost: then the name is taken by this very file.
            if not os.path.samestat(source.lstat(), target.lstat()):
                raise
        except OSError as error:
            if error.errno not in _UNLINKABLE:
                raise
            if os.path.lexists(target):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from error
            source.replace(target)


def remove_file(path: Path) -> None:
    """Remove a file that may be absent. The caller syncs the folder."""
    with explained(path):
        path.unlink(missing_ok=True)


def fsync_folder(path: Path) -> None:
    """Wait until the names in a folder are on the disk. Raises IOFailedError."""
    if isinstance(path, ObjectPath):
        return
    with explained(path):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in _UNSYNCABLE_FOLDER:
                raise
        finally:
            os.close(descriptor)


@contextmanager
def explained(path: Path, passing: type[OSError] | tuple[()] = ()) -> Iterator[None]:
    """Turn an OSError of writing to `path` into OutputError or IOFailedError with its cause.

    Errors of the class `passing` stay as they are.
    """
    try:
        yield
    except passing:
        raise
    except OSError as error:
        cause = error.strerror or error
        if error.errno in _UNUSABLE_NAME:
            message = f"{path}: can't be written: {cause}; name another place for it"
            raise OutputError(message) from error
        raise IOFailedError(
            f"{path}: writing failed: {cause}; free or check the disk, then run again"
        ) from error
