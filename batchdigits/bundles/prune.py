"""`bundles prune`: remove old versions, keep those that an alias needs."""

from __future__ import annotations

import argparse
from typing import Any

from batchdigits.bundles.common import add_command, refuse_selector
from batchdigits.cli.terminal import print_json, print_result
from batchdigits.store.choice import open_store


def add_prune(commands: Any) -> None:
    """Add the subcommand."""
    command = add_command(
        commands, "prune", "remove old versions that no alias and no rollback needs", _prune
    )
    command.add_argument("name", metavar="NAME", help="name of the bundles")
    command.add_argument(
        "--keep", type=int, required=True, metavar="N", help="number of newest versions to keep"
    )
    command.add_argument(
        "--dry-run", action="store_true", help="list the versions to remove, but remove none"
    )
    command.add_argument("--json", action="store_true", help="one object of JSON")


def _prune(arguments: argparse.Namespace) -> int:
    from batchdigits.store.pruning import prune

    store = open_store(arguments.store)
    name = arguments.name
    refuse_selector(name)
    pruning = prune(store, name, arguments.keep, dry_run=arguments.dry_run)
    if arguments.json:
        print_json({"name": name, "dry_run": arguments.dry_run, **pruning.as_facts()})
        return 0
    verb = "would be removed" if arguments.dry_run else "removed"
    lines = [f"{name}@{version}: {verb}" for version in pruning.removed]
    lines += [f"{name}@{version}: stays, {', '.join(why)}" for version, why in pruning.kept.items()]
    print_result("\n".join(lines))
    return 0
