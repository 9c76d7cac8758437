"""The 64 pixel columns of an input, found by name and never by position."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from batchdigits.errors import UnusableInputError, UsageError
from batchdigits.images import PIXELS, SIDE
from batchdigits.rows.naming import (
    incomplete_pixels,
    named_images,
    other_images,
    suggested_specs,
)
from batchdigits.text import listing

LIST_COLUMN = "pixels"
MOST_COLUMNS = 2_000  # that pass through

Select = Callable[[Sequence[str], str], Sequence[str]]
"""Chooses pass-through columns of these, besides the pixels, of the input file named second."""


@dataclass(frozen=True, slots=True)
class PixelColumns:
    """The names of the 64 pixel columns in pixel order, or of one list column."""

    names: tuple[str, ...]

    @property
    def is_list(self) -> bool:
        return len(self.names) == 1


@dataclass(frozen=True, slots=True)
class Spelling:
    """The names that some public copies of the data give the pixels.

    `padded` are the same with zeros that make all numbers equally long.
    """

    example: str
    names: tuple[str, ...]
    pattern: str
    padded: tuple[tuple[str, ...], ...] = ()


@cache
def _numbers(first: int, width: int) -> list[str]:
    return [f"{first + i:0{width}}" for i in range(PIXELS)]


def _numbered(prefix: str, first: int) -> Spelling:
    plain, *padded = (
        tuple([prefix + digits for digits in _numbers(first, width)]) for width in (1, 2, 3, 4)
    )
    pattern = re.escape(prefix) + r"\d{1,4}"
    return Spelling(f"{plain[0]} … {plain[-1]}", plain, pattern, tuple(padded))


SPELLINGS: tuple[Spelling, ...] = (
    _numbered("pixel_", 0),
    Spelling(
        "pixel_0_0 … pixel_7_7",
        tuple(f"pixel_{row}_{column}" for row in range(SIDE) for column in range(SIDE)),
        r"pixel_\d{1,2}_\d{1,2}",
    ),
    _numbered("", 0),
    _numbered("", 1),
    _numbered("V", 1),
    _numbered("p", 0),
    _numbered("x", 0),
    _numbered("pixel", 0),
    _numbered("Block ", 1),
    _numbered("Attribute", 1),
    _numbered("input", 1),
)


def find_pixels(names: Sequence[str], spec: str | None, where: str) -> PixelColumns:
    """Find the pixel columns among `names`, by `spec` (the `--pixels` flag) or a known spelling.

    `where` is the input in messages. Raises UnusableInputError when the columns don't hold one
    complete and unambiguous set, UsageError when `spec` is malformed.
    """
    wanted = None if spec is None else parse_pixel_spec(spec)
    _refuse_doubled(names, where)
    if wanted is not None:
        return _named_by_flag(names, wanted, where)
    return _named_by_spelling(names, where)


def parse_pixel_spec(spec: str) -> tuple[str, ...]:
    """Parse `PREFIX{0..63}SUFFIX`, 64 names joined by commas, or the name of a list column.

    Zeros before the first number stand before the others too: `{00..63}`.

    Raises UsageError for anything else.
    """
    match = re.fullmatch(r"([^{}]*)\{(\d{1,9})\.\.(\d{1,9})\}([^{}]*)", spec, re.ASCII)
    if match:
        prefix, first, last, suffix = match.groups()
        if int(last) - int(first) + 1 != PIXELS:
            raise UsageError(f"--pixels {spec}: the range must hold 64 numbers, such as {{0..63}}")
        width = len(first) if first[0] == "0" else 1  # as in a shell
        return tuple(f"{prefix}{i:0{width}}{suffix}" for i in range(int(first), int(last) + 1))
    names = tuple(name.strip() for name in spec.split(","))
    if len(names) not in (1, PIXELS) or "" in names or len(set(names)) != len(names):
        raise UsageError(
            f"--pixels names {len(set(names) - {''})} columns; give 'PREFIX{{0..63}}', 64 "
            "different names joined by commas, or one list column"
        )
    return names


def select_passthrough(
    names: Sequence[str], pixels: PixelColumns, select: Select, where: str
) -> list[int]:
    """Positions in `names` of the pass-through columns, in the order they are written.

    `select` chooses among the names besides the pixels, as `ReadOptions.select` does, and raises
    UnusableInputError for a name that is not there, and so does this for too many columns.
    """
    position = {name: i for i, name in enumerate(names)}
    pixel_names = set(pixels.names)
    others = [name for name in names if name not in pixel_names]
    chosen = select(others, where)
    if len(chosen) > MOST_COLUMNS:
        raise UnusableInputError(
            f"{where}: {len(chosen):,} columns besides the pixels, at most {MOST_COLUMNS:,} can "
            "pass through; choose them with --keep COL,…"
        )
    return [position[name] for name in chosen]


def refuse_reserved(names: Sequence[str], reserved: Collection[str], where: str) -> None:
    """Raise UnusableInputError for pass-through columns with the name of an output column."""
    taken = [name for name in names if name in reserved]
    if taken:
        raise UnusableInputError(
            f"{where}: the column {listing(map(repr, taken))} has the name of an output column; "
            "choose the columns to pass through with --keep COL,… or rename it in the input"
        )


def _refuse_doubled(names: Sequence[str], where: str) -> None:
    doubled = [name for name, count in Counter(names).items() if count > 1]
    if doubled:
        raise UnusableInputError(
            f"{where}: more than one column is named {listing(map(repr, doubled))}; give every "
            "column a name of its own"
        )


def _named_by_flag(names: Sequence[str], wanted: tuple[str, ...], where: str) -> PixelColumns:
    present = set(names)
    missing = [name for name in wanted if name not in present]
    if missing:
        raise UnusableInputError(
            f"{where}: --pixels names {len(missing)} missing columns: "
            f"{listing(map(repr, missing))}; the columns are {listing(map(repr, names))}"
        )
    return PixelColumns(wanted)


def _named_by_spelling(names: Sequence[str], where: str) -> PixelColumns:
    present = set(names)
    complete = [
        (spelling, PixelColumns(spelt))
        for spelling in SPELLINGS
        for spelt in (spelling.names, *spelling.padded)
        if present.issuperset(spelt)
    ]
    found = [columns for _, columns in complete]
    if LIST_COLUMN in present:
        found.append(PixelColumns((LIST_COLUMN,)))
    if len(found) > 1:
        sets = " and ".join(f"{c.names[0]!r} …" if not c.is_list else "'pixels'" for c in found)
        raise UnusableInputError(
            f"{where}: several sets of pixel columns ({sets}); name the one to use with --pixels"
        )
    if not found:
        raise UnusableInputError(f"{where}: {_nearest(names)}")
    for spelling, columns in complete:
        _refuse_extra(present, spelling, columns, where)
    return found[0]


def _refuse_extra(present: set[str], spelling: Spelling, pixels: PixelColumns, where: str) -> None:
    """Refuse a 65th pixel: it means another image size, or a shifted table."""
    extra = sorted(_spelt_as(spelling, present.difference(pixels.names)))
    if not extra:
        return
    count = PIXELS + len(extra)
    if images := other_images(count):
        raise UnusableInputError(f"{where}: its {count} pixel columns {images}")
    raise UnusableInputError(
        f"{where}: {count} pixel columns, expected the {PIXELS} of {spelling.example}; the others "
        f"are {listing(map(repr, extra))}; name those to use with --pixels"
    )


def _spelt_as(spelling: Spelling, names: set[str]) -> Iterator[str]:
    return filter(re.compile(spelling.pattern).fullmatch, names)


def _nearest(names: Sequence[str]) -> str:
    present = set(names)
    specs = suggested_specs(names)
    if specs:
        import shlex

        flags = " or ".join(f"--pixels {shlex.quote(spec)}" for spec in specs)
        return (
            f"no pixel columns of a known spelling among {listing(map(repr, names))}; if they are "
            f"the {PIXELS} pixels, row by row, use {flags}"
        )
    if images := named_images(names):
        return images
    best = max(SPELLINGS, key=lambda spelling: len(present.intersection(spelling.names)))
    if not present.intersection(best.names):
        if incomplete := incomplete_pixels(names):
            return incomplete
        return (
            f"no pixel columns among {listing(map(repr, names)) or 'no columns'}; "
            "expected pixel_0 … pixel_63 (other known spellings: "
            f"{', '.join(s.example for s in SPELLINGS[1:])}, or one list column 'pixels'); "
            "name yours with --pixels 'PREFIX{0..63}'"
        )
    missing = [name for name in best.names if name not in present]
    extra = sorted(_spelt_as(best, present.difference(best.names)), key=len)
    unexpected = f", unexpected {listing(map(repr, extra))}" if extra else ""
    return (
        f"{PIXELS - len(missing)} of the {PIXELS} pixel columns {best.example}, missing "
        f"{listing(map(repr, missing))}{unexpected}; name them with --pixels"
    )
