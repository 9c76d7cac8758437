"""`bundles list`, `show` and `prune`: what a store holds, and removing what nothing needs."""

from __future__ import annotations

import argparse
import json
import logging
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from batchdigits.archive.bundle_file import MANIFEST
from batchdigits.archive.signing import ANY_BUNDLE
from batchdigits.bundles.common import REFERENCE, add_command, named_store
from batchdigits.cli.terminal import print_json, print_result, print_text
from batchdigits.errors import BundleError
from batchdigits.files.digest import short_digest
from batchdigits.store.choice import BundleChoice, open_store
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
        print_text(table([header, *map(_line, bundles)]))
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


def add_show(commands: Any) -> None:
    """Add the subcommand."""
    command = add_command(commands, "show", "show a bundle's model card", _show)
    command.add_argument(
        "reference",
        nargs="?",
        metavar="REF",
        help=f"{REFERENCE} (default: $BATCHDIGITS_BUNDLE, else the bundle inside the package)",
    )
    command.add_argument("--json", action="store_true", help="path, digest and manifest as JSON")


def _show(arguments: argparse.Namespace) -> int:
    bundle = BundleChoice(arguments.reference, arguments.store).load(ANY_BUNDLE)
    if arguments.json:
        manifest = json.loads(bundle.members[MANIFEST])
        print_json({"path": str(bundle.path), "digest": bundle.digest, "manifest": manifest})
    else:
        print_text(bundle.members["card.md"].decode("utf-8", "replace").rstrip("\n"))
    return 0


def add_prune(commands: Any) -> None:
    """Add the subcommand."""
    command = add_command(
        commands, "prune", "remove old versions that no alias and no rollback needs", _prune
    )
    command.add_argument("name", metavar="NAME", help="the bundles' name")
    command.add_argument(
        "--keep", type=int, required=True, metavar="N", help="number of newest versions to keep"
    )
    command.add_argument(
        "--dry-run", action="store_true", help="list the versions to remove, but remove none"
    )
    command.add_argument("--json", action="store_true", help="one object of JSON")


def _prune(arguments: argparse.Namespace) -> int:
    from batchdigits.store.pruning import prune

    store, name = named_store(arguments)
    pruning = prune(store, name, arguments.keep, dry_run=arguments.dry_run)
    if arguments.json:
        print_json({"name": name, "dry_run": arguments.dry_run, **asdict(pruning)})
        return 0
    verb = "would be removed" if arguments.dry_run else "removed"
    lines = [f"{name}@{version}: {verb}" for version in pruning.removed]
    lines += [f"{name}@{version}: stays, {', '.join(why)}" for version, why in pruning.kept.items()]
    for line in lines:
        print_result(line)
    return 0
