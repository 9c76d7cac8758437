"""`bundles list`: every bundle in the store, as a table or as JSON."""

from __future__ import annotations

import argparse
import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from batchdigits.bundles.common import add_command
from batchdigits.cli.terminal import print_json, print_result
from batchdigits.errors import BundleError
from batchdigits.files.digest import short_digest
from batchdigits.store.choice import open_store
from batchdigits.text import table

if TYPE_CHECKING:
    from batchdigits.store.describe import StoredBundle

_LOGGER = logging.getLogger("batchdigits")


def add_list(commands: Any) -> None:
    """Add the subcommand."""
    command = add_command(commands, "list", "list every bundle in the store", _list)
    command.add_argument("names", nargs="*", metavar="NAME", help="these names only (default: all)")
    command.add_argument("--json", action="store_true", help="one line of JSON for each bundle")


def _list(arguments: argparse.Namespace) -> int:
    from batchdigits.store.describe import describe_bundles

    store = open_store(arguments.store)
    if arguments.store and not store.folder.is_dir():
        raise BundleError(f"{store.folder}: no such store: give the folder that train wrote to")
    known = store.names()
    for unknown in sorted(set(arguments.names) - set(known)):
        store.resolve(unknown)
    if not known:
        _LOGGER.warning("no bundles in %s; `batchdigits train` puts one there", store.folder)
    wanted = [name for name in known if name in arguments.names or not arguments.names]
    bundles = [bundle for name in wanted for bundle in describe_bundles(store, name)]
    if arguments.json:
        for bundle in bundles:
            print_json({**asdict(bundle), "path": str(bundle.path)})
    elif bundles:
        header = ("NAME", "VERSION", "CREATED", "ACCURACY", "ALIASES", "DIGEST")
        print_result(table([header, *map(_line, bundles)]))
    return BundleError.exit_code if any(bundle.error for bundle in bundles) else 0


def _line(bundle: StoredBundle) -> tuple[str, ...]:
    return (
        bundle.name,
        str(bundle.version),
        bundle.created or "damaged",
        "-" if bundle.accuracy is None else f"{bundle.accuracy:.2%}",
        ", ".join(bundle.aliases) or "-",
        short_digest(bundle.digest or "-"),
    )
