"""The flags that commands share, and the parser that takes them."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from batchdigits.cli.logs import LOG_FORMATS
from batchdigits.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn


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


def keywords_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """The flags as keywords of the function that does the command's work."""
    return {
        name: value
        for name, value in vars(arguments).items()
        if name not in ("log_format", "debug")
    }


def whole_number(text: str) -> int:
    """The value of a flag that takes a whole number, 1 or more."""
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number, 1 or more")
    return int(text)


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
