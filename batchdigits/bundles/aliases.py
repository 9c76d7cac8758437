"""`bundles promote`, `rollback` and `history`: which version an alias means, and since when."""

from __future__ import annotations

import argparse
import logging
import re
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from batchdigits.bundles.common import add_command, open_checked, refuse_path, refuse_selector
from batchdigits.bundles.examples import add_examples, read_examples
from batchdigits.cli.boundary import pandas_kept_out
from batchdigits.cli.flags import add_trust_options
from batchdigits.cli.terminal import print_json, print_result
from batchdigits.errors import BundleError, UnusableInputError, UsageError
from batchdigits.store.aliases import AliasChange, Move, previous
from batchdigits.store.choice import open_store
from batchdigits.store.store import Store
from batchdigits.text import listing, table

if TYPE_CHECKING:
    from batchdigits.api import Bundle

_LOGGER = logging.getLogger("batchdigits")

_REGRESSION = re.compile(r"(?P<percent>[0-9]{1,3}(\.[0-9]{1,18})?)%|(?P<share>0(\.[0-9]{1,18})?)")


def add_promote(commands: Any) -> None:
    """Add the subcommand that moves an alias once a bundle has passed its gate."""
    command = add_command(
        commands, "promote", "check a bundle, then point an alias at it", _promote
    )
    command.add_argument("reference", metavar="NAME@VERSION", help="a bundle in the store")
    _add_alias_options(command)
    add_examples(command, "with labels to compare it on with what the alias means", required=False)
    command.add_argument(
        "--max-regression",
        metavar="P",
        help="with --data: how much less accurate the bundle may be, 0.005 or 0.5%% (default: 0)",
    )
    add_trust_options(command)


def add_rollback(commands: Any) -> None:
    """Add the subcommand that moves an alias back."""
    command = add_command(
        commands, "rollback", "point an alias back at what stood before", _rollback
    )
    command.add_argument("name", metavar="NAME", help="of the bundles")
    _add_alias_options(command)
    add_trust_options(command)


def add_history(commands: Any) -> None:
    """Add the subcommand that shows every move of the aliases."""
    command = add_command(
        commands, "history", "what the aliases pointed at, since when, by whom", _history
    )
    command.add_argument("name", metavar="NAME", help="of the bundles")
    command.add_argument("--alias", help="this one (default: all)")
    command.add_argument("--json", action="store_true", help="one line of JSON a change")


def _add_alias_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--alias", required=True, help="the alias to move, such as production")
    command.add_argument(
        "--reason", default="", metavar="TEXT", help="why, for the history (default: none)"
    )


@pandas_kept_out()
def _promote(arguments: argparse.Namespace) -> int:
    refuse_path(arguments.reference)
    most = _parse_regression(arguments)
    store = open_store(arguments.store)
    bundle = open_checked(arguments.reference, arguments)
    name, version = bundle.manifest.name, bundle.manifest.version
    seen = store.history(name, arguments.alias)
    before = seen[-1].version if seen else None
    if before == version:
        _LOGGER.info("%s@%s is version %d already", name, arguments.alias, version)
        return 0
    if arguments.data is not None:
        _pass_gate(bundle, before, most, arguments)
    store.set_alias(name, arguments.alias, version, Move("promote", arguments.reason, seen))
    was = "new" if before is None else f"was {before}"
    print_result(f"{name}@{arguments.alias}: version {version} ({was}), {bundle.digest}")
    return 0


@pandas_kept_out()
def _rollback(arguments: argparse.Namespace) -> int:
    name, alias = arguments.name, arguments.alias
    refuse_selector(name)
    store = open_store(arguments.store)
    seen = _history_of(store, name, alias)
    now, version = seen[-1].version, previous(seen)
    if version is None:
        raise BundleError(
            f"{name}@{alias}: nothing stood before version {now}: promote another; versions: "
            f"{listing(map(str, store.versions(name))) or 'none'}"
        )
    bundle = open_checked(f"{name}@{version}", arguments)
    store.set_alias(name, alias, version, Move("rollback", arguments.reason, seen))
    print_result(f"{name}@{alias}: version {version} (rolled back from {now}), {bundle.digest}")
    return 0


