"""The argument parsers of our commands, by the commands' names."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterator


def parser_of(command: str) -> argparse.ArgumentParser:
    """The parser of `python -m batchdigits.COMMAND`, whether a module or a package."""
    module = importlib.import_module(f"batchdigits.{command}")
    if hasattr(module, "__path__"):
        module = importlib.import_module(f"batchdigits.{command}.__main__")
    parser: argparse.ArgumentParser = module.parser()
    return parser


def subcommands_of(command: str) -> dict[str, argparse.ArgumentParser]:
    """The parsers of a command's subcommands by name, in their order; empty without any."""
    for action in parser_of(command)._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def parsers_of(command: str) -> Iterator[argparse.ArgumentParser]:
    """The parser of a command and those of its subcommands."""
    yield parser_of(command)
    yield from subcommands_of(command).values()


def flags_of(command: str) -> dict[str, argparse.Action]:
    """The long flags of a command and of its subcommands."""
    return {
        name: action
        for parser in parsers_of(command)
        for action in parser._actions
        for name in action.option_strings
        if name.startswith("--")
    }
