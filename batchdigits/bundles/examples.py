"""`--data` and what says how its rows are read, for the subcommands that judge bundles by rows."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from batchdigits.cli.flags import add_row_options

if TYPE_CHECKING:
    from batchdigits.evaluation.labels import Examples


def add_examples(command: argparse.ArgumentParser, what_for: str, *, required: bool) -> None:
    """Add `--data FILE`, `--label` and the options of reading rows."""
    group = command.add_argument_group("rows")
    group.add_argument(
        "--data", metavar="FILE", required=required, help=f"CSV or Parquet rows {what_for}"
    )
    group.add_argument(
        "--label", metavar="COLUMN", help="its column of true labels (default: label, if there)"
    )
    add_row_options(group)


def read_examples(arguments: argparse.Namespace, keep: tuple[str, ...] | None = None) -> Examples:
    """The rows that the flags mean, with their other columns, or those that `keep` names.

    Raises UsageError, NoInputError or UnusableInputError for flags or a file that won't do.
    """
    from batchdigits.evaluation.labels import find_examples
    from batchdigits.rows.options import ReadOptions

    options = ReadOptions(
        pixels=arguments.pixels,
        header=arguments.header,
        delimiter=arguments.delimiter,
        scale=arguments.scale,
        keep=keep,
    ).checked()
    return find_examples(arguments.data, arguments.label, options)