def _history(arguments: argparse.Namespace) -> int:
    store = open_store(arguments.store)
    name = arguments.name
    refuse_selector(name)
    store.resolve(name)
    if arguments.alias is None:
        found = {alias: store.history(name, alias) for alias in store.aliases(name)}
    else:
        found = {arguments.alias: _history_of(store, name, arguments.alias)}
    moves = [(alias, change) for alias, changes in found.items() for change in changes]
    moves.sort(key=lambda move: move[1].at)
    if arguments.json:
        for alias, change in moves:
            print_json(_as_facts(name, alias, change))
    elif moves:
        header = ("WHEN", "ALIAS", "WAS", "IS", "HOW", "BY", "WHY")
        print_result(table([header, *(_row(alias, change) for alias, change in moves)]))
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


def _row(alias: str, change: AliasChange) -> tuple[str, ...]:
    was = "-" if change.was is None else str(change.was)
    why = " ".join(change.reason.split()) or "-"
    return (change.at, alias, was, str(change.version), change.action, change.by, why)


def _history_of(store: Store, name: str, alias: str) -> list[AliasChange]:
    """The alias's moves, at least one. BundleError, listing the known, for what is not there."""
    store.resolve(f"{name}@{alias}")
    return store.history(name, alias)


def _parse_regression(arguments: argparse.Namespace) -> Fraction:
    text = arguments.max_regression
    if arguments.data is None:
        given = [
            flag
            for flag, value in (("--max-regression", text), ("--label", arguments.label))
            if value is not None
        ]
        if given:
            raise UsageError(f"{given[0]} judges by labelled rows: name them with --data")
    match = _REGRESSION.fullmatch(text or "0")
    if match is None or (match["percent"] and Fraction(match["percent"]) > 100):
        raise UsageError(f"--max-regression {text}: expected a share such as 0.005 or 0.5%")
    return Fraction(match["percent"]) / 100 if match["percent"] else Fraction(match["share"])


def _pass_gate(
    bundle: Bundle, before: int | None, most: Fraction, arguments: argparse.Namespace
) -> None:
    """Raise BundleError, in one line, if the bundle is less accurate than what stands there now."""
    from batchdigits.evaluation.compare import compare, regression
    from batchdigits.evaluation.evaluator import Evaluator, evaluate_bundle

    examples = read_examples(arguments, keep=())
    if examples.label is None:
        raise UnusableInputError(
            f"{examples.input_file.name}: has no column 'label' to judge by; name the labels' "
            "column with --label"
        )
    classes, alias = bundle.manifest.classes, f"{bundle.manifest.name}@{arguments.alias}"
    if before is None:
        tally = evaluate_bundle(examples, bundle.engine, classes)
        _LOGGER.info(
            "accuracy %.4f on %d rows of %s; nothing stands at %s yet to compare with",
            *(tally.accuracy, tally.labelled, examples.input_file.name, alias),
        )
        return
    incumbent = _open_incumbent(f"{bundle.manifest.name}@{before}", alias, arguments)
    found = compare(
        examples,
        Evaluator(incumbent.engine, incumbent.manifest.classes),
        Evaluator(bundle.engine, classes),
        keep_flips=0,
    )
    told = (
        f"accuracy {found.new.accuracy:.4f} on {found.new.labelled} rows of "
        f"{examples.input_file.name}, {found.old.accuracy:.4f} with version {before}"
    )
    if regression(found) > most:
        raise BundleError(
            f"{bundle.manifest.name}@{bundle.manifest.version}: {told}, that is worse by more than "
            f"--max-regression {arguments.max_regression or 0}; {alias} stays version {before}: "
            "promote a better one, or allow more"
        )
    _LOGGER.info("%s", told)


def _open_incumbent(reference: str, alias: str, arguments: argparse.Namespace) -> Bundle:
    """What the alias means now, which need not be signed: it is measured, not trusted."""
    from batchdigits.api import open_bundle

    try:
        return open_bundle(reference, store=arguments.store, require_signature=False)
    except BundleError as error:
        raise BundleError(
            f"{alias}: can't be compared with: {error}; leave out --data to promote all the same"
        ) from error
