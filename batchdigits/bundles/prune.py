"""`bundles prune`: old versions go, what an alias needs stays."""

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
    command.add_argument("name", metavar="NAME", help="of the bundles")
    command.add_argument(
        "--keep", type=int, required=True, metavar="N", help="the newest so many versions stay"
    )
    command.add_argument("--dry-run", action="store_true", help="say what would go, remove nothing")
    command.add_argument("--json", action="store_true", help="one object of JSON")


def _prune(arguments: argparse.Namespace) -> int:
    from batchdigits.store.pruning import prune

    store = open_store(arguments.store)
    name = arguments.name
    refuse_selector(name)
    done = prune(store, name, arguments.keep, dry_run=arguments.dry_run)
    if arguments.json:
        print_json(
            {
                "name": name,
                "dry_run": arguments.dry_run,
                "removed": list(done.removed),
                "kept": {str(version): list(why) for version, why in done.kept.items()},
            }
        )
        return 0
    what = "would be removed" if arguments.dry_run else "removed"
    lines = [f"{name}@{version}: {what}" for version in done.removed]
    lines += [f"{name}@{version}: stays, {', '.join(why)}" for version, why in done.kept.items()]
    print_result("\n".join(lines))
    return 0
