"""docs/reference/: the flags of every command, their defaults, and flags named anywhere else."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from command_parsers import flags_of
from pages import PAGES, code, name_of, reference, section, table
from paths import PACKAGE

from batchdigits.__main__ import COMMANDS


def documented_flags(text: str) -> dict[str, str]:
    """The value behind each flag in a table of flags: `REF` for `--bundle REF`."""
    usages = [code(row[0]).partition(" ") for row in table(text, "flag")]
    assert len({flag for flag, _, _ in usages}) == len(usages)
    return {flag: value for flag, _, value in usages}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_flag_is_in_its_table_and_no_other(command: str) -> None:
    flags = flags_of(command)
    shared = documented_flags(reference("commands"))
    documented = shared | documented_flags(reference(command))
    assert documented.keys() == flags.keys()
    for flag, value in documented.items():
        action = flags[flag]
        assert bool(value) == (action.nargs != 0), flag
        if action.metavar is not None:
            assert value == action.metavar, flag


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_page_names_a_flag_that_does_not_exist(page: Path) -> None:
    """In backticks and before anything else, as a flag of ours is written in prose."""
    known = {"--version"}.union(*(flags_of(command) for command in COMMANDS))
    named = re.findall(r"`(--[a-z][a-z-]*)", page.read_text(encoding="utf-8"))
    assert set(named) <= known


@pytest.mark.parametrize("command", COMMANDS)
def test_defaults_in_the_tables_are_those_of_the_parser(command: str) -> None:
    """Where a default is in backticks alone, it is the parser's."""
    for row in table(reference(command), "flag"):
        flag, default = (
            code(row[0]).split()[0],
            row[1 if command not in ("bundles", "review") else 2],
        )
        if re.fullmatch(r"`[^`]+`", default):
            assert code(default) == str(flags_of(command)[flag].default), flag


def environment_variables() -> set[str]:
    """Every name that the package looks up in, or sets in, `os.environ`."""
    names = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            text = ast.unparse(node) if isinstance(node, ast.Call | ast.Subscript) else ""
            match = re.match(r"os\.(?:environ\.\w+\(|environ\[|getenv\()'(\w+)'", text)
            if match:
                names.add(match[1])
    return names - {"COLUMNS"}  # the shell's own, which the help of every program obeys


def test_environment_variables_are_all_there() -> None:
    rows = table(section(reference("commands"), "Environment variables"), "variable")
    assert {code(row[0]) for row in rows} == environment_variables()
