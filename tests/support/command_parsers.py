"""The argument parsers of our commands, by the commands' names."""

from __future__ import annotations

import argparse
import importlib


def parser_of(command: str) -> argparse.ArgumentParser:
    """The parser of `python -m batchdigits.COMMAND`, whether a module or a package."""
    module = importlib.import_module(f"batchdigits.{command}")
    if hasattr(module, "__path__"):
        module = importlib.import_module(f"batchdigits.{command}.__main__")
    parser: argparse.ArgumentParser = module.parser()
    return parser
