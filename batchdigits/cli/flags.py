"""The flags that several commands have, and the parser for them."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence

from batchdigits._version import __version__
from batchdigits.cli.logs import LOG_FORMATS
from batchdigits.errors import UsageError
from batchdigits.text import parse_share

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any, NoReturn


class _Once(argparse.Action):
    """The action of a flag with one value: given again, it is refused, and lists add up.

    argparse's own would keep the last value and drop the others without a word.
    """

    def __call__(
        self,
        parser: argparse.ArgumentParser,  # noqa: ARG002  # argparse's
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        if option_string is not None and getattr(self, "_seen", None) is namespace:
            before = getattr(namespace, self.dest)
            if self.type is not column_names:
                raise UsageError(f"{option_string} is given twice, {before} and {values}; give one")
            values = (*before, *values)
        self._seen = namespace
        setattr(namespace, self.dest, values)


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that raises UsageError instead of printing the usage and exiting."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.register("action", None, _Once)
        self.register("action", "store", _Once)

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see {self.prog} --help")


def make_parser(command: str, description: str, examples: Sequence[str]) -> Parser:
    """Make the parser of a command, with examples at the end of its help.

    `{program}` in an example stands for the command as it was called.
    """
    program = called_as(command)
    shown = (example.replace("{program}", program) for example in examples)
    return Parser(
        prog=program,
        description=description,
        epilog="examples:\n" + "\n".join(f"  {example}" for example in shown),
        formatter_class=_formatter,
        allow_abbrev=False,
    )


def called_as(command: str) -> str:
    """Return how this process was told to run a command, for usage lines and messages."""
    script = sys.argv[0].rpartition("/")[2] if sys.argv else ""
    if script == "batchdigits":
        return f"batchdigits {command}"
    if sys.argv[0:1] == [_OWN_MAIN]:
        return f"python -m batchdigits {command}"
    return f"python -m batchdigits.{command}"


# What `python -m batchdigits` puts there.
_OWN_MAIN = os.path.join(os.path.dirname(os.path.dirname(__file__)), "__main__.py")  # noqa: PTH118, PTH120


def _formatter(prog: str) -> argparse.HelpFormatter:
    """Make help as wide as the terminal. argparse would import shutil and its compressors."""
    width = os.environ.get("COLUMNS", "")
    if not width.isdecimal() or width == "0":
        try:
            width = str(os.get_terminal_size(1).columns)
        except OSError:
            width = "80"
    return argparse.RawDescriptionHelpFormatter(prog, width=int(width) - 2)


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """Add the flags that every command has."""
    group = parser.add_argument_group("messages")
    group.add_argument(
        "--log-format",
        choices=LOG_FORMATS,
        default=os.environ.get("BATCHDIGITS_LOG_FORMAT") or "text",
        help="format of the messages, text or json (default: $BATCHDIGITS_LOG_FORMAT, else text)",
    )
    group.add_argument("--debug", action="store_true", help="add the traceback to an error message")
    add_version(group)


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """Add the flag of commands that print JSON to pipes and text to terminals."""
    parser.add_argument(
        "--json",
        action="store_true",
        help="print the summary as one line of JSON on a terminal too",
    )


def add_version(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Add the flag that shows the version."""
    parser.add_argument(
        "--version",
        action="version",
        version=f"batchdigits {__version__}",
        help="show the version of batchdigits",
    )


