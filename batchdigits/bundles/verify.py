"""`bundles verify`: every byte, the digest, the signature and the golden rows of bundles."""

from __future__ import annotations

import argparse
from typing import Any

from batchdigits.archive.bundle_file import BundleFile, parse_digest
from batchdigits.archive.keys import short_id
from batchdigits.archive.signing import Trust, is_signed, open_trust
from batchdigits.bundles.common import REFERENCE, add_command, add_expect_digest
from batchdigits.cli.flags import add_trust_options
from batchdigits.cli.terminal import print_json, print_result
from batchdigits.engines.open import ENGINES
from batchdigits.errors import BundleError
from batchdigits.store.choice import load_bundle


def add_verify(commands: Any) -> None:
    """Add the subcommand."""
    command = add_command(
        commands, "verify", "check every byte of bundles and replay their golden rows", _verify
    )
    command.add_argument("references", nargs="+", metavar="REF", help=REFERENCE)
    command.add_argument(
        "--engine",
        choices=ENGINES,
        default="onnx",
        help="what replays the golden rows (default: onnx; keras needs batchdigits[train])",
    )
    add_expect_digest(command)
    add_trust_options(command)
    command.add_argument("--json", action="store_true", help="one line of JSON a bundle")


def replay_golden(bundle: BundleFile, engine_name: str) -> dict[str, Any]:
    """Digest, number of golden rows and the worst difference; BundleError if one differs."""
    from batchdigits.engines.golden import replay
    from batchdigits.engines.open import open_engine

    result = replay(open_engine(bundle, engine_name), bundle)
    return {"digest": bundle.digest, "golden_rows": result.rows, "worst": result.worst}


def _verify(arguments: argparse.Namespace) -> int:
    if arguments.expect_digest is not None:
        parse_digest(arguments.expect_digest)
    trust = open_trust(arguments.require_signature, arguments.trusted_keys)
    results = []
    for reference in arguments.references:
        result = _verify_one(reference, arguments, trust)
        results.append(result)
        if arguments.json:
            print_json(result)
        else:
            print_result(f"{reference}: {result['error'] or _praise(result)}")
    return BundleError.exit_code if any(result["error"] for result in results) else 0


def _verify_one(reference: str, arguments: argparse.Namespace, trust: Trust) -> dict[str, Any]:
    result: dict[str, Any] = {"bundle": reference, "engine": arguments.engine, "error": None}
    try:
        bundle = load_bundle(reference, arguments.store, arguments.expect_digest, trust)
        signature = {"signature": _state(bundle), "signed_by": bundle.signed_by}
        return {**result, **replay_golden(bundle, arguments.engine), **signature}
    except BundleError as error:
        return {**result, "error": str(error)}


def _state(bundle: BundleFile) -> str:
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
