"""Flags and checks that the subcommands of `bundles` share."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from batchdigits.cli.flags import add_common_options, add_row_options
from batchdigits.errors import UsageError
from batchdigits.store.choice import DEFAULT_STORE, open_store
from batchdigits.store.store import Store, split_reference

if TYPE_CHECKING:
    from batchdigits.evaluation.labels import LabelledRows

REFERENCE = "a path, NAME@VERSION, NAME@ALIAS or NAME (its newest)"


def add_command(
    commands: Any,
    name: str,
    what: str,
    body: Callable[[argparse.Namespace], int],
    *,
    store: bool = True,
) -> argparse.ArgumentParser:
    """Add a subcommand with the common options and, unless it needs no store, `--store`.

    `what` is its help: what it does, as a phrase in lower case.
    """
    command: argparse.ArgumentParser = commands.add_parser(
        name, help=what, description=f"{what[0].upper()}{what[1:]}.", allow_abbrev=False
    )
    command.set_defaults(body=body)
    if store:
        command.add_argument(
            "--store",
            metavar="DIR",
            help=f"the folder of bundles (default: $BATCHDIGITS_STORE, else ./{DEFAULT_STORE})",
        )
    add_common_options(command)
    return command


def add_expect_digest(command: argparse.ArgumentParser) -> None:
    """Add the option that accepts one bundle file only."""
    command.add_argument(
        "--expect-digest",
        metavar="DIGEST",
        default=os.environ.get("BATCHDIGITS_EXPECT_DIGEST") or None,
        help="sha256:… that the file must have (default: $BATCHDIGITS_EXPECT_DIGEST)",
    )


def add_data_options(command: argparse.ArgumentParser, purpose: str, *, required: bool) -> None:
    """Add `--data FILE`, `--label` and the options of reading rows."""
    group = command.add_argument_group("rows")
    group.add_argument(
        "--data", metavar="FILE", required=required, help=f"CSV or Parquet rows {purpose}"
    )
    group.add_argument(
        "--label",
        metavar="COLUMN",
        help="the file's column of true labels (default: label, if it has one)",
    )
    add_row_options(group)


def open_data(
    arguments: argparse.Namespace, keep: tuple[str, ...] | None = None
) -> AbstractContextManager[LabelledRows]:
    """Open the rows that `--data` names, with their other columns, or only those of `keep`.

    Raises UsageError, NoInputError or UnusableInputError for flags or a file that can't be used.
    """
    from batchdigits.evaluation.labels import find_file, open_labelled
    from batchdigits.evaluation.options import LabelledOptions

    options = LabelledOptions.of_flags(arguments, keep=keep).checked()
    return open_labelled(find_file(arguments.data), options)


def named_store(arguments: argparse.Namespace) -> tuple[Store, str]:
    """Return the store and the name. Raises UsageError for a name with a version or an alias."""
    store = open_store(arguments.store)
    name, selector = split_reference(arguments.name)
    if selector is not None:
        raise UsageError(f"{arguments.name!r}: expected the name alone: {name}")
    return store, name
