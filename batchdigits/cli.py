"""What every command shares: its parser, its logging, its progress line and its error boundary.

Standard output carries results, standard error everything else. Only what a run needs is
imported, and only once it needs it: `--help` and a usage error answer at once.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from batchdigits import startup
from batchdigits.clock import utc_text
from batchdigits.errors import (
    BatchdigitsError,
    InterruptedRunError,
    IOFailedError,
    UsageError,
    one_line,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging
    from typing import Any, NoReturn

Body = Callable[[argparse.Namespace], int]

LOG_FORMATS = ("text", "json")
CLEAR_LINE = "\r\x1b[K"


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose usage errors are one line, like every other error."""

    def error(self, message: str) -> NoReturn:
        """Raise UsageError instead of printing the usage and exiting."""
        raise UsageError(f"{message}; see {self.prog} --help")


def make_parser(command: str, description: str, examples: Sequence[str]) -> Parser:
    """A parser for `python -m batchdigits.COMMAND` with examples below its help."""
    return Parser(
        prog=f"python -m batchdigits.{command}",
        description=description,
        epilog="examples:\n" + "\n".join(f"  {example}" for example in examples),
        formatter_class=_formatter,
        allow_abbrev=False,
    )


def _formatter(prog: str) -> argparse.HelpFormatter:
    """Help as wide as the terminal; argparse would import four packers of files to ask for that."""
    width = os.environ.get("COLUMNS", "")
    if not width.isdecimal() or width == "0":
        try:
            width = str(os.get_terminal_size(1).columns)
        except OSError:
            width = "80"
    return argparse.RawDescriptionHelpFormatter(prog, width=int(width) - 2)


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that every command has."""
    group = parser.add_argument_group("messages")
    group.add_argument(
        "--log-format",
        choices=LOG_FORMATS,
        default=os.environ.get("BATCHDIGITS_LOG_FORMAT") or "text",
        help="how messages on standard error look (default: $BATCHDIGITS_LOG_FORMAT, else text)",
    )
    group.add_argument("--debug", action="store_true", help="add the traceback to an error")


def add_trust_options(group: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Add the options that say who must have signed a bundle."""
    group.add_argument(
        "--require-signature",
        action="store_true",
        default=None,  # None: the variable decides
        help="refuse a bundle that no trusted key has signed "
        "(default: $BATCHDIGITS_REQUIRE_SIGNATURE, 1 or 0, else 0)",
    )
    group.add_argument(
        "--trusted-keys",
        metavar="DIR",
        help="the folder of public keys, *.pub, that signatures are checked with "
        "(default: $BATCHDIGITS_TRUSTED_KEYS, else none are checked)",
    )


def column_names(text: str) -> tuple[str, ...]:
    """The columns of a flag that takes `COL,COL,…`; none of an empty one."""
    return tuple(text.split(",")) if text else ()


def add_bundle_options(group: argparse._ArgumentGroup) -> None:
    """Add the options that say which bundle is taken, and on what condition."""
    group.add_argument(
        "--bundle",
        metavar="REF",
        help="a bundle file, NAME@VERSION, NAME@ALIAS or NAME, its newest "
        "(default: $BATCHDIGITS_BUNDLE, else the bundle inside the package)",
    )
    group.add_argument(
        "--store",
        metavar="DIR",
        help="the folder of bundles that names are looked up in "
        "(default: $BATCHDIGITS_STORE, else ./bundles)",
    )
    group.add_argument(
        "--expect-digest",
        metavar="sha256:…",
        default=os.environ.get("BATCHDIGITS_EXPECT_DIGEST") or None,
        help="refuse any other bundle file (default: $BATCHDIGITS_EXPECT_DIGEST)",
    )
    add_trust_options(group)


