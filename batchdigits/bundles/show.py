"""`bundles show`: a bundle's model card, or its manifest as JSON."""

from __future__ import annotations

import argparse
import json
from typing import Any

from batchdigits.archive.bundle_file import MANIFEST
from batchdigits.archive.signing import ANY_BUNDLE
from batchdigits.bundles.common import REFERENCE, add_command
from batchdigits.cli.terminal import print_json, print_result
from batchdigits.store.choice import BundleChoice


def add_show(commands: Any) -> None:
    """Add the subcommand."""
    command = add_command(commands, "show", "show a bundle's model card", _show)
    command.add_argument(
        "reference",
        nargs="?",
        metavar="REF",
        help=f"{REFERENCE} (default: $BATCHDIGITS_BUNDLE, else the bundle inside the package)",
    )
    command.add_argument("--json", action="store_true", help="path, digest and manifest as JSON")


def _show(arguments: argparse.Namespace) -> int:
    bundle = BundleChoice(arguments.reference, arguments.store).load(ANY_BUNDLE)
    if arguments.json:
        manifest = json.loads(bundle.members[MANIFEST])
        print_json({"path": str(bundle.path), "digest": bundle.digest, "manifest": manifest})
    else:
        print_result(bundle.members["card.md"].decode("utf-8", "replace").rstrip("\n"))
    return 0