def add_trust_options(group: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Add the flags for the signature of a bundle."""
    group.add_argument(
        "--require-signature",
        action="store_true",
        default=None,  # which leaves it to the variable
        help="refuse a bundle that no trusted key has signed "
        "(default: $BATCHDIGITS_REQUIRE_SIGNATURE, 1 or 0, else 0)",
    )
    group.add_argument(
        "--trusted-keys",
        metavar="DIR",
        help="the folder of public keys (*.pub) to check signatures with "
        "(default: $BATCHDIGITS_TRUSTED_KEYS, else signatures are not checked)",
    )


def keywords_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the flags as keywords of the function that does the command's work."""
    keywords = dict(vars(arguments))
    del keywords["log_format"], keywords["debug"], keywords["json"]
    return keywords


def add_report_option(group: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Add the flag for a page about the result."""
    group.add_argument(
        "--report",
        metavar="FILE.html",
        help="also write a page about the result, which opens offline; an older page is replaced",
    )


def whole_number(text: str) -> int:
    """Parse the value of a flag that takes a whole number, 1 or more."""
    if not re.fullmatch("0*[1-9][0-9]{0,8}", text):
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number, 1 or more")
    return int(text)


def count(text: str) -> int:
    """Parse the value of a flag that takes a whole number, 0 or more."""
    if not re.fullmatch("[0-9]{1,12}", text):
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number, 0 or more")
    return int(text)


def share(text: str) -> float:
    """Parse the value of a flag that takes a share, such as 0.5% or 0.005."""
    try:
        return float(parse_share(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def path_text(text: str) -> Path:
    """Parse the value of a flag that names a path; an empty one would mean the current folder."""
    from pathlib import Path

    if not text:  # an unset variable in a script
        raise argparse.ArgumentTypeError("is empty: name a path, or leave the flag out")
    return Path(text)


def column_names(text: str) -> tuple[str, ...]:
    """Parse the value of a flag that takes `COL,COL,…`; an empty value names no column."""
    return tuple(text.split(",")) if text else ()


def add_recursive_option(group: argparse._ArgumentGroup) -> None:
    """Add the flag for the subfolders of folders."""
    group.add_argument(
        "--recursive",
        action="store_true",
        help="read all subfolders of a folder; without this flag only those named key=value, such "
        "as day=2026-11-27, whose values become columns",
    )


def add_bundle_options(group: argparse._ArgumentGroup) -> None:
    """Add the flags that choose a bundle and say when to refuse it."""
    group.add_argument(
        "--bundle",
        metavar="REF",
        help="the bundle: a file, NAME@VERSION, NAME@ALIAS, or NAME for its newest version "
        "(default: $BATCHDIGITS_BUNDLE, else the bundle inside the package)",
    )
    group.add_argument(
        "--store",
        metavar="DIR",
        help="the folder in which names of bundles are looked up "
        "(default: $BATCHDIGITS_STORE, else ./bundles)",
    )
    group.add_argument(
        "--expect-digest",
        metavar="sha256:…",
        default=os.environ.get("BATCHDIGITS_EXPECT_DIGEST") or None,
        help="refuse a bundle file with another digest (default: $BATCHDIGITS_EXPECT_DIGEST)",
    )
    add_trust_options(group)


def add_row_options(group: argparse._ArgumentGroup) -> None:
    """Add the flags for reading the rows of an input file."""
    group.add_argument(
        "--pixels",
        metavar="SPEC",
        help="the pixel columns, if they have other names: 'PREFIX{0..63}', 64 names with commas, "
        "or one list column",
    )
    group.add_argument(
        "--no-header",
        dest="header",
        action="store_false",
        help="the CSV has no header line; its first 64 columns are the pixels",
    )
    group.add_argument(
        "--delimiter",
        type=lambda text: "\t" if text == "\\t" else text,
        default=",",
        metavar="CHAR",
        help="the CSV's delimiter (default: ,), or whitespace: any run of spaces and tabs",
    )
    group.add_argument(
        "--skip-lines",
        type=count,
        default=0,
        metavar="N",
        help="skip the first N lines of the CSV, such as a title (default: 0)",
    )
    group.add_argument(
        "--comment",
        metavar="CHAR",
        help="skip the lines of the CSV that begin with CHAR, such as '#' (default: none)",
    )
    group.add_argument(
        "--decimal",
        default=".",
        metavar="CHAR",
        help="the decimal sign of the CSV's pixels, a point or a comma (default: .)",
    )
    group.add_argument(
        "--encoding",
        default="utf-8",
        metavar="NAME",
        help="the CSV's encoding, such as cp1252, latin-1 or shift_jis (default: utf-8)",
    )
    group.add_argument(
        "--scale",
        type=float,
        metavar="MAX",
        help="the largest pixel value, if it is not 16: pixels 0..MAX become x * 16 / MAX",
    )