def add_row_options(group: argparse._ArgumentGroup) -> None:
    """Add the options that say how the rows of an input are to be read."""
    group.add_argument(
        "--pixels",
        metavar="SPEC",
        help="pixel columns with other names: 'PREFIX{0..63}', 64 names with commas between, or "
        "one list column",
    )
    group.add_argument(
        "--no-header",
        dest="header",
        action="store_false",
        help="the CSV begins with data: its first 64 columns are the pixels",
    )
    group.add_argument(
        "--delimiter",
        type=lambda text: "\t" if text == "\\t" else text,
        default=",",
        metavar="CHAR",
        help="of the CSV (default: ,)",
    )
    group.add_argument(
        "--scale",
        type=float,
        metavar="MAX",
        help="pixels are 0..MAX instead of 0..16, and become x * 16 / MAX",
    )


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
    with _signals_caught():
        return _bounded(parser, body, argv)


def end(code: int) -> NoReturn:
    """End this process with `code`, without the interpreter's and the libraries' own taking down.

    There, rarely, threads of Arrow or ONNX Runtime meet what is gone already and abort the process,
    after all its work was done and said.
    """
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
        _configure_logging(arguments, _short(parser.prog))
        try:
            return body(arguments)
        finally:
            _raise_if_interrupted()  # whatever became of the exception on its way
    except BatchdigitsError as error:
        return _report(parser.prog, arguments, str(error), error.exit_code)
    except OSError as error:
        return _report(parser.prog, arguments, _os_error_line(error), 74)
    except MemoryError:
        line = "out of memory: nothing was published; give the run more, or a smaller --batch-size"
        return _report(parser.prog, arguments, line, 70)
    except Exception as error:  # noqa: BLE001  # the boundary: what nobody foresaw is exit 70
        line = f"fault in batchdigits: {type(error).__name__}: {error}; --debug shows the traceback"
        return _report(parser.prog, arguments, line, 70)


def print_result(text: str) -> None:
    """Write one result to standard output; a reader that has gone away is no error."""
    try:
        if sys.stdout is not None:
            sys.stdout.write(text + "\n")
            sys.stdout.flush()
    except (BrokenPipeError, ValueError):
        _silence_stdout()
    except OSError as error:
        _silence_stdout()
        raise IOFailedError(
            f"standard output can't be written: {error.strerror}; what was done stands"
        ) from error


def print_json(result: Any) -> None:
    """Write one result to standard output as one line of JSON, in ASCII: any terminal takes it."""
    import json

    print_result(json.dumps(result))


