"""The terminal: results on standard output, messages and the status line on standard error.

All text goes out here, and what a terminal could obey is made harmless on the way.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable

from batchdigits.cli.interrupts import raise_if_interrupted
from batchdigits.errors import IOFailedError
from batchdigits.text import printable, printable_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CLEAR_LINE = "\r\x1b[K"


def print_result(text: str) -> None:
    """Write a result of one line to standard output."""
    print_text(printable(text))


def print_text(text: str) -> None:
    """Write a result to standard output. A reader that has gone away is not an error.

    Each line feed in it begins a line, so what comes from outside must be printable already.
    """
    try:
        if sys.stdout is not None:
            sys.stdout.write(printable_lines(text) + "\n")
            sys.stdout.flush()
    except (BrokenPipeError, ValueError):
        _silence_stdout()
    except OSError as error:
        _silence_stdout()
        raise IOFailedError(
            f"standard output can't be written: {error.strerror}; the work is done and its files "
            "are complete, only this result was lost"
        ) from error


def print_json(result: Any) -> None:
    """Write one result to standard output as one line of JSON, in ASCII for any terminal."""
    import json

    print_result(json.dumps(result))


def print_message(text: str) -> None:
    """Write one message to standard error. Nobody who reads it is not an error.

    The status line on a terminal is cleared before it.
    """
    if sys.stderr is None:  # print() would write to standard output instead
        return
    with contextlib.suppress(OSError, ValueError):  # the exit code still says what happened
        StatusLine().clear()
        sys.stderr.write(printable_lines(text) + "\n")
        sys.stderr.flush()


def print_summary(result: Any, text: Callable[[], str], *, as_json: bool) -> None:
    """Write the result of a run: to a terminal as `text` unless `as_json`, else as JSON.

    An empty text writes nothing: the tables on standard error have said it all.
    """
    if as_json or sys.stdout is None or not sys.stdout.isatty():
        print_json(result)
    elif shown := text():
        print_text(shown)


class StatusLine:
    """One line that is rewritten on a terminal; nothing on anything else."""

    def __init__(self) -> None:
        terminal = sys.stderr is not None and sys.stderr.isatty()
        self.enabled = terminal and os.environ.get("TERM") != "dumb"

    def show(self, text: str, name: str = "") -> None:
        """Replace the line with `text` and the end of `name`, cut to the terminal's width.

        Names of files differ in their ends: `…-2026-11-28.csv`.
        """
        if self.enabled:
            width = os.get_terminal_size(sys.stderr.fileno()).columns or 80
            self._write(f"{CLEAR_LINE}{_fitted(printable(text), printable(name), width - 1)}")

    def clear(self) -> None:
        if self.enabled:
            self._write(CLEAR_LINE)

    @staticmethod
    def _write(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()


class Progress:
    """The progress of a run on a status line: rows, rows a second, time left, name of the input.

    Call it with the rows of the current input that are done, the share of that input that is done
    (0..1, None if unknown), and the input's name. It redraws the line at most five times a second,
    and raises InterruptedRunError if a signal has come whose exception was lost.
    """

    INTERVAL = 0.2

    def __init__(self) -> None:
        self.started = time.monotonic()
        self._line = StatusLine()
        self._next = self.started
        self._name: str | None = None

    def __call__(self, rows: int, part: float | None, name: str) -> None:
        raise_if_interrupted()
        now = time.monotonic()
        if self._name not in (None, name):  # rate and time left are those of the new input
            self.started = now
        self._name = name
        if not self._line.enabled or now < self._next:
            return
        self._next = now + self.INTERVAL
        seconds = max(now - self.started, 1e-9)
        text = f"{rows:,} rows  {rows / seconds:,.0f} rows/s"
        if part:
            left = seconds * (1 - part) / part
            text = f"{_bar(part)} {part:4.0%}  {text}  {_clock(left)} left"
        self._line.show(text, name.rpartition("/")[2])

    def finish(self) -> None:
        self._line.clear()


def _fitted(text: str, name: str, width: int) -> str:
    """Return text and name in `width` columns; of a name that does not fit, the end."""
    room = width - len(text) - 2
    # Letters beyond ASCII may take two columns.
    columns = len(name) if name.isascii() else 2 * len(name)
    if not name or room < 2:
        return text[:width]
    if columns > room:
        name = f"…{name[len(name) - (room - 2) * len(name) // columns :]}"
    return f"{text}  {name}"


def _bar(part: float, width: int = 20) -> str:
    full = round(min(part, 1.0) * width)
    is_utf8 = (sys.stderr.encoding or "").lower().replace("-", "") == "utf8"
    done, left = ("█", "░") if is_utf8 else ("#", ".")
    return done * full + left * (width - full)


def _clock(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def _silence_stdout() -> None:
    """Point standard output at /dev/null, or the interpreter's last flush would fail again."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
