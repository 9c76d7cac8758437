"""Writing a folder whole or not at all: filled beside its place, synced, renamed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
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
    new, old = beside / "new", beside / "old"
    with explained(path):
        beside.mkdir()
        try:
            fill(new)
            _sync_tree(new)
            if overwrite and path.exists():
                path.rename(old)
            new.rename(path)  # refuses a folder with something in it
        finally:
            if old.exists() and not path.exists():
                old.rename(path)
            shutil.rmtree(beside, ignore_errors=True)
    fsync_folder(path.parent)


def _sync_tree(folder: Path) -> None:
    for where, _, names in os.walk(folder):
        for name in names:
            with Path(where, name).open("rb") as file:
                os.fsync(file.fileno())
        fsync_folder(Path(where))
