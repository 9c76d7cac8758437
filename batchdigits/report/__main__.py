"""`python -m batchdigits.report`: one page of HTML about one or more nights."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from batchdigits.cli.boundary import end, pandas_kept_out, run_command
from batchdigits.cli.flags import Parser, add_common_options, make_parser
from batchdigits.cli.terminal import print_result
from batchdigits.errors import NoInputError

EXAMPLES = (
    "{program} forms.receipt.json --output night.html",
    "{program} scored/ --output november.html --title 'November'",
    "{program} scored/*.receipt.json --output night.html --no-digits",
)


def parser() -> Parser:
    """The command's flags."""
    result = make_parser(
        "report",
        "Write a page about finished runs: counts, rejects, reviews, confidences, drift, and the "
        "digits that need a look. It is one file without scripts that opens offline.",
        EXAMPLES,
    )
    result.add_argument(
        "receipts",
        nargs="+",
        metavar="RECEIPT",
        help="receipts of predict, forms, fields and reviews, or folders with all that is below",
    )
    result.add_argument(
        "--output", required=True, metavar="FILE.html", help="the page; an older page is replaced"
    )
    result.add_argument("--title", metavar="TEXT", help="the heading (default: the dates)")
    result.add_argument(
        "--no-digits",
        dest="digits",
        action="store_false",
        help="leave out the pictures of doubtful digits, which need the inputs",
    )
    result.add_argument(
        "--store",
        metavar="DIR",
        help="the folder of bundles, for the training data that rows are compared with "
        "(default: $BATCHDIGITS_STORE, else ./bundles)",
    )
    add_common_options(result)
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    return run_command(parser(), _report, argv)


def _report(arguments: argparse.Namespace) -> int:
    from pathlib import Path

    from batchdigits.report.page import check_page, write_page

    if "" in arguments.receipts:  # it would mean the current folder
        raise NoInputError("an empty name: no receipt; name a *.receipt.json, or a folder of them")
    output = check_page(arguments.output, "--output")
    assert output is not None  # noqa: S101  # argparse requires it
    with pandas_kept_out():
        from batchdigits.report.night import night_page
        from batchdigits.report.receipts import read_night
        from batchdigits.store.choice import open_store

        open_store(arguments.store)  # a bundle that is missing is not an error, a wrong flag is
        paths = [Path(path) for path in arguments.receipts]
        night = read_night(paths, arguments.store, digits=arguments.digits)
        write_page(output, night_page(night, arguments.title))
    print_result(str(output))
    return 0


if __name__ == "__main__":
    end(main)
