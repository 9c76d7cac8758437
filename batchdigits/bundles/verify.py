"""`bundles verify`: every byte, the digest, the signature and the golden rows of bundles."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

from batchdigits.archive.bundle_file import BundleFile
from batchdigits.archive.keys import short_id
from batchdigits.archive.signing import is_signed
from batchdigits.bundles.common import REFERENCE, add_command, add_expect_digest
from batchdigits.cli.flags import add_trust_options
from batchdigits.cli.terminal import print_json, print_result
from batchdigits.engines.open import DEFAULT_ENGINE, ENGINES, replay_bundle
from batchdigits.errors import BundleError
from batchdigits.store.choice import BundleChoice


def add_verify(commands: Any) -> None:
    """Add the subcommand."""
    command = add_command(
        commands, "verify", "check every byte of bundles and replay their golden rows", _verify
    )
    command.add_argument("references", nargs="+", metavar="REF", help=REFERENCE)
    command.add_argument(
        "--engine",
        choices=ENGINES,
        default=DEFAULT_ENGINE,
        help="the engine that replays the golden rows (default: onnx; keras needs "
        "batchdigits[train])",
    )
    add_expect_digest(command)
    add_trust_options(command)
    command.add_argument("--json", action="store_true", help="one line of JSON for each bundle")


def _verify(arguments: argparse.Namespace) -> int:
    choice = BundleChoice.of_flags(arguments).checked()
    code = 0
    for reference in arguments.references:
        result = _verify_bundle(replace(choice, bundle=reference))
        if arguments.json:
            print_json(result)
        else:
            print_result(f"{reference}: {result['error'] or _praise(result)}")
        if result["error"]:
            code = BundleError.exit_code
    return code


def _verify_bundle(choice: BundleChoice) -> dict[str, Any]:
    result: dict[str, Any] = {"bundle": choice.bundle, "engine": choice.engine, "error": None}
    try:
        bundle = choice.load()
        golden = replay_bundle(bundle, choice.engine)
    except BundleError as error:
        return {**result, "error": str(error)}
    return {
        **result,
        "digest": bundle.digest,
        "golden_rows": golden.rows,
        "worst": golden.worst,
        "signature": _signature_state(bundle),
        "signed_by": bundle.signed_by,
    }


def _signature_state(bundle: BundleFile) -> str:
    if bundle.signed_by is not None:
        return "trusted"
    return "unchecked" if is_signed(bundle.path) else "none"


def _praise(result: dict[str, Any]) -> str:
    signature = {
        "trusted": f"signed by key {short_id(result['signed_by'] or '')}",
        "unchecked": "its signature was not checked: give --trusted-keys",
        "none": "not signed",
    }[result["signature"]]
    return (
        f"ok, {result['digest']}, {result['golden_rows']} golden rows within {result['worst']:.2g} "
        f"of their probabilities ({result['engine']} engine), {signature}"
    )
