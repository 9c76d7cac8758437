"""`bundles keygen`: a pair of keys, one to sign bundles with, one to check them with."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from batchdigits.bundles.common import add_command, add_passphrase, passphrase_of
from batchdigits.cli.terminal import print_result
from batchdigits.errors import UsageError


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
    add_passphrase(command)


def _keygen(arguments: argparse.Namespace) -> int:
    from batchdigits.archive.keys import create_keys

    folder = Path(arguments.output)
    if not folder.is_dir():
        raise UsageError(f"--output {folder}: is not a folder: create it, or name another")
    made = create_keys(folder, arguments.name, passphrase_of(arguments))
    print_result(
        f"key {made.key_id}: {made.private} signs, keep it to yourself; {made.public} goes into "
        "the folders of trusted keys"
    )
    return 0
