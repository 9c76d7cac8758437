"""Ctrl-C while a command is still being imported: one line and 130, as ever after."""

from __future__ import annotations

import contextlib
import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_OPTIONS_WITH_VALUE = ("-W", "-X", "--check-hash-based-pycs")


def is_our_command() -> bool:
    """Whether this process is one of our commands, and not somebody's program that imports us."""
    words = iter(sys.orig_argv[1:])
    for word in words:
        if word == "-m":
            return next(words, "").partition(".")[0] == "batchdigits"
        if word in _OPTIONS_WITH_VALUE:
            next(words, None)
        elif word == "-" or word.startswith("-c") or not word.startswith("-"):
            # What comes behind is the program's own, and may well be another `-m`.
            return word.endswith("/batchdigits")
    return False


def catch_interrupt() -> None:
    """End the process with one line at SIGINT, until the command has its own handler.

    Unless SIGINT is ignored, as in a shell's background, or handled already.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        with contextlib.suppress(ValueError):  # outside the main thread nobody may set one
            signal.signal(signal.SIGINT, end_at_once)


def end_at_once(number: int, _frame: object) -> NoReturn:
    """The handler: right as long as no command has done anything, wrong from then on."""
    # No exception: one that is raised amid an import of C code can get lost.
    os.write(2, f"batchdigits: error: interrupted by signal {number}: nothing was done\n".encode())
    os._exit(128 + number)
