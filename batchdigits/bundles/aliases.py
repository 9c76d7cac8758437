"""`bundles promote`, `rollback` and `history`: moving aliases, and the moves so far."""

from __future__ import annotations

import argparse
import logging
from typing import TYPE_CHECKING, Any

from batchdigits.bundles.common import add_command, add_data_options, named_store, open_data
from batchdigits.cli.boundary import pandas_kept_out
from batchdigits.cli.flags import add_trust_options
from batchdigits.cli.terminal import print_json, print_result, print_text
from batchdigits.engines.open import open_checked
from batchdigits.errors import BundleError, UsageError
from batchdigits.store.aliases import AliasChange, AliasHistory, Move
from batchdigits.store.choice import BundleChoice, is_path, open_store
from batchdigits.store.store import Store
from batchdigits.text import listing, parse_share, table

if TYPE_CHECKING:
    from fractions import Fraction

    from batchdigits.evaluation.evaluator import Evaluator

_LOGGER = logging.getLogger("batchdigits")
_CHANGE_KEYS = ("at", "was", "version", "action", "by", "reason")


def add_promote(commands: Any) -> None:
    """Add the subcommand."""
    command = add_command(
        commands, "promote", "check a bundle, then point an alias at it", _promote
    )
    command.add_argument("reference", metavar="NAME@VERSION", help="a bundle in the store")
    _add_alias_options(command)
    add_data_options(
        command, "with labels, to compare the bundle with what the alias points at", required=False
    )
    command.add_argument(
        "--max-regression",
        metavar="P",
        help="with --data: how much less accurate the bundle may be, 0.005 or 0.5%% (default: 0)",
    )
    add_trust_options(command)


@pandas_kept_out()
def _promote(arguments: argparse.Namespace) -> int:
    if is_path(arguments.reference):
        raise UsageError(
            f"{arguments.reference}: an alias points into its store: give NAME@VERSION, not a path"
        )
    max_regression = _max_regression(arguments)
    from batchdigits.evaluation.evaluator import Evaluator

    store = open_store(arguments.store)
    bundle = BundleChoice.of_flags(arguments, bundle=arguments.reference).load()
    candidate = Evaluator.of(bundle)
    name, version = bundle.manifest.name, bundle.manifest.version
    alias = f"{name}@{arguments.alias}"
    history = store.history(name, arguments.alias)
    before = history.version
    if before == version:
        _LOGGER.info("%s points at version %d already", alias, version)
        return 0
    if arguments.data is not None:
        incumbent = None if before is None else f"{name}@{before}"
        _pass_gate(candidate, incumbent, alias, max_regression, arguments)
    store.set_alias(name, arguments.alias, version, Move("promote", arguments.reason, history))
    was = "new" if before is None else f"was {before}"
    print_result(f"{alias}: version {version} ({was}), {bundle.digest}")
    return 0


def _max_regression(arguments: argparse.Namespace) -> Fraction:
    text = arguments.max_regression
    if arguments.data is None:
        for flag, value in (("--max-regression", text), ("--label", arguments.label)):
            if value is not None:
                raise UsageError(f"{flag} judges by labelled rows: name them with --data")
    wrong = UsageError(f"--max-regression {text}: expected a share such as 0.005 or 0.5%")
    try:
        share = parse_share(text or "0")
    except ValueError as error:
        raise wrong from error
    if share == 1 and "%" not in text:  # a bare 1 may mean 1%
        raise wrong
    return share


def _pass_gate(
    candidate: Evaluator,
    incumbent: str | None,
    alias: str,
    max_regression: Fraction,
    arguments: argparse.Namespace,
) -> None:
    """Raise BundleError if the candidate is less accurate than --max-regression allows."""
    from batchdigits.evaluation.compare import check_candidate

    opened = None if incumbent is None else _open_incumbent(incumbent, alias, arguments)
    with open_data(arguments, keep=()) as rows:
        accuracy = check_candidate(
            rows, candidate, opened, alias=alias, max_regression=max_regression
        )
    _LOGGER.info("%s", accuracy)


def _open_incumbent(reference: str, alias: str, arguments: argparse.Namespace) -> Evaluator:
    """Open the bundle that the alias points at. It need not be signed: it is only measured."""
    from batchdigits.evaluation.evaluator import Evaluator

    choice = BundleChoice(reference, arguments.store, require_signature=False)
    try:
        return Evaluator.of(choice.load())
    except BundleError as error:
        raise BundleError(
            f"{alias}: can't be compared with: {error}; leave out --data to promote without "
            "comparing"
        ) from error


def add_rollback(commands: Any) -> None:
    """Add the subcommand."""
    command = add_command(
        commands, "rollback", "point an alias back at the version before", _rollback
    )
    command.add_argument("name", metavar="NAME", help="the bundles' name")
    _add_alias_options(command)
    add_trust_options(command)


@pandas_kept_out()
def _rollback(arguments: argparse.Namespace) -> int:
    store, name = named_store(arguments)
    alias = arguments.alias
    history = _history_of(store, name, alias)
    now, version = history.version, history.previous
    if version is None:
        raise BundleError(
            f"{name}@{alias}: there is no version before {now} to go back to: promote another; "
            f"versions: {listing(map(str, store.versions(name))) or 'none'}"
        )
    bundle = BundleChoice.of_flags(arguments, bundle=f"{name}@{version}").load()
    open_checked(bundle)
    store.set_alias(name, alias, version, Move("rollback", arguments.reason, history))
    print_result(f"{name}@{alias}: version {version} (rolled back from {now}), {bundle.digest}")
    return 0


def add_history(commands: Any) -> None:
    """Add the subcommand."""
    command = add_command(
        commands, "history", "list the moves of aliases: when, to which version, by whom", _history
    )
    command.add_argument("name", metavar="NAME", help="the bundles' name")
    command.add_argument("--alias", help="this alias only (default: all)")
    command.add_argument("--json", action="store_true", help="one line of JSON a change")


def _history(arguments: argparse.Namespace) -> int:
    store, name = named_store(arguments)
    store.resolve(name)
    if arguments.alias is None:
        histories = {alias: store.history(name, alias) for alias in store.aliases(name)}
    else:
        histories = {arguments.alias: _history_of(store, name, arguments.alias)}
    moves = [(alias, change) for alias, past in histories.items() for change in past.changes]
    moves.sort(key=lambda move: move[1].at)
    if arguments.json:
        for alias, change in moves:
            facts = {key: getattr(change, key) for key in _CHANGE_KEYS}
            print_json({"name": name, "alias": alias, **facts})
    elif moves:
        header = ("WHEN", "ALIAS", "WAS", "IS", "HOW", "BY", "WHY")
        print_text(table([header, *(_line(alias, change) for alias, change in moves)]))
    else:
        _LOGGER.info("%s has no alias; `bundles promote` sets one", name)
    return 0


def _line(alias: str, change: AliasChange) -> tuple[str, ...]:
    was = "-" if change.was is None else str(change.was)
    why = " ".join(change.reason.split()) or "-"
    return (change.at, alias, was, str(change.version), change.action, change.by, why)


def _history_of(store: Store, name: str, alias: str) -> AliasHistory:
    """Return an alias's moves, at least one. Raises BundleError if it never moved."""
    store.resolve(f"{name}@{alias}")
    return store.history(name, alias)


def _add_alias_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--alias", required=True, help="the alias to move, such as production")
    command.add_argument(
        "--reason", default="", metavar="TEXT", help="why, for the history (default: none)"
    )
