"""Column names that are numbered through: what may be meant by them, for messages."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from batchdigits.images import PIXELS, SIDE
from batchdigits.text import listing


def suggested_specs(names: Sequence[str]) -> list[str]:
    """The values of `--pixels` for each 64 columns whose names are numbered through, or a grid."""
    specs = []
    for group in _groups(names):
        numbers = [numbered.number for numbered in group]
        first, last = group[0], group[-1]
        lengths = {len(numbered.digits) for numbered in group}
        even = len(lengths) == 1 or not any(numbered.is_padded for numbered in group)
        if even and len(group) == PIXELS and numbers[-1] - numbers[0] == PIXELS - 1:
            specs.append(f"{first.prefix}{{{first.digits}..{last.digits}}}{first.suffix}")
    for side, grid in _grids(names):
        if side == SIDE and not any("," in name for name in grid):
            specs.append(",".join(grid))
    return specs


def other_images(columns: int) -> str | None:
    """Say that the number of columns suggests larger images; None if it doesn't.

    There may be one column more, or ten: a label, or one for each digit.
    """
    for count in (columns, columns - 1, columns - 10):
        side = math.isqrt(max(count, 0))
        if side > SIDE and side * side == count:
            return (
                f"look like images of {side}x{side} pixels, expected {SIDE}x{SIDE}; make rows of "
                "them with batchdigits forms cells, or name 64 columns with --pixels"
            )
    return None


def named_images(names: Sequence[str]) -> str | None:
    """Say that columns are numbered through as larger images; None if they aren't."""
    counts = [len(group) for group in _groups(names)] + [len(grid) for _, grid in _grids(names)]
    for count in sorted(counts, reverse=True):
        side = math.isqrt(count)
        if side * side == count and (images := other_images(count)):
            return f"its {count} columns {images}"
    return None


def incomplete_pixels(names: Sequence[str]) -> str | None:
    """Say which numbers are missing where more than half of 64 are there; None elsewhere."""
    group = max(_groups(names), key=len, default=[])
    if not PIXELS // 2 < len(group) <= PIXELS:
        return None
    numbers = {numbered.number for numbered in group}
    name, first = group[-1], 0 if 0 in numbers else 1
    width = len(name.digits) if any(numbered.is_padded for numbered in group) else 1
    wanted = {i: f"{name.prefix}{i:0{width}}{name.suffix}" for i in range(first, first + PIXELS)}
    missing = [spelt for i, spelt in wanted.items() if i not in numbers]
    return (
        f"{PIXELS - len(missing)} of the {PIXELS} pixel columns {wanted[first]} … "
        f"{wanted[first + PIXELS - 1]}, missing {listing(map(repr, missing))}; write all {PIXELS} "
        "pixels, also those that are always 0"
    )


@dataclass(frozen=True, slots=True)
class _NumberedName:
    """A column's name with a number in it."""

    name: str
    prefix: str
    digits: str
    suffix: str

    @property
    def number(self) -> int:
        return int(self.digits)

    @property
    def is_padded(self) -> bool:
        return self.digits[0] == "0" and len(self.digits) > 1


_WITH_NUMBER = r"([^{}]*?)(\d{1,9})([^\d{}]*)"
_IN_GRID = r"(\D*)(\d{1,4})(\D+)(\d{1,4})(\D*)"


def _groups(names: Sequence[str]) -> list[list[_NumberedName]]:
    """The names that differ by one number only, each group in the order of its numbers."""
    groups: dict[tuple[str, str], list[_NumberedName]] = {}
    for name in names:
        match = re.fullmatch(_WITH_NUMBER, name, re.ASCII)
        if match:
            prefix, digits, suffix = match.groups()
            numbered = _NumberedName(name, prefix, digits, suffix)
            groups.setdefault((prefix, suffix), []).append(numbered)
    return [sorted(group, key=lambda n: n.number) for group in groups.values()]


def _grids(names: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """The names that two numbers make a square of, row by row, each with its side."""
    grids: dict[tuple[str, ...], dict[tuple[int, int], str]] = {}
    for name in names:
        match = re.fullmatch(_IN_GRID, name, re.ASCII)
        if match:
            prefix, row, between, column, suffix = match.groups()
            grid = grids.setdefault((prefix, between, suffix), {})
            grid[int(row), int(column)] = name
    for grid in grids.values():
        side = math.isqrt(len(grid))
        rows, columns = (sorted(set(numbers)) for numbers in zip(*grid, strict=True))
        if len(rows) == len(columns) == side and side * side == len(grid) and side >= SIDE:
            yield side, [grid[row, column] for row in rows for column in columns]
