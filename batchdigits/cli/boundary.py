"""The error boundary of every command: a failure becomes one line and an exit code."""

from __future__ import annotations

import argparse
import contextlib
import gc
import io
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence

from batchdigits.cli.interrupts import ignore_signals, raise_if_interrupted, signals_caught
from batchdigits.cli.logs import configure_logging, json_line
from batchdigits.cli.quiet import as_command
from batchdigits.cli.terminal import print_message
from batchdigits.errors import BatchdigitsError, as_ours

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

Body = Callable[[argparse.Namespace], int]

COLLECTED_OBJECTS = 10_000
"""New objects after which Python looks for garbage among them; its default is 700 to 2,000."""


class _NoPandas:
    @staticmethod
    def find_spec(name: str, _path: object = None, _target: object = None) -> None:
        if name == "pandas":
            raise ImportError(name)


@contextlib.contextmanager
def pandas_kept_out() -> Iterator[None]:
    """Hide pandas from pyarrow, which saves a run half a second and 60 MB.

    pyarrow imports an installed pandas when it makes its first array. If that import fails,
    pyarrow works without pandas and does not try again.
    """
    sys.meta_path.insert(0, _NoPandas)
    try:
        yield
    finally:
        sys.meta_path.remove(_NoPandas)


@contextlib.contextmanager
def warnings_unseen() -> Iterator[None]:
    """Keep Python's warnings, such as NumPy's of an overflow, away from standard error.

    They name lines of source, and cron mails them. What a user must know is logged as a message.
    """
    with warnings.catch_warnings():
        warnings.showwarning = _unseen
        yield


def _unseen(*_warning: object, **_more: object) -> None:
    pass


@contextlib.contextmanager
def fewer_collections() -> Iterator[None]:
    """Let Python look for cyclic garbage less often than it does by default.

    Imports make objects by the hundred thousand, and all of them stay.
    """
    before = gc.get_threshold()
    gc.set_threshold(COLLECTED_OBJECTS, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def one_blas_thread() -> None:
    """Keep NumPy to one thread for matrix products, which we don't use; call it before its import.

    Its threads would only reserve memory. Where they can't be started it interrupts the process.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def run_command(
    parser: argparse.ArgumentParser, body: Body, argv: Sequence[str] | None = None
) -> int:
    """Parse `argv`, run `body`, and turn every failure into one line and an exit code."""
    arguments = argparse.Namespace()
    with signals_caught(), as_command(), warnings_unseen(), fewer_collections():
        for stream in (sys.stdout, sys.stderr):
            # A terminal that lacks a character must not cost the whole line.
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        try:
            parser.parse_args(argv, namespace=arguments)
            configure_logging(arguments, _short(parser.prog))
            try:
                code = body(arguments)
            finally:
                raise_if_interrupted()  # a library may have swallowed the exception
            ignore_signals()  # nothing is left to stop
        except Exception as error:  # noqa: BLE001  # the boundary: every failure becomes one line
            return _report(parser.prog, arguments, as_ours(error))
        return code


def end(main: Callable[[], int]) -> NoReturn:
    """End the process with the exit code of `main`, and skip the interpreter's shutdown.

    During the shutdown, a thread of Arrow or ONNX Runtime rarely touches what is already freed and
    aborts the process, although all its work is done and reported. It is an eighth of the time of
    `--help` too, after which argparse exits.
    """
    try:
        code = main()
    except SystemExit as done:
        if not isinstance(done.code, int):
            raise
        code = done.code
    ignore_signals()  # nothing is left to stop
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):
            stream.flush()
    os._exit(code)


def _report(prog: str, arguments: argparse.Namespace, error: BatchdigitsError) -> int:
    """Print the error's one line, and the traceback with `--debug`; return the exit code."""
    ignore_signals()  # nothing is left to stop
    if getattr(arguments, "debug", False):
        import traceback

        print_message(traceback.format_exc().rstrip())
    if getattr(arguments, "log_format", "text") == "json":
        print_message(json_line("error", str(error), time.time()))
    else:
        print_message(f"{_short(prog)}: error: {error}")
    return error.exit_code


def _short(prog: str) -> str:
    return prog.removeprefix("python -m ")
