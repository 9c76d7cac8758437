"""`bundles promote`: check a bundle, then point an alias at it."""

from __future__ import annotations

import argparse
import logging
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from batchdigits.bundles.common import (
    add_alias_options,
    add_command,
    add_data_options,
    open_data,
    refuse_path,
)
from batchdigits.cli.boundary import pandas_kept_out
from batchdigits.cli.flags import add_trust_options
from batchdigits.cli.terminal import print_result
from batchdigits.errors import BundleError, UsageError
from batchdigits.store.aliases import Move
from batchdigits.store.choice import BundleChoice, open_store
from batchdigits.text import parse_share

if TYPE_CHECKING:
    from batchdigits.evaluation.evaluator import Evaluator

_LOGGER = logging.getLogger("batchdigits")


def add_promote(commands: Any) -> None:
    """Add the subcommand."""
    command = add_command(
        commands, "promote", "check a bundle, then point an alias at it", _promote
    )
    command.add_argument("reference", metavar="NAME@VERSION", help="a bundle in the store")
    add_alias_options(command)
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
    refuse_path(arguments.reference)
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