class StatusLine:
    """One rewritten line on a terminal, nothing anywhere else."""

    def __init__(self) -> None:
        terminal = sys.stderr is not None and sys.stderr.isatty()
        self.enabled = terminal and os.environ.get("TERM") != "dumb"

    def show(self, text: str) -> None:
        """Put `text` in the place of what was shown, cut to the terminal's width."""
        if self.enabled:
            width = os.get_terminal_size(sys.stderr.fileno()).columns or 80
            self._write(f"{CLEAR_LINE}{text[: width - 1]}")

    def clear(self) -> None:
        """Show nothing."""
        if self.enabled:
            self._write(CLEAR_LINE)

    @staticmethod
    def _write(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()


class Progress:
    """How far a run is, on a status line: rows, rows a second, time left, the input's name.

    Call it with the rows of the input at hand done so far, the part of it done (0..1, None if
    unknown), and its name.
    """

    INTERVAL = 0.2

    def __init__(self) -> None:
        self.started = time.monotonic()
        self._line = StatusLine()
        self._next = self.started
        self._name: str | None = None

    def __call__(self, rows: int, part: float | None, name: str) -> None:
        """Draw the line anew, at most five times a second.

        Raises InterruptedRunError if a signal has come whose exception got lost.
        """
        _raise_if_interrupted()
        now = time.monotonic()
        if self._name not in (None, name):  # the next input: rate and time left are its own
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
        self._line.show(f"{text}  {_shown(name)}")

    def finish(self) -> None:
        """Clear the line."""
        self._line.clear()


def _shown(name: str) -> str:
    """The last part of a path, without what would move the cursor."""
    last = name.rpartition("/")[2]
    return "".join(letter if letter.isprintable() else "?" for letter in last)


def _bar(part: float, width: int = 20) -> str:
    full = round(min(part, 1.0) * width)
    is_utf8 = (sys.stderr.encoding or "").lower().replace("-", "") == "utf8"
    done, left = ("█", "░") if is_utf8 else ("#", ".")
    return done * full + left * (width - full)


def _clock(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def table(rows: Iterable[Sequence[str]], header: Sequence[str]) -> str:
    """Rows of text as aligned columns under a header."""
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    return "\n".join(
        "  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines
    )


# The signal that told this process to stop. It is kept because the handler's exception can get
# lost: an extension module that is being imported makes an ImportError of it, or drops it.
_interrupted_by: list[int] = []
_STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def _raise_if_interrupted() -> None:
    if _interrupted_by:
        raise InterruptedRunError(_interrupted_by[0])


@contextlib.contextmanager
def _signals_caught() -> Iterator[None]:
    """SIGTERM, SIGINT and SIGHUP raise InterruptedRunError, once, and do as before at the end."""
    _interrupted_by.clear()

    def stop(number: int, _frame: object) -> NoReturn:
        _ignore_signals()  # a second signal must not interrupt the cleaning up
        _interrupted_by.append(number)
        raise InterruptedRunError(number)

    # nohup ignores SIGHUP, and means it.
    caught = [n for n in _STOPPING if signal.getsignal(n) is not signal.SIG_IGN]
    caught = caught if _is_main_thread() else []
    before = [(number, signal.signal(number, stop)) for number in caught]
    try:
        yield
    finally:
        for number, handler in before:
            # Its line says that nothing was done, which holds no more.
            was_early = handler is startup.end_at_once
            signal.signal(number, signal.SIG_IGN if was_early else handler)


def _ignore_signals() -> None:
    if _is_main_thread():
        for number in _STOPPING:
            signal.signal(number, signal.SIG_IGN)


def _is_main_thread() -> bool:
    """Whether signals are ours to handle: Python gives them to the main thread alone."""
    import threading

    return threading.current_thread() is threading.main_thread()


def _configure_logging(arguments: argparse.Namespace, prog: str) -> None:
    import logging

    log_format = arguments.log_format
    if log_format not in LOG_FORMATS:  # argparse does not check a default, such as the variable's
        raise UsageError(f"BATCHDIGITS_LOG_FORMAT is {log_format!r}, expected text or json")
    handler = logging.StreamHandler()
    handler.setFormatter(_json_formatter() if log_format == "json" else _text_formatter(prog))
    logger = logging.getLogger("batchdigits")
    logger.handlers = [handler]
    logger.setLevel(logging.DEBUG if arguments.debug else logging.INFO)
    logger.propagate = False


def _text_formatter(prog: str) -> logging.Formatter:
    import logging

    clear = CLEAR_LINE if StatusLine().enabled else ""

    class TextFormatter(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            message = super().format(record)
            if record.levelno != logging.INFO:
                message = f"{prog}: {record.levelname.lower()}: {message}"
            return clear + message

    return TextFormatter()


def _json_formatter() -> logging.Formatter:
    import logging

    class JsonFormatter(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            line = _json_line(record.levelname.lower(), record.getMessage(), record.created)
            return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line

    return JsonFormatter()


def _json_line(level: str, message: str, created: float) -> str:
    import json

    return json.dumps({"time": utc_text(created), "level": level, "message": message})


def _report(prog: str, arguments: argparse.Namespace, line: str, code: int) -> int:
    """Print the one line, and the traceback with `--debug`; return the exit code."""
    line = one_line(line)
    _ignore_signals()  # one that comes now has nothing left to stop
    if getattr(arguments, "debug", False):
        import traceback

        _to_stderr(traceback.format_exc().rstrip())
    if getattr(arguments, "log_format", "text") == "json":
        _to_stderr(_json_line("error", line, time.time()))
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


def _os_error_line(error: OSError) -> str:
    where = f"{os.fsdecode(error.filename)}: " if error.filename else ""
    return f"{where}{error.strerror or error}"


def _silence_stdout() -> None:
    """Point standard output nowhere, or the interpreter's last flush would fail again."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
