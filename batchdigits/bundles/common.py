"""What the subcommands of `bundles` share."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from batchdigits.cli.flags import add_common_options
from batchdigits.errors import UsageError
from batchdigits.store.choice import DEFAULT_STORE, is_path
from batchdigits.store.store import split_reference

if TYPE_CHECKING:
    from batchdigits.api import Bundle

REFERENCE = "a path, NAME@VERSION, NAME@ALIAS or NAME (its newest)"
SHORT_DIGEST = len("sha256:") + 12


def add_command(
    commands: Any, name: str, what: str, body: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    """A subcommand with `--store` and the common options; `what` it does is its help."""
    command: argparse.ArgumentParser = commands.add_parser(
        name, help=what, description=f"{what[0].upper()}{what[1:]}.", allow_abbrev=False
    )
    command.set_defaults(body=body)
    command.add_argument(
        "--store",
        metavar="DIR",
        help=f"the folder of bundles (default: $BATCHDIGITS_STORE, else ./{DEFAULT_STORE})",
    )
    add_common_options(command)
    return command


def add_expect_digest(command: argparse.ArgumentParser) -> None:
    """Add the option that ties a subcommand to one file."""
    command.add_argument(
        "--expect-digest",
        metavar="DIGEST",
        default=os.environ.get("BATCHDIGITS_EXPECT_DIGEST") or None,
        help="sha256:… that the file must have (default: $BATCHDIGITS_EXPECT_DIGEST)",
    )


def open_checked(reference: str, arguments: argparse.Namespace) -> Bundle:
    """The bundle, checked whole, its signature where one is asked for, its golden rows replayed.

    Raises what `open_bundle` raises.
    """
    from batchdigits.api import open_bundle

    return open_bundle(
        reference,
        store=arguments.store,
        require_signature=arguments.require_signature,
        trusted_keys=arguments.trusted_keys,
    )


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
