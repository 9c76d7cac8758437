"""`bundles keygen` and `bundles sign`: who vouches for a bundle."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from batchdigits.bundles.common import REFERENCE, add_command, add_expect_digest
from batchdigits.cli.flags import add_common_options
from batchdigits.cli.terminal import print_result
from batchdigits.errors import UsageError


def add_keygen(commands: Any) -> None:
    """Add the subcommand that makes keys."""
    what = "make a pair of keys: NAME.key to sign with, NAME.pub for those who check"
    command = commands.add_parser(
        "keygen", help=what, description=f"{what[0].upper()}{what[1:]}.", allow_abbrev=False
    )
    command.set_defaults(body=_keygen)
    command.add_argument("name", metavar="NAME", help="of the two files")
    command.add_argument(
        "--output", metavar="DIR", default=".", help="where the files go (default: this folder)"
    )
    _add_passphrase(command)
    add_common_options(command)


def add_sign(commands: Any) -> None:
    """Add the subcommand that signs."""
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
        "--comment", metavar="TEXT", help="kept in the signature's file, not itself signed"
    )
    command.add_argument(
        "--overwrite", action="store_true", help="replace the signature of another key"
    )


def _add_passphrase(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--passphrase-file",
        metavar="FILE",
        help="its first line encrypts the private key (default: the key is not encrypted)",
    )


def _keygen(arguments: argparse.Namespace) -> int:
    from batchdigits.archive.keys import create_keys

    folder = Path(arguments.output)
    if not folder.is_dir():
        raise UsageError(f"--output {folder}: is no folder: create it, or name another")
    made = create_keys(folder, arguments.name, _passphrase(arguments))
    print_result(
        f"key {made.key_id}: {made.private} signs, keep it to yourself; {made.public} goes into "
        "the folders of trusted keys"
    )
    return 0


def _sign(arguments: argparse.Namespace) -> int:
    from batchdigits.archive.container import pack
    from batchdigits.archive.keys import key_id, read_private_key, short_id
    from batchdigits.archive.signing import write_signature
    from batchdigits.engines.open import open_checked
    from batchdigits.store.choice import BundleChoice

    key = read_private_key(Path(arguments.key), _passphrase(arguments))
    choice = BundleChoice.of_flags(arguments, bundle=arguments.reference)
    bundle = choice.load()
    open_checked(bundle)
    # What was read once and checked is what is signed: a bundle is the packing of its members.
    data = pack(bundle.members)
    target = write_signature(
        bundle.path, data, key, comment=arguments.comment, overwrite=arguments.overwrite
    )
    print_result(f"{target}: {bundle.digest} signed by key {short_id(key_id(key.public_key()))}")
    return 0


def _passphrase(arguments: argparse.Namespace) -> bytes | None:
    from batchdigits.archive.keys import read_passphrase

    given = arguments.passphrase_file
    return None if given is None else read_passphrase(Path(given))
