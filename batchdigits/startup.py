"""Ctrl-C while a command is still being imported: one line and 130, as ever after."""

from __future__ import annotations

import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def is_our_command() -> bool:
    """Whether this process is one of our commands, and not somebody's program that imports us."""
    words = sys.orig_argv
    if any(word.endswith("/batchdigits") for word in words[1:2]):
        return True
    module = words[words.index("-m") + 1 :][:1] if "-m" in words else []
    return module == ["batchdigits"] or any(name.startswith("batchdigits.") for name in module)


def catch_interrupt() -> None:
    """End the process with one line at SIGINT, until the command has its own handler.

    Unless SIGINT is ignored, as in a shell's background, or handled already.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def _end(number: int, _frame: object) -> NoReturn:
    # No exception: one that is raised amid an import of C code can get lost.
    os.write(2, f"batchdigits: error: interrupted by signal {number}: nothing was done\n".encode())
    os._exit(128 + number)
