"""`python -m batchdigits.bundles`: list, show, check, sign and promote bundles."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from batchdigits.bundles.diff import add_diff
from batchdigits.bundles.export import add_export
from batchdigits.bundles.history import add_history
from batchdigits.bundles.keygen import add_keygen
from batchdigits.bundles.list import add_list
from batchdigits.bundles.promote import add_promote
from batchdigits.bundles.prune import add_prune
from batchdigits.bundles.rollback import add_rollback
from batchdigits.bundles.show import add_show
from batchdigits.bundles.sign import add_sign
from batchdigits.bundles.verify import add_verify
from batchdigits.cli.boundary import end, run_command
from batchdigits.cli.flags import make_parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    return run_command(parser(), lambda arguments: arguments.body(arguments), argv)


def parser() -> argparse.ArgumentParser:
    """Return the parser of `bundles` and its subcommands."""
    top = make_parser(
        "bundles",
        "List, show, check, sign and promote bundles.",
        [
            "python -m batchdigits.bundles list",
            "python -m batchdigits.bundles show digits@production",
            "python -m batchdigits.bundles verify digits@3 /mnt/copy/digits-3.bundle",
            "python -m batchdigits.bundles sign digits@3 --key ops.key",
            "python -m batchdigits.bundles diff digits@2 digits@3 --data labelled.parquet",
            "python -m batchdigits.bundles promote digits@3 --alias production",
            "python -m batchdigits.bundles rollback digits --alias production",
            "python -m batchdigits.bundles export digits@3 --onnx digits.onnx",
        ],
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    add_list(commands)
    add_show(commands)
    add_verify(commands)
    add_keygen(commands)
    add_sign(commands)
    add_diff(commands)
    add_promote(commands)
    add_rollback(commands)
    add_history(commands)
    add_prune(commands)
    add_export(commands)
    return top


if __name__ == "__main__":
    end(main())
