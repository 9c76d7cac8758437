"""`bundles export`: a bundle's model in files that other tools read."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from batchdigits.bundles.common import REFERENCE, add_command, add_expect_digest
from batchdigits.cli.flags import add_trust_options
from batchdigits.cli.terminal import print_json, print_result
from batchdigits.store.choice import BundleChoice
from batchdigits.text import listing

if TYPE_CHECKING:
    from batchdigits.archive.bundle_file import BundleFile
    from batchdigits.exports.export import Exported


def add_export(commands: Any) -> None:
    """Add the subcommand's parser."""
    command = add_command(
        commands, "export", "write a bundle's model as ONNX, Keras or MLflow", _export
    )
    command.add_argument("reference", metavar="REF", help=REFERENCE)
    command.add_argument(
        "--onnx",
        metavar="FILE",
        help="write the ONNX graph: pixels to probabilities, scaler inside",
    )
    command.add_argument(
        "--keras", metavar="FILE.keras", help="write the Keras network: the scaler is not in it"
    )
    command.add_argument(
        "--mlflow", metavar="DIR", help="write a pyfunc model (needs the extra mlflow)"
    )
    command.add_argument(
        "--overwrite", action="store_true", help="replace files, or an MLflow model, of these names"
    )
    add_expect_digest(command)
    add_trust_options(command)
    command.add_argument(
        "--json", action="store_true", help="one line of JSON that lists what was written"
    )


def _export(arguments: argparse.Namespace) -> int:
    from batchdigits.engines.open import open_checked
    from batchdigits.exports.export import check_paths, export_bundle

    paths = check_paths(arguments.onnx, arguments.keras, arguments.mlflow)
    bundle = BundleChoice.of_flags(arguments, bundle=arguments.reference).load()
    open_checked(bundle)
    written = export_bundle(bundle, paths, overwrite=arguments.overwrite)
    if arguments.json:
        classes = list(bundle.manifest.classes.values)
        exports = [{**asdict(export), "path": str(export.path)} for export in written]
        print_json({"bundle": bundle.facts, "classes": classes, "exports": exports})
    else:
        for export in written:
            print_result(_as_text(bundle, export))
    return 0


def _as_text(bundle: BundleFile, export: Exported) -> str:
    facts = bundle.manifest
    classes = listing(map(str, facts.classes.values))
    return (
        f"{export.path}: {export.kind} of {facts.name}@{facts.version}; takes {export.takes}; "
        f"gives {export.gives}; classes {classes}"
    )
