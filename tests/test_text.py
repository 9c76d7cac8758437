"""Words, tables and shares as text."""

from fractions import Fraction

import pytest

from batchdigits.text import count_of, listing, markdown, one_line, parse_share, table


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("0.5%", Fraction(1, 200)),
        ("0.005", Fraction(1, 200)),
        (".5", Fraction(1, 2)),
        ("99%", Fraction(99, 100)),
        ("100%", Fraction(1)),
        ("1", Fraction(1)),
        ("5e-3", Fraction(1, 200)),
        ("0", Fraction(0)),
    ],
)
def test_a_share_is_a_number_up_to_1_or_a_percentage(text: str, share: Fraction) -> None:
    assert parse_share(text) == share


@pytest.mark.parametrize(
    "text", ["", "%", "5,5%", "-1%", "101%", "1.5", "nan", "inf", "1 %", "0x1", "5.%"]
)
def test_anything_else_is_refused_as_a_share(text: str) -> None:
    with pytest.raises(ValueError, match="share|whole"):
        parse_share(text)


def test_a_message_is_one_line_of_limited_length() -> None:
    assert one_line("a\nb\r\nc") == "a b c"
    assert len(one_line("x" * 9999)) == 4002


def test_counts_and_lists_read_like_english() -> None:
    assert [count_of(n, "row") for n in (0, 1, 2)] == ["0 rows", "1 row", "2 rows"]
    assert listing("abc") == "a, b, c"
    assert listing(map(str, range(3))) == "0, 1, 2"
    assert listing(map(str, range(25))).endswith("18, 19 and 5 more")
    assert listing(map(str, range(22))).endswith("19 and 2 more")


def test_columns_are_aligned_to_either_side_and_end_without_spaces() -> None:
    assert table([["name", "n"], ["a", "1"], ["bcd", "22"]]) == "name  n\na     1\nbcd   22"
    lines = [["NAME", "ROWS"], ["a", "10"], ["bcdef", ""]]
    assert table(lines).splitlines() == ["NAME   ROWS", "a      10", "bcdef"]
    assert table(lines, right=True).splitlines() == [" NAME  ROWS", "    a    10", "bcdef"]


def test_a_markdown_table_escapes_its_bars() -> None:
    assert markdown([["a|b"], ["1"]]) == "| a\\|b |\n|---|\n| 1 |"
