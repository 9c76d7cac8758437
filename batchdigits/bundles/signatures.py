"""`bundles verify`, `keygen` and `sign`: checking every byte of bundles, and signing them."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from batchdigits.archive.keys import (
    create_keys,
    key_id,
    read_passphrase,
    read_private_key,
    short_id,
)
from batchdigits.archive.signing import ANY_BUNDLE, is_signed, write_signature
from batchdigits.bundles.common import REFERENCE, add_command, add_expect_digest
from batchdigits.cli.flags import add_trust_options
from batchdigits.cli.terminal import print_json, print_result
from batchdigits.engines.open import DEFAULT_ENGINE, ENGINES, open_checked, replay_bundle
from batchdigits.errors import BundleError, UsageError
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
        help="the engine that replays the golden rows (default: onnx; keras needs the extra train)",
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
    signature = "unchecked" if is_signed(bundle.path) else "none"
    return {
        **result,
        "digest": bundle.digest,
        "golden_rows": golden.rows,
        "worst": golden.worst,
        "signature": "trusted" if bundle.signed_by is not None else signature,
        "signed_by": bundle.signed_by,
    }


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


def add_keygen(commands: Any) -> None:
    """Add the subcommand."""
    command = add_command(
        commands,
        "keygen",
        "make a pair of keys: NAME.key to sign with, NAME.pub for those who check",
        _keygen,
        store=False,
    )
    command.add_argument("name", metavar="NAME", help="name of the two files")
    command.add_argument(
        "--output", metavar="DIR", default=".", help="folder of the files (default: this folder)"
    )
    _add_passphrase(command)


def _keygen(arguments: argparse.Namespace) -> int:
    folder = Path(arguments.output)
    if not folder.is_dir():
        raise UsageError(f"--output {folder}: is not a folder: create it, or name another")
    made = create_keys(folder, arguments.name, _passphrase_of(arguments))
    print_result(
        f"key {made.key_id}: {made.private} signs, keep it to yourself; {made.public} goes into "
        "the folders of trusted keys"
    )
    return 0


def add_sign(commands: Any) -> None:
    """Add the subcommand."""
    command = add_command(
        commands, "sign", "verify a bundle, then write its signature beside it", _sign
    )
    command.add_argument("reference", metavar="REF", help=REFERENCE)
    command.add_argument(
        "--key", metavar="FILE", required=True, help="the private key that keygen wrote, NAME.key"
    )
    _add_passphrase(command)
    add_expect_digest(command)
    command.add_argument(
        "--comment", metavar="TEXT", help="a note in the signature's file; it is not itself signed"
    )
    command.add_argument(
        "--overwrite", action="store_true", help="replace the signature of another key"
    )


def _sign(arguments: argparse.Namespace) -> int:
    key = read_private_key(Path(arguments.key), _passphrase_of(arguments))
    choice = BundleChoice.of_flags(arguments, bundle=arguments.reference)
    bundle = choice.load(ANY_BUNDLE)  # whoever signs need not trust the signature of before
    open_checked(bundle)
    # The bytes that were read and checked are signed, not the file, which may be another by now.
    data, comment = bundle.to_bytes(), arguments.comment
    target = write_signature(bundle.path, data, key, comment=comment, overwrite=arguments.overwrite)
    print_result(f"{target}: {bundle.digest} signed by key {short_id(key_id(key.public_key()))}")
    return 0


def _add_passphrase(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--passphrase-file",
        metavar="FILE",
        help="its first line encrypts the private key (default: the key is not encrypted)",
    )


def _passphrase_of(arguments: argparse.Namespace) -> bytes | None:
    path = arguments.passphrase_file
    return None if path is None else read_passphrase(Path(path))
