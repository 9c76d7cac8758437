"""A plain file, opened without following a link and without waiting for a FIFO."""

from __future__ import annotations

import os


def open_plain(path: str, flags: int, folder: int | None = None) -> int:
    """An opener, as `open` takes it, for what should be a regular file: it follows no link.

    `folder` is the descriptor of the one that a relative path begins in.
    """
    # Without O_NONBLOCK a FIFO in the file's place would hang the run.
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
