"""`bundles sign`: verify a bundle, then write its signature beside it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from batchdigits.bundles.common import (
    REFERENCE,
    add_command,
    add_expect_digest,
    add_passphrase,
    passphrase_of,
)
from batchdigits.cli.terminal import print_result
from batchdigits.store.choice import BundleChoice


def add_sign(commands: Any) -> None:
    """Add the subcommand."""
    command = add_command(
        commands, "sign", "verify a bundle, then write its signature beside it", _sign
    )
    command.add_argument("reference", metavar="REF", help=REFERENCE)
    command.add_argument(
        "--key", metavar="FILE", required=True, help="the private key that keygen wrote, NAME.key"
    )
    add_passphrase(command)
    add_expect_digest(command)
    command.add_argument(
        "--comment", metavar="TEXT", help="a note in the signature's file; it is not itself signed"
    )
    command.add_argument(
        "--overwrite", action="store_true", help="replace the signature of another key"
    )


def _sign(arguments: argparse.Namespace) -> int:
    from batchdigits.archive.keys import key_id, read_private_key, short_id
    from batchdigits.archive.signing import ANY_BUNDLE, write_signature
    from batchdigits.engines.open import open_checked

    key = read_private_key(Path(arguments.key), passphrase_of(arguments))
    choice = BundleChoice.of_flags(arguments, bundle=arguments.reference)
    bundle = choice.load(ANY_BUNDLE)  # whoever signs need not trust the signature of before
    open_checked(bundle)
    # The bytes that were read and checked are signed, not the file, which may be another by now.
    target = write_signature(
        bundle.path,
        bundle.to_bytes(),
        key,
        comment=arguments.comment,
        overwrite=arguments.overwrite,
    )
    print_result(f"{target}: {bundle.digest} signed by key {short_id(key_id(key.public_key()))}")
    return 0
