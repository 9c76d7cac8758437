"""Words and tables as text, for messages, reports and model cards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from fractions import Fraction

SHOWN_PROBLEMS = 20
LONGEST_LINE = 4000

_SHARE = (
    r"(?P<number>([0-9]{1,18}(\.[0-9]{1,30})?|\.[0-9]{1,30})([eE][+-]?[0-9]{1,3})?)(?P<percent>%?)"
)


def one_line(text: str) -> str:
    """Return `text` with every kind of line break folded, cut after 4,000 characters."""
    folded = " ".join(text.splitlines())
    return folded if len(folded) <= LONGEST_LINE else f"{folded[:LONGEST_LINE]} …"


def printable(text: str) -> str:
    r"""Return `text` with everything that a terminal could obey as an escape, such as `\x1b`.

    That is every character that is not printed as itself: control characters, line breaks, marks
    that turn the direction of writing, and bytes of file names that are not UTF-8. Texts from
    outside, such as labels and names, may hold them.
    """
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


def printable_lines(text: str) -> str:
    """Return text of several lines as `printable` does, with its line feeds."""
    return "\n".join(map(printable, text.split("\n")))


def count_of(count: int, noun: str) -> str:
    """Return a count with its noun, which takes an s in the plural: `1 row`, `2 rows`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def exact(number: float) -> str:
    """Return the shortest text that reads as the same number: `0.1`, `255`."""
    return repr(number).removesuffix(".0")


def listing(items: Iterable[str]) -> str:
    """Join the first 20 items with commas, and say how many more there are."""
    texts = list(items)
    text = ", ".join(texts[:SHOWN_PROBLEMS])
    left = len(texts) - SHOWN_PROBLEMS
    return f"{text} and {left} more" if left > 0 else text


def table(lines: Sequence[Sequence[str]], *, right: bool = False) -> str:
    """Align lines of cells, the header first, in columns to the left or to the right.

    Cells are made printable, or one could break its line or look wider than it is.
    """
    lines = [[printable(cell) for cell in line] for line in lines]
    align = str.rjust if right else str.ljust
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(align, line, widths)).rstrip() for line in lines)


def markdown(lines: Sequence[Sequence[str]]) -> str:
    """Return lines of cells, the header first, as a Markdown table.

    Cells are made printable, and `|` in them is escaped.
    """
    escaped = ([printable(cell).replace("|", "\\|") for cell in line] for line in lines)
    header, *rows = (f"| {' | '.join(line)} |" for line in escaped)
    return "\n".join([header, "|" + "---|" * len(lines[0]), *rows])


def parse_share(text: str) -> Fraction:
    """Parse `0.5%` or `0.005` as an exact share, 0 to 1.

    Raises ValueError for anything else; the caller's message names the flag and its purpose.
    """
    import re  # only here: --help must not wait for them
    from fractions import Fraction

    match = re.fullmatch(_SHARE, text)
    if match is None:
        raise ValueError(f"{text!r} is neither a share such as 0.005 nor a percentage such as 0.5%")
    share = Fraction(match["number"]) / (100 if match["percent"] else 1)
    if share > 1:
        raise ValueError(f"{text!r} is more than the whole")
    return share
