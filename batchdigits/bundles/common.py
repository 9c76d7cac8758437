"""Flags and checks that the subcommands of `bundles` share."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchdigits.cli.flags import add_common_options, add_row_options
from batchdigits.errors import UsageError
from batchdigits.store.aliases import AliasHistory
from batchdigits.store.choice import DEFAULT_STORE, is_path
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


def add_alias_options(command: argparse.ArgumentParser) -> None:
    """Add the options of a subcommand that moves an alias."""
    command.add_argument("--alias", required=True, help="the alias to move, such as production")
    command.add_argument(
        "--reason", default="", metavar="TEXT", help="why, for the history (default: none)"
    )


def add_passphrase(command: argparse.ArgumentParser) -> None:
    """Add the option of a private key's passphrase."""
    command.add_argument(
        "--passphrase-file",
        metavar="FILE",
        help="its first line encrypts the private key (default: the key is not encrypted)",
    )


def passphrase_of(arguments: argparse.Namespace) -> bytes | None:
    """Return the passphrase in the file that the flag names, None without the flag."""
    if arguments.passphrase_file is None:
        return None
    from batchdigits.archive.keys import read_passphrase

    return read_passphrase(Path(arguments.passphrase_file))


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


def history_of(store: Store, name: str, alias: str) -> AliasHistory:
    """Return an alias's moves, at least one. Raises BundleError if it never moved."""
    store.resolve(f"{name}@{alias}")
    return store.history(name, alias)


def refuse_selector(reference: str) -> None:
    """Raise UsageError for a version or an alias where the name alone is needed."""
    name, selector = split_reference(reference)
    if selector is not None:
        raise UsageError(f"{reference!r}: expected the name alone: {name}")


def refuse_path(reference: str) -> None:
    """Raise UsageError for a path where a bundle's name in the store is needed."""
    if is_path(reference):
        raise UsageError(
            f"{reference}: an alias points into its store: give NAME@VERSION, not a path"
        )
