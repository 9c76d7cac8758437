"""Pixel cells to numbers: what a cell holds, and the reason when it is no pixel.

A cell is judged in one of three ways, all with the same result. Cells of one or two digits carry
their value as a code from the tokenizer. Other plain numbers are cast together. What is left is
judged one by one by `judge_pixel`, which is the definition.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from batchdigits.rows.batch import PIXELS, Pixels
from batchdigits.rows.checks import scaled
from batchdigits.rows.csv_cells import Grid
from batchdigits.rows.csv_layout import REASON_RANK, Layout
from batchdigits.rows.csv_text import flags, slices

MISSING = frozenset({b"", b"na", b"n/a", b"#n/a", b"<na>", b"null", b"none", b"\\n", b"?"})
"""What stands for a missing value, in lower case (`\\N` is what databases dump)."""

NUMBER = re.compile(rb"[0-9]+(?:\.[0-9]+)?")
NOT_FINITE = re.compile(rb"[+-]?(?:nan|inf|infinity)")
LONGEST_CAST = 40
"""Longer cells are judged one by one: a cast of 400 digits would overflow."""
TRIMS = 8
"""Spaces and tabs taken off each side of many cells at once, before one by one is as quick."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a grid line is no row of pixels: the first pixel, in pixel order, with its reason."""

    reason: str
    pixel: int


@dataclass(frozen=True, slots=True)
class PixelValues:
    """The pixels of a grid.

    pixels  shape (n, 64), uint8 when all of them are whole and unscaled, else float32: the lines
            without a fault, in order
    good    None when no line has a fault, else the positions of the lines without one
    faults  by line of the grid
    """

    pixels: Pixels
    good: NDArray[np.int64] | None
    faults: dict[int, Fault]


def pixel_text(raw: bytes, blanks: bytes) -> bytes:
    """A cell without the spaces and tabs around it and without one pair of quotes."""
    text = raw.strip(blanks)
    if len(text) >= 2 and text[:1] == text[-1:] == b'"':
        return text[1:-1].strip(blanks)
    return text


@lru_cache(maxsize=4096)
def judge_pixel(text: bytes, darkest: float) -> tuple[float, str | None]:
    """The value of one trimmed cell and None, or 0.0 and the reason why it is no pixel."""
    if NUMBER.fullmatch(text):
        value = float(text)
        return (value, None) if value <= darkest else (0.0, "out-of-range")
    if text[:1] == b"-" and NUMBER.fullmatch(text, 1):
        return 0.0, "out-of-range"
    lowered = text.lower()
    if lowered in MISSING:
        return 0.0, "missing"
    return 0.0, "not-finite" if NOT_FINITE.fullmatch(lowered) else "not-a-number"


def acceptable(cells: list[bytes], layout: Layout) -> bool:
    """Whether all 64 pixels of a record's cells are pixels."""
    return all(
        judge_pixel(pixel_text(cells[column], layout.blanks), layout.darkest)[1] is None
        for column in layout.pixel_columns
    )


def read_pixels(grid: Grid, layout: Layout) -> PixelValues:
    """The pixels of a grid of cells, and the faults of the lines that have one."""
    codes = layout.pixels_of(grid.codes)
    limit = min(int(layout.darkest), 99)
    if not codes.size or codes.max() <= limit:
        return PixelValues(_finished(codes, layout), None, {})
    odd = np.flatnonzero(codes > limit)
    lines, pixels = np.divmod(odd, PIXELS)
    columns = np.asarray(layout.pixel_columns)[pixels]
    ends = grid.ends[lines, columns]
    order = np.argsort(ends, kind="stable")  # file order, which `slices` asks for
    odd, lines, columns, ends = odd[order], lines[order], columns[order], ends[order]
    starts = np.where(columns == 0, grid.first[lines], grid.ends[lines, columns - 1] + 1)
    values, ranks = judge_many(grid.data, starts, ends, layout)
    return _merged(codes, odd, values, ranks, layout)


