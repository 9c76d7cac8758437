"""The one way a command runs: every failure becomes one line and an exit code."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence

from batchdigits.cli.interrupts import ignore_signals, raise_if_interrupted, signals_caught
from batchdigits.cli.logs import configure_logging, json_line
from batchdigits.cli.quiet import as_command
from batchdigits.errors import as_ours
from batchdigits.text import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

Body = Callable[[argparse.Namespace], int]


class _NoPandas:
    """A finder that says there is no pandas."""

    @staticmethod
    def find_spec(name: str, _path: object = None, _target: object = None) -> None:
        """Raise ImportError for pandas; leave every other name to the next finder."""
        if name == "pandas":
            raise ImportError(name)


@contextlib.contextmanager
def pandas_kept_out() -> Iterator[None]:
    """Spare a run half a second and 60 MB that scoring has no use for.

    pyarrow imports pandas, where it is installed, as it makes its first array. It does without
    where pandas can't be found, and never asks again.
    """
    sys.meta_path.insert(0, _NoPandas)
    try:
        yield
    finally:
        sys.meta_path.remove(_NoPandas)


def run_command(
    parser: argparse.ArgumentParser, body: Body, argv: Sequence[str] | None = None
) -> int:
    """Parse `argv`, run `body`, and turn every failure into one line and an exit code."""
    with signals_caught(), as_command():
        return _bounded(parser, body, argv)


def end(code: int) -> NoReturn:
    """End this process with `code`, without the interpreter's and the libraries' own taking down.

    There, rarely, threads of Arrow or ONNX Runtime meet what is gone already and abort the process,
    after all its work was done and said.
    """
    ignore_signals()  # nothing is left to stop
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):
            stream.flush()
    os._exit(code)


def _bounded(parser: argparse.ArgumentParser, body: Body, argv: Sequence[str] | None) -> int:
    arguments = argparse.Namespace()
    if isinstance(sys.stdout, io.TextIOWrapper):  # no character must cost the line it stands in
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        parser.parse_args(argv, namespace=arguments)
        configure_logging(arguments, _short(parser.prog))
        try:
            return body(arguments)
        finally:
            raise_if_interrupted()  # whatever became of the exception on its way
    except Exception as error:  # noqa: BLE001  # the boundary: whatever happened becomes one line
        ours = as_ours(error)
        return _report(parser.prog, arguments, str(ours), ours.exit_code)


def _report(prog: str, arguments: argparse.Namespace, line: str, code: int) -> int:
    """Print the one line, and the traceback with `--debug`; return the exit code."""
    line = one_line(line)
    ignore_signals()  # one that comes now has nothing left to stop
    if getattr(arguments, "debug", False):
        import traceback

        _to_stderr(traceback.format_exc().rstrip())
    if getattr(arguments, "log_format", "text") == "json":
        _to_stderr(json_line("error", line, time.time()))
    else:
        _to_stderr(f"{_short(prog)}: error: {line}")
    return code


def _short(prog: str) -> str:
    return prog.removeprefix("python -m ")


def _to_stderr(text: str) -> None:
    # If nobody is there to read it, the exit code says the rest.
    if sys.stderr is None:  # print() would take standard output instead
        return
    with contextlib.suppress(OSError, ValueError):
        print(text, file=sys.stderr)  # noqa: T201  # this is where commands print
