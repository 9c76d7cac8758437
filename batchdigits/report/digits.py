"""Digits on a page: rows as pictures, with what was read in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from batchdigits.html import element
from batchdigits.report import charts
from batchdigits.report.page import cut, paragraph, section

MOST_DIGITS = 60
"""Digits of one list on a page: each takes about 1 KB."""


@dataclass(frozen=True, slots=True)
class ShownDigit:
    """One row.

    pixels  64 ink counts 0..16
    words   what was read, and whatever else stands below the picture
    """

    pixels: Sequence[int]
    words: str


@dataclass(frozen=True, slots=True)
class Digits:
    """Lists of rows by their title; `note` says why there are none."""

    lists: Sequence[tuple[str, Sequence[ShownDigit]]] = field(default_factory=tuple)
    note: str = ""


def digits_section(digits: Digits) -> str:
    """Return the lists that have rows."""
    return "".join(
        section(title, _list(shown[:MOST_DIGITS])) for title, shown in digits.lists if shown
    ) + (section("Digits", paragraph(digits.note)) if digits.note else "")


def _list(shown: Sequence[ShownDigit]) -> str:
    items = [
        element("li", charts.digit(each.pixels, f"digit {each.words}"), cut(each.words))
        for each in shown
    ]
    return element("ul", *items, class_="digits")
