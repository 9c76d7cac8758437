"""The command `python -m batchdigits.receipts`: check the files of finished runs."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchdigits.cli.boundary import end, one_blas_thread, run_command
from batchdigits.cli.flags import Parser, add_common_options, add_version, make_parser, path_text
from batchdigits.cli.terminal import print_json, print_result
from batchdigits.errors import (
    BatchdigitsError,
    IOFailedError,
    NoInputError,
    UsageError,
    worst_exit_code,
)
from batchdigits.text import count_of

if TYPE_CHECKING:
    from batchdigits.scoring.replay import Verified

_LOGGER = logging.getLogger("batchdigits")

# The kinds of receipts that are checked, in words that cost no import.
_PREDICT, _REVIEWED = _CHECKED = ("predict", "reviewed")

EXAMPLES = (
    "{program} verify forms.receipt.json",
    "{program} verify scored/ --store bundles --json",
    "{program} verify forms.receipt.json --input archive/forms.parquet",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    one_blas_thread()
    return run_command(parser(), lambda arguments: arguments.body(arguments), argv)


def parser() -> Parser:
    """Make the parser of `receipts` and its subcommand."""
    result = make_parser(
        "receipts", "Check the files of finished runs against their receipts.", EXAMPLES
    )
    add_version(result)
    commands = result.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser(
        "verify",
        help="check outputs and inputs against their receipts, and score some rows again",
        description="Check outputs and inputs against their receipts, and score some rows again.",
        allow_abbrev=False,
    )
    command.set_defaults(body=_verify)
    command.add_argument(
        "receipts",
        nargs="+",
        metavar="RECEIPT",
        help="a receipt that predict wrote, FILE.receipt.json, or a folder of them, which is read "
        "with its subfolders",
    )
    command.add_argument(
        "--input",
        type=path_text,
        metavar="PATH",
        help="where the input of a single receipt is now (default: where the receipt says it was)",
    )
    command.add_argument(
        "--bundle",
        metavar="REF",
        help="the receipt's bundle: a path, NAME@VERSION, NAME@ALIAS or NAME (default: the bundle "
        "with the receipt's digest, in the store or inside the package)",
    )
    command.add_argument(
        "--store",
        metavar="DIR",
        help="the folder of bundles (default: $BATCHDIGITS_STORE, else ./bundles)",
    )
    command.add_argument(
        "--sample",
        type=int,
        default=1000,
        metavar="ROWS",
        help="the most rows to score again; 0 needs no bundle (default: 1000)",
    )
    command.add_argument(
        "--json", action="store_true", help="print one line of JSON for each receipt"
    )
    add_common_options(command)
    return result


def _verify(arguments: argparse.Namespace) -> int:
    if arguments.sample < 0:
        raise UsageError(f"--sample {arguments.sample}: expected a number of rows, 0 or more")
    if "" in arguments.receipts:  # it would mean the current folder
        raise NoInputError("an empty name: no receipt; name a *.receipt.json, or a folder of them")
    paths = [path for given in arguments.receipts for path in _receipts_of(Path(given))]
    if arguments.input is not None and len(paths) > 1:
        raise UsageError("--input takes a single receipt; verify the receipts one by one")
    return worst_exit_code([_verify_receipt(path, arguments) for path in paths])


def _receipts_of(path: Path) -> list[Path]:
    """Return the receipts in a folder that can be checked, sorted by name; else the path itself.

    Raises NoInputError for a folder without any.
    """
    if not path.is_dir():
        return [path]
    from batchdigits.files.names import visible

    found = visible(path, "**/*.receipt.json")
    receipts = [each for each in found if _kind_of(each) in _CHECKED]
    if not receipts:
        raise NoInputError(
            f"{path}: no receipt of predict in this folder; name the folder of its outputs"
        )
    return receipts


def _kind_of(path: Path) -> str:
    """Return the kind of a receipt; of what can't be read that of predict's, which fails later."""
    from batchdigits.files.commit import read_receipt

    try:
        facts = read_receipt(path)
    except IOFailedError:
        facts = None
    return str((facts or {}).get("kind", _PREDICT))


def _verify_receipt(path: Path, arguments: argparse.Namespace) -> int:
    """Verify a receipt, print the result, and return the exit code."""
    if _kind_of(path) == _REVIEWED:
        return _verify_reviewed(path, as_json=arguments.json)
    from batchdigits.scoring.replay import verify_file

    verified = verify_file(
        path,
        sample=arguments.sample,
        bundle=arguments.bundle,
        store=arguments.store,
        input_path=arguments.input,
    )
    for problem in verified.problems:
        _LOGGER.error("%s", problem)
    if arguments.json:
        print_json(_facts(path, verified))
    else:
        print_result(_line(path, verified))
    return verified.exit_code


def _verify_reviewed(path: Path, *, as_json: bool) -> int:
    """Verify the receipt of a reviewed file, print the result, and return the exit code."""
    from batchdigits.review.receipt import describe_certificate
    from batchdigits.review.verify import verify_reviewed

    verified = verify_reviewed(path)
    receipt = verified.receipt
    for problem in verified.problems:
        _LOGGER.error("%s", problem)
    if as_json:
        facts = {} if receipt is None else receipt.facts()
        names = ("predictions", "bundle", "rows", "decided_by", "cells", "certificate")
        print_json(
            {
                "receipt": str(path),
                "kind": _REVIEWED,
                "exit_code": verified.exit_code,
                **{name: facts.get(name) for name in names},
                "problems": [str(problem) for problem in verified.problems],
            }
        )
    elif receipt is None or verified.problems:
        print_result(f"not ok {path}: {'; '.join(map(_kind, verified.problems))}")
    else:
        print_result(
            f"ok {path}: {count_of(receipt.rows, 'row')} reviewed; {describe_certificate(receipt)}"
        )
    return verified.exit_code


def _line(path: Path, verified: Verified) -> str:
    receipt = verified.receipt
    if receipt is None or verified.problems:
        return f"not ok {path}: {'; '.join(map(_kind, verified.problems))}"
    checked = "no row scored again"
    if verified.worst_difference is not None:
        bundle = receipt.key.bundle
        checked = (
            f"{count_of(verified.rescored, 'row')} scored again with {bundle['name']}@"
            f"{bundle['version']}, confidences within {verified.worst_difference:.2g}"
        )
    elif receipt.input == "-":
        checked = "its input was standard input, not checked"
    counts = receipt.counts
    return (
        f"ok {path}: {count_of(counts.rows_in, 'row')} in, {counts.rows_predicted} predicted, "
        f"{counts.rows_rejected} rejected; {checked}"
    )


def _kind(problem: BatchdigitsError) -> str:
    kinds = {65: "differs", 66: "missing", 74: "can't be read", 75: "changed", 78: "bundle"}
    return kinds.get(problem.exit_code, "failed")


def _facts(path: Path, verified: Verified) -> dict[str, Any]:
    receipt = verified.receipt
    counts = {} if receipt is None else receipt.counts.facts()
    return {
        "receipt": str(path),
        "exit_code": verified.exit_code,
        "input": receipt and receipt.input,
        "bundle": receipt and {**receipt.key.bundle},
        **{name: counts.get(name) for name in ("rows_in", "rows_predicted", "rows_rejected")},
        "rows_rescored": verified.rescored,
        "worst_difference": verified.worst_difference,
        "problems": [str(problem) for problem in verified.problems],
    }


if __name__ == "__main__":
    end(main)
