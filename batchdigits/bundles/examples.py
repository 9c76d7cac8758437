"""`--data` and what says how its rows are read, for the subcommands that judge bundles by rows."""

from __future__ import annotations

import argparse
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from batchdigits.cli.flags import add_row_options

if TYPE_CHECKING:
    from batchdigits.evaluation.labels import LabelledRows


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


def open_examples(
    arguments: argparse.Namespace, keep: tuple[str, ...] | None = None
) -> AbstractContextManager[LabelledRows]:
    """Open the rows that the flags name, with their other columns, or those that `keep` names.

    Raises UsageError, NoInputError or UnusableInputError for flags or a file that won't do.
    """
    from batchdigits.evaluation.labels import LabelledOptions, find_file, open_labelled

    options = LabelledOptions.of_flags(arguments, keep=keep).checked()
    return open_labelled(find_file(arguments.data), options)
