"""`python -m batchdigits.bundles`: list, show, check, sign, promote and import bundles."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from batchdigits.bundles.aliases import add_history, add_promote, add_rollback
from batchdigits.bundles.contents import add_list, add_prune, add_show
from batchdigits.bundles.diff import add_diff
from batchdigits.bundles.export import add_export
from batchdigits.bundles.importing import add_import
from batchdigits.bundles.signatures import add_keygen, add_sign, add_verify
from batchdigits.cli.boundary import end, one_blas_thread, run_command
from batchdigits.cli.flags import add_version, make_parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    one_blas_thread()
    return run_command(parser(), lambda arguments: arguments.body(arguments), argv)


def parser() -> argparse.ArgumentParser:
    """Return the parser of `bundles` and its subcommands."""
    top = make_parser(
        "bundles",
        "List, show, check, sign, promote and import bundles.",
        [
            "{program} list",
            "{program} show digits@production",
            "{program} verify digits@3 /mnt/copy/digits-3.bundle",
            "{program} sign digits@3 --key ops.key",
            "{program} diff digits@2 digits@3 --data labelled.parquet",
            "{program} promote digits@3 --alias production",
            "{program} rollback digits --alias production",
            "{program} export digits@3 --onnx digits.onnx",
            "{program} import --sklearn model.joblib --data labelled.csv",
        ],
    )
    add_version(top)
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    for add in (
        *(add_list, add_show, add_verify, add_keygen, add_sign, add_diff),
        *(add_promote, add_rollback, add_history, add_prune, add_export, add_import),
    ):
        add(commands)
    return top


if __name__ == "__main__":
    end(main)
