"""`python -m batchdigits.forms`: pictures to rows."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from batchdigits.cli.boundary import end, run_command
from batchdigits.cli.flags import add_version, make_parser
from batchdigits.forms.commands.cells import add_cells
from batchdigits.forms.commands.pages import add_read, add_show, add_template


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    return run_command(parser(), lambda arguments: arguments.body(arguments), argv)


def parser() -> argparse.ArgumentParser:
    """Return the parser of `forms` and its subcommands."""
    top = make_parser(
        "forms",
        "Make rows for predict from pictures.",
        [
            "{program} cells crops/ --output rows.parquet",
            "{program} cells crops.zip --output rows.parquet --max-rejects 1%",
            "{program} template blank.pdf --output form.json",
            "{program} read scans/ --template form.json --output rows.parquet",
            "{program} show scan.pdf --template form.json --output seen.png",
        ],
    )
    add_version(top)
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    for add in (add_cells, add_template, add_read, add_show):
        add(commands)
    return top


if __name__ == "__main__":
    end(main)
