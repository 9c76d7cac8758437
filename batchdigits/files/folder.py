"""Writing a folder whole or not at all: filled beside its place, synced, renamed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from batchdigits.files.atomic import explained, fsync_folder


def create_folder(path: Path, fill: Callable[[Path], None], *, overwrite: bool) -> None:
    """Put the folder that `fill` makes at `path`; with `overwrite`, over a folder that is there.

    `fill` gets a path where nothing is yet. A kill leaves `.NAME.….tmp` beside `path`; if it came
    between the two renames, the old folder is in it as `old`. Raises OutputError when the name
    can't be written or is taken, even since a moment ago, IOFailedError when writing failed.
    """
    path = path.absolute()  # `.` has no name
    beside = path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}.tmp")
    new = beside / "new"
    with explained(path):
        beside.mkdir()
        try:
            fill(new)
            _sync_tree(new)
            rename_folder(new, path, beside / "old", overwrite=overwrite)
        finally:
            shutil.rmtree(new, ignore_errors=True)
            with suppress(OSError):  # what is in it still is the old folder
                beside.rmdir()


def rename_folder(new: Path, path: Path, old: Path, *, overwrite: bool) -> None:
    """Give the complete folder `new` the name `path`; with `overwrite`, that of one that is there.

    The one that is there is renamed to `old`. It is put back if the second rename fails, and
    removed when the name of the new one is on the disk. Raises as `create_folder`.
    """
    with explained(path):
        try:
            if overwrite and path.exists():
                path.rename(old)
            new.rename(path)  # refuses a folder with something in it
        finally:
            if old.exists() and not path.exists():
                old.rename(path)
    fsync_folder(path.parent)
    shutil.rmtree(old, ignore_errors=True)


def _sync_tree(folder: Path) -> None:
    for where, _, names in os.walk(folder):
        for name in names:
            with Path(where, name).open("rb") as file:
                os.fsync(file.fileno())
        fsync_folder(Path(where))
