"""Which columns hold the 64 pixels, found by name and never by position."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from batchdigits.errors import UnusableInputError, UsageError
from batchdigits.images import PIXELS
from batchdigits.text import listing

LIST_COLUMN = "pixels"


Select = Callable[[Sequence[str], str], Sequence[str]]
"""Chooses pass-through columns of these, besides the pixels, of the input file named second."""


@dataclass(frozen=True, slots=True)
class PixelColumns:
    """Where the pixels are: 64 column names in pixel order, or the name of one list column."""

    names: tuple[str, ...]

    @property
    def is_list(self) -> bool:
        """Whether one list column holds all 64 pixels."""
        return len(self.names) == 1


@dataclass(frozen=True, slots=True)
class Spelling:
    """One way that public copies of this data name the pixels."""

    example: str
    names: tuple[str, ...]
    pattern: re.Pattern[str]


def _numbered(prefix: str, first: int) -> Spelling:
    names = tuple(f"{prefix}{first + i}" for i in range(PIXELS))
    return Spelling(
        f"{names[0]} … {names[-1]}", names, re.compile(re.escape(prefix) + r"(0|[1-9]\d{0,3})")
    )


SPELLINGS: tuple[Spelling, ...] = (
    _numbered("pixel_", 0),
    Spelling(
        "pixel_0_0 … pixel_7_7",
        tuple(f"pixel_{row}_{column}" for row in range(8) for column in range(8)),
        re.compile(r"pixel_\d{1,2}_\d{1,2}"),
    ),
    _numbered("", 0),
    _numbered("p", 0),
    _numbered("x", 0),
    _numbered("pixel", 0),
    _numbered("Block ", 1),
    _numbered("Attribute", 1),
    _numbered("input", 1),
)


def find_pixels(names: Sequence[str], spec: str | None, where: str) -> PixelColumns:
    """The pixel columns among `names`, by `spec` (the `--pixels` flag) or by the known spellings.

    `where` names the input in messages. Raises UnusableInputError when the file's columns don't
    hold one complete and unambiguous set, UsageError when `spec` itself makes no sense.
    """
    wanted = None if spec is None else parse_pixel_spec(spec)
    _refuse_doubled(names, where)
    if wanted is not None:
        return _named_by_flag(names, wanted, where)
    return _named_by_spelling(names, where)


def parse_pixel_spec(spec: str) -> tuple[str, ...]:
    """`PREFIX{0..63}SUFFIX`, 64 names joined by commas, or one list column, as names.

    Raises UsageError when it gives neither 64 distinct names nor one.
    """
    match = re.fullmatch(r"([^{}]*)\{(\d+)\.\.(\d+)\}([^{}]*)", spec)
    if match:
        prefix, first, last, suffix = match.groups()
        if int(last) - int(first) + 1 != PIXELS:
            raise UsageError(f"--pixels {spec}: the range must hold 64 numbers, such as {{0..63}}")
        return tuple(f"{prefix}{i}{suffix}" for i in range(int(first), int(last) + 1))
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
    """Positions in `names` of the columns to pass through, in the order they are written.

    `select` is that of the options of reading; raises what it raises.
    """
    position = {name: i for i, name in enumerate(names)}
    pixel_names = set(pixels.names)
    others = [name for name in names if name not in pixel_names]
    return [position[name] for name in select(others, where)]


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
            f"{where}: the column name {listing(map(repr, doubled))} is there more than once; "
            "give every column a name of its own"
        )


def _named_by_flag(names: Sequence[str], wanted: tuple[str, ...], where: str) -> PixelColumns:
    missing = [name for name in wanted if name not in set(names)]
    if missing:
        raise UnusableInputError(
            f"{where}: --pixels names {len(missing)} columns that are not there: "
            f"{listing(map(repr, missing))}; the columns are: {listing(map(repr, names))}"
        )
    return PixelColumns(wanted)


def _named_by_spelling(names: Sequence[str], where: str) -> PixelColumns:
    present = set(names)
    complete = [PixelColumns(s.names) for s in SPELLINGS if present.issuperset(s.names)]
    if LIST_COLUMN in present:
        complete.append(PixelColumns((LIST_COLUMN,)))
    if len(complete) > 1:
        sets = " and ".join(f"{c.names[0]!r} …" if not c.is_list else "'pixels'" for c in complete)
        raise UnusableInputError(
            f"{where}: several sets of pixel columns ({sets}); name the one to use with --pixels"
        )
    if not complete:
        raise UnusableInputError(_nearest(names, where))
    _refuse_extra(present, complete[0], where)
    return complete[0]


def _refuse_extra(present: set[str], found: PixelColumns, where: str) -> None:
    """A 65th pixel means another image size, or a shifted table: not ours to guess."""
    for spelling in SPELLINGS:
        if spelling.names == found.names:
            extra = sorted(n for n in present - set(found.names) if spelling.pattern.fullmatch(n))
            if extra:
                raise UnusableInputError(
                    f"{where}: {PIXELS + len(extra)} pixel columns, expected the {PIXELS} of "
                    f"{spelling.example}; also found {listing(map(repr, extra))}; "
                    "name the ones to use with --pixels"
                )


def _nearest(names: Sequence[str], where: str) -> str:
    present = set(names)
    count: Callable[[Spelling], int] = lambda s: len(present.intersection(s.names))  # noqa: E731
    best = max(SPELLINGS, key=count)
    if count(best) == 0:
        return (
            f"{where}: no pixel columns found among {listing(map(repr, names)) or 'no columns'}; "
            "expected pixel_0 … pixel_63 (other known spellings: "
            f"{', '.join(s.example for s in SPELLINGS[1:])}, or one list column 'pixels'); "
            "name yours with --pixels 'PREFIX{0..63}'"
        )
    missing = [name for name in best.names if name not in present]
    extra = sorted(present - set(best.names), key=len)
    extra = [name for name in extra if best.pattern.fullmatch(name)]
    also = f", unexpected {listing(map(repr, extra))}" if extra else ""
    return (
        f"{where}: {count(best)} of the {PIXELS} pixel columns {best.example} found, missing "
        f"{listing(map(repr, missing))}{also}; name them with --pixels"
    )
