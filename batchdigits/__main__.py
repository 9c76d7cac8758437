"""The console script `batchdigits COMMAND …`, which runs every command."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

COMMANDS = {
    "predict": "score CSV or Parquet files through a bundle",
    "train": "fit a network and pack it as a bundle",
    "evaluate": "measure how good a bundle is on labelled files",
    "bundles": "list, check, sign, compare and promote bundles",
    "forms": "make rows for predict from pictures",
    "fields": "put the predictions of cells together as fields",
    "review": "show doubtful cells to a person, and apply the corrections",
    "report": "write a page about finished runs",
    "receipts": "verify the receipts of finished runs",
}

_COMMAND_LINES = "\n".join(f"  {name:10}{text}" for name, text in COMMANDS.items())
USAGE = f"""usage: batchdigits COMMAND …

commands:
{_COMMAND_LINES}

`batchdigits COMMAND --help` lists a command's flags.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that the first argument names, and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    name = arguments[0] if arguments else "--help"
    if name in ("--help", "-h"):
        sys.stdout.write(USAGE)
        return 0 if arguments else 2
    if name == "--version":
        from batchdigits._version import __version__

        sys.stdout.write(f"batchdigits {__version__}\n")
        return 0
    if name not in COMMANDS:
        sys.stderr.write(
            f"batchdigits: error: unknown command {name!r}; use one of {', '.join(COMMANDS)}\n"
        )
        return 2
    module = import_module(f"batchdigits.{name}")
    if hasattr(module, "__path__"):  # a command of several files
        module = import_module(f"batchdigits.{name}.__main__")
    code: int = module.main(arguments[1:])
    return code


def run() -> NoReturn:
    """Run the console script."""
    from batchdigits.cli.boundary import end

    end(main)


if __name__ == "__main__":
    run()