def judge_many(
    data: bytes, starts: NDArray[np.int64], ends: NDArray[np.int64], layout: Layout
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """`judge_pixel` of the cells data[start:end]: their values, and reason ranks (0 for none)."""
    starts, ends = _trimmed(data, starts, ends, layout.blanks)
    lengths = ends - starts
    castable = (lengths > 0) & (lengths <= LONGEST_CAST)
    texts = slices(data, np.where(castable, starts, ends), ends)
    castable &= _plain_numbers(texts)
    values = np.zeros(len(starts))
    ranks = np.zeros(len(starts), np.uint8)
    if castable.all():
        values = _cast(texts)
    elif castable.any():
        values[castable] = _cast(texts.filter(flags(castable)))
    ranks[values > layout.darkest] = REASON_RANK["out-of-range"]
    for i in np.flatnonzero(~castable).tolist():
        text = data[starts[i] : ends[i]].strip(layout.blanks)
        value, reason = judge_pixel(text, layout.darkest)
        values[i] = value
        ranks[i] = 0 if reason is None else REASON_RANK[reason]
    return values, ranks


def _cast(numbers: pa.StringArray) -> NDArray[np.float64]:
    """Plain numbers as the nearest float64."""
    cast = pc.cast(numbers, pa.float64())
    return np.frombuffer(cast.buffers()[1], np.float64, len(cast))


def _trimmed(
    data: bytes, starts: NDArray[np.int64], ends: NDArray[np.int64], blanks: bytes
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cells without their spaces and tabs (up to `TRIMS` on a side) and one pair of quotes."""
    b = np.frombuffer(data, np.uint8)
    starts, ends = _stripped(b, starts, ends, blanks)
    quoted = (ends - starts >= 2) & (b[starts] == 34) & (b[ends - 1] == 34)
    if quoted.any():
        starts, ends = _stripped(b, starts + quoted, ends - quoted, blanks)
    return starts, ends


def _stripped(
    b: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64], blanks: bytes
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    is_blank = np.zeros(256, np.bool_)
    is_blank[list(blanks)] = True
    for _ in range(TRIMS):
        leading = is_blank[b[starts]] & (starts < ends)
        if not leading.any():
            break
        starts = starts + leading
    for _ in range(TRIMS):
        trailing = is_blank[b[ends - 1]] & (starts < ends)
        if not trailing.any():
            break
        ends = ends - trailing
    return starts, ends


def _plain_numbers(texts: pa.StringArray) -> NDArray[np.bool_]:
    """Which texts are digits with an optional decimal part, and nothing else."""
    offsets = np.frombuffer(texts.buffers()[1], np.int32, len(texts) + 1)
    size = int(offsets[-1])
    if size == 0:
        return np.zeros(len(texts), np.bool_)
    x = np.frombuffer(texts.buffers()[2], np.uint8, size)
    digit = (x - np.uint8(48)) < 10
    # The other bytes must be one dot a text, with a digit on both sides of it.
    others = np.flatnonzero(~digit)
    plain = offsets[1:] > offsets[:-1]
    if not len(others):
        return plain
    owner = np.searchsorted(offsets, others, side="right") - 1
    inner = (others > offsets[owner]) & (others < offsets[owner + 1] - 1)
    plain[owner[(x[others] != 46) | ~inner]] = False
    plain[owner[1:][owner[1:] == owner[:-1]]] = False
    return plain


def _merged(
    codes: NDArray[np.uint8],
    odd: NDArray[np.int64],
    values: NDArray[np.float64],
    ranks: NDArray[np.uint8],
    layout: Layout,
) -> PixelValues:
    """The grid's pixels once its odd cells are judged."""
    good = None
    faults: dict[int, Fault] = {}
    if ranks.any():
        faults = _first_faults(odd, ranks)
        fine = np.ones(len(codes), np.bool_)
        fine[list(faults)] = False
        good = np.flatnonzero(fine)
        kept = fine[odd // PIXELS]
        moved = np.cumsum(fine) - 1
        odd, values = odd[kept], values[kept]
        odd = moved[odd // PIXELS] * PIXELS + odd % PIXELS
        codes = codes[good]
    whole = layout.scale is None and bool((values == np.floor(values)).all())
    pixels = codes.copy() if whole else codes.astype(np.float32)
    pixels.reshape(-1)[odd] = values
    return PixelValues(_finished(pixels, layout), good, faults)


def _first_faults(odd: NDArray[np.int64], ranks: NDArray[np.uint8]) -> dict[int, Fault]:
    """Of each line with faults the first reason that fits, in the first pixel that has it."""
    at = np.flatnonzero(ranks)
    lines, pixels = np.divmod(odd[at], PIXELS)
    order = np.lexsort((pixels, ranks[at], lines))
    lines, pixels, reasons = lines[order], pixels[order], ranks[at][order]
    first = np.flatnonzero(np.diff(lines, prepend=-1))
    names = {rank: reason for reason, rank in REASON_RANK.items()}
    return {
        line: Fault(names[rank], pixel)
        for line, rank, pixel in zip(
            lines[first].tolist(), reasons[first].tolist(), pixels[first].tolist(), strict=True
        )
    }


def _finished(pixels: NDArray[np.uint8] | NDArray[np.float32], layout: Layout) -> Pixels:
    if layout.scale is None:
        return pixels
    return scaled(pixels, layout.scale)
