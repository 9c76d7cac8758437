"""What may lie in the place of a small file of ours: each is refused at once, whatever it is."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def fifo(path: Path) -> None:
    os.mkfifo(path)


def link_to_zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def link_to_itself(path: Path) -> None:
    path.symlink_to(path.name)


def sparse_terabyte(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**40)


def deep_json(path: Path) -> None:
    path.write_bytes(b'{"history": ' + b"[" * 1_000_000)


def not_a_number(path: Path) -> None:
    path.write_bytes(b'{"history": [{"version": NaN, "at": "", "by": ""}], "outputs": {}}')


def wide_number(path: Path) -> None:
    path.write_bytes(b'{"outputs": {}, "history": [{"version": %s}]}' % (b"9" * 400))


def not_utf8(path: Path) -> None:
    path.write_bytes(b'{"history": "\xff"}')


HOSTILE: tuple[Callable[[Path], None], ...] = (
    fifo,
    link_to_zeros,
    link_to_itself,
    sparse_terabyte,
    deep_json,
    not_a_number,
    wide_number,
    not_utf8,
)
