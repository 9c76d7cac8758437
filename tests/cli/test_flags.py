"""Flags that every command has: what is given twice is refused, or adds up."""

from __future__ import annotations

from argparse import Action, ArgumentParser, _AppendAction

import pytest
from command_parsers import parsers_of

from batchdigits.__main__ import COMMANDS
from batchdigits.cli.flags import column_names, whole_number
from batchdigits.errors import UsageError

COUNTED = [
    (parser, action)
    for command in COMMANDS
    for parser in parsers_of(command)
    for action in parser._actions
    if action.type is whole_number
]

FLAGS = [
    (parser, action)
    for command in COMMANDS
    for parser in parsers_of(command)
    for action in parser._actions
    if action.option_strings and action.nargs is None and not isinstance(action, _AppendAction)
]


@pytest.mark.parametrize(
    ("parser", "action"), FLAGS, ids=[f"{p.prog} {a.option_strings[-1]}" for p, a in FLAGS]
)
def test_a_flag_given_twice_is_refused_or_adds_up(parser: ArgumentParser, action: Action) -> None:
    flag = action.option_strings[-1]
    value = str(next(iter(action.choices))) if action.choices else "1"
    if action.type is column_names:
        required = [a for a in parser._actions if a.required]
        words = [w for a in required for w in (*a.option_strings[-1:], "x")]
        parsed = parser.parse_args([*words, flag, "a,b", flag, "c"])
        assert getattr(parsed, action.dest)[-3:] == ("a", "b", "c")
        return
    with pytest.raises(UsageError, match=f"{flag} is given twice"):
        parser.parse_args([flag, value, flag, value])


@pytest.mark.parametrize(
    ("parser", "action"), COUNTED, ids=[f"{p.prog} {a.option_strings[-1]}" for p, a in COUNTED]
)
def test_a_flag_that_counts_from_1_refuses_other_values(
    parser: ArgumentParser, action: Action
) -> None:
    flag = action.option_strings[-1]
    for value in ("0", "000", "-1", "+1", "1.0", "1_0", " 1", "\u0661", "x", "", "9" * 99):
        with pytest.raises(UsageError, match=f"{flag}: .* expected a whole number, 1 or more"):
            parser.parse_args([f"{flag}={value}"])


def test_whole_numbers_are_parsed_with_zeros_before_them() -> None:
    assert list(map(whole_number, ("1", "10", "007", "999999999"))) == [1, 10, 7, 999_999_999]
