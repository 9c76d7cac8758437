"""`bundles history`: the versions that aliases pointed at, since when, and who moved them."""

from __future__ import annotations

import argparse
import logging
from typing import Any

from batchdigits.bundles.common import add_command, history_of, refuse_selector
from batchdigits.cli.terminal import print_json, print_result
from batchdigits.store.aliases import AliasChange
from batchdigits.store.choice import open_store
from batchdigits.text import table

_LOGGER = logging.getLogger("batchdigits")


def add_history(commands: Any) -> None:
    """Add the subcommand."""
    command = add_command(
        commands, "history", "list the moves of aliases: when, to which version, by whom", _history
    )
    command.add_argument("name", metavar="NAME", help="the bundles' name")
    command.add_argument("--alias", help="this alias only (default: all)")
    command.add_argument("--json", action="store_true", help="one line of JSON a change")


def _history(arguments: argparse.Namespace) -> int:
    store, name = open_store(arguments.store), arguments.name
    refuse_selector(name)
    store.resolve(name)
    if arguments.alias is None:
        histories = {alias: store.history(name, alias) for alias in store.aliases(name)}
    else:
        histories = {arguments.alias: history_of(store, name, arguments.alias)}
    moves = [(alias, change) for alias, past in histories.items() for change in past.changes]
    moves.sort(key=lambda move: move[1].at)
    if arguments.json:
        for alias, change in moves:
            print_json(_as_facts(name, alias, change))
    elif moves:
        header = ("WHEN", "ALIAS", "WAS", "IS", "HOW", "BY", "WHY")
        print_result(table([header, *(_line(alias, change) for alias, change in moves)]))
    else:
        _LOGGER.info("%s has no alias; `bundles promote` sets one", name)
    return 0


def _as_facts(name: str, alias: str, change: AliasChange) -> dict[str, Any]:
    return {
        "name": name,
        "alias": alias,
        "at": change.at,
        "was": change.was,
        "version": change.version,
        "action": change.action,
        "by": change.by,
        "reason": change.reason,
    }


def _line(alias: str, change: AliasChange) -> tuple[str, ...]:
    was = "-" if change.was is None else str(change.was)
    why = " ".join(change.reason.split()) or "-"
    return (change.at, alias, was, str(change.version), change.action, change.by, why)
