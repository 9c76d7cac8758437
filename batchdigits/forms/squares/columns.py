"""The columns that hold the pixels of a square picture, found by name."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isqrt

from batchdigits.errors import UnusableInputError, UsageError
from batchdigits.forms.crop import LEAST_SIDE
from batchdigits.forms.squares.block import MOST_PIXELS
from batchdigits.images import PIXELS, SIDE
from batchdigits.rows.pixels import LIST_COLUMN
from batchdigits.text import listing

_NUMBERED = re.compile(r"(.*?)([0-9]{1,6})")
_ROW_AND_COLUMN = re.compile(r"(.*?)([0-9]{1,4})([^0-9]+)([0-9]{1,4})")
_SPEC = re.compile(r"([^{}]*)\{(\d{1,6})\.\.(\d{1,6})\}([^{}]*)")


@dataclass(frozen=True, slots=True)
class SquareColumns:
    """The pixel columns in the order of the pixels, or one list column, whose rows tell the side.

    side  pixels along each side; None for a list column
    """

    names: tuple[str, ...]
    side: int | None

    @property
    def is_list(self) -> bool:
        return self.side is None


def find_squares(
    names: Sequence[str], lists: Sequence[str], spec: str | None, where: str
) -> SquareColumns:
    """Find the pixel columns among `names`, of which `lists` hold lists.

    They are those that `spec` names, else the columns with numbers from 0 or 1 on, or with the
    numbers of rows and columns, as many as a square has pixels; else the list column `pixels`.
    Raises UnusableInputError where there is no such set or several, UsageError for a wrong spec.
    """
    doubled = [name for name, count in Counter(names).items() if count > 1]
    if doubled:
        raise UnusableInputError(
            f"{where}: more than one column is named {listing(map(repr, doubled))}; give every "
            "column a name of its own"
        )
    if spec is not None:
        found = [_of_spec(spec)]
        missing = [name for name in found[0].names if name not in set(names)]
        if missing:
            raise UnusableInputError(
                f"{where}: --pixels names {len(missing)} missing columns: "
                f"{listing(map(repr, missing))}; the columns are {listing(map(repr, names))}"
            )
    else:
        found = [*_numbered(names), *_by_row_and_column(names)]
        found += [SquareColumns((LIST_COLUMN,), None)] if LIST_COLUMN in lists else []
    if len(found) != 1:
        sets = " and ".join(f"{columns.names[0]!r} …" for columns in found)
        problem = f"several sets of pixel columns ({sets})" if found else "no square of pixels"
        raise UnusableInputError(
            f"{where}: {problem} among {listing(map(repr, names)) or 'no columns'}; name the "
            "columns with --pixels 'PREFIX{0..783}', or one list column"
        )
    refuse_size(len(found[0].names), where)
    return found[0]


def side_of(pixels: int) -> int | None:
    """Return the side of a square with that number of pixels; None without one, or too small.

    The number may be below 0: of a file with fewer columns than are left out.
    """
    side = isqrt(max(pixels, 0))
    return side if side * side == pixels and side >= LEAST_SIDE else None


def refuse_size(pixels: int, where: str) -> None:
    """Raise UnusableInputError for squares that are too large, or rows for predict already."""
    if pixels > MOST_PIXELS:
        raise UnusableInputError(
            f"{where}: holds squares of {pixels:,} pixels, expected {MOST_PIXELS:,} at most; make "
            "them smaller"
        )
    if pixels == PIXELS:
        raise UnusableInputError(
            f"{where}: holds rows of {SIDE}x{SIDE} pixels already; give them to batchdigits "
            "predict, as CSV or Parquet"
        )


def _of_spec(spec: str) -> SquareColumns:
    match = _SPEC.fullmatch(spec)
    if match is None:
        return SquareColumns((spec,), None)
    before, first, last, after = match.groups()
    side = side_of(int(last) - int(first) + 1)
    if side is None:
        raise UsageError(
            f"--pixels {spec}: the range must hold a square of numbers, such as {{0..783}}"
        )
    names = tuple(f"{before}{i}{after}" for i in range(int(first), int(last) + 1))
    return SquareColumns(names, side)


def _numbered(names: Sequence[str]) -> list[SquareColumns]:
    groups: Mapping[str, dict[int, str]] = defaultdict(dict)
    for name in names:
        match = _NUMBERED.fullmatch(name)
        if match is not None:
            groups[match[1]][int(match[2])] = name
    found = []
    for group in groups.values():
        side, first = side_of(len(group)), min(group)
        if side and first in (0, 1) and max(group) == first + len(group) - 1:
            found.append(SquareColumns(tuple(group[i] for i in sorted(group)), side))
    return found


def _by_row_and_column(names: Sequence[str]) -> list[SquareColumns]:
    groups: Mapping[tuple[str, str], dict[tuple[int, int], str]] = defaultdict(dict)
    for name in names:
        match = _ROW_AND_COLUMN.fullmatch(name)
        if match is not None:
            groups[match[1], match[3]][int(match[2]), int(match[4])] = name
    found = []
    for group in groups.values():
        side, first = side_of(len(group)), min(group)[0]
        if side is None or first not in (0, 1):
            continue
        places = [(first + row, first + column) for row in range(side) for column in range(side)]
        if set(places) == set(group):
            found.append(SquareColumns(tuple(group[place] for place in places), side))
    return found
