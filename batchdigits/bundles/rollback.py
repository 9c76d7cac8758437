"""`bundles rollback`: point an alias back at the version before."""

from __future__ import annotations

import argparse
from typing import Any

from batchdigits.bundles.common import add_alias_options, add_command, history_of, refuse_selector
from batchdigits.cli.boundary import pandas_kept_out
from batchdigits.cli.flags import add_trust_options
from batchdigits.cli.terminal import print_result
from batchdigits.errors import BundleError
from batchdigits.store.aliases import Move
from batchdigits.store.choice import BundleChoice, open_store
from batchdigits.text import listing


def add_rollback(commands: Any) -> None:
    """Add the subcommand."""
    command = add_command(
        commands, "rollback", "point an alias back at the version before", _rollback
    )
    command.add_argument("name", metavar="NAME", help="the bundles' name")
    add_alias_options(command)
    add_trust_options(command)


@pandas_kept_out()
def _rollback(arguments: argparse.Namespace) -> int:
    name, alias = arguments.name, arguments.alias
    refuse_selector(name)
    store = open_store(arguments.store)
    history = history_of(store, name, alias)
    now, version = history.version, history.previous
    if version is None:
        raise BundleError(
            f"{name}@{alias}: there is no version before {now} to go back to: promote another; "
            f"versions: {listing(map(str, store.versions(name))) or 'none'}"
        )
    from batchdigits.engines.open import open_checked

    bundle = BundleChoice.of_flags(arguments, bundle=f"{name}@{version}").load()
    open_checked(bundle)
    store.set_alias(name, alias, version, Move("rollback", arguments.reason, history))
    print_result(f"{name}@{alias}: version {version} (rolled back from {now}), {bundle.digest}")
    return 0
