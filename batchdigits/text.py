"""Words and tables as text: what messages, reports and cards are written with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fractions import Fraction

SHOWN_PROBLEMS = 20
LONGEST_LINE = 4000

_SHARE = re.compile(
    r"(?P<number>([0-9]{1,18}(\.[0-9]{0,18})?|\.[0-9]{1,18})([eE][+-]?[0-9]{1,3})?)(?P<percent>%?)"
)


def one_line(text: str) -> str:
    """`text` with every kind of line break folded, and cut where it is longer than anyone reads."""
    folded = " ".join(text.splitlines())
    return folded if len(folded) <= LONGEST_LINE else f"{folded[:LONGEST_LINE]} …"


def count_of(count: int, noun: str) -> str:
    """A count with its noun, which takes an s: `1 row`, `2 rows`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def listing(problems: Iterable[str]) -> str:
    """At most 20 problems joined by commas, and how many more there are."""
    found = list(problems)
    text = ", ".join(found[:SHOWN_PROBLEMS])
    left = len(found) - SHOWN_PROBLEMS
    return f"{text} and {left} more" if left > 0 else text


def table(lines: Sequence[Sequence[str]], *, right: bool = False) -> str:
    """Lines of cells, the header first, as columns aligned to the left or to the right."""
    align = str.rjust if right else str.ljust
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(align, line, widths)).rstrip() for line in lines)


def markdown(lines: Sequence[Sequence[str]]) -> str:
    """Lines of cells, the header first, as a Markdown table; a `|` in a cell is escaped."""
    escaped = ([cell.replace("|", "\\|") for cell in line] for line in lines)
    header, *rows = (f"| {' | '.join(line)} |" for line in escaped)
    return "\n".join([header, "|" + "---|" * len(lines[0]), *rows])


def parse_share(text: str) -> Fraction:
    """`0.5%` or `0.005` as an exact part of 1, 0 to 1.

    Raises ValueError for anything else; the caller's message names the flag and what it is for.
    """
    match = _SHARE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is neither a share such as 0.005 nor a percentage such as 0.5%")
    share = Fraction(match["number"]) / (100 if match["percent"] else 1)
    if share > 1:
        raise ValueError(f"{text!r} is more than the whole")
    return share
