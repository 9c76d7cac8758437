"""Pixel cells as numbers, or the reason why a cell is not a pixel.

Cells are judged in four ways that all give the same result. Cells of one or two digits carry
their value as a code from the tokenizer. Other numbers are read together, digit by digit, or by
Arrow's cast if they are long or have a sign or an exponent. The rest is judged one by one by
`judge_pixel`, which is the definition.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from batchdigits.images import PIXELS
from batchdigits.rows.arrays import scaled
from batchdigits.rows.contract import Pixels
from batchdigits.rows.csv.cells import Grid
from batchdigits.rows.csv.layout import CsvLayout
from batchdigits.rows.csv.text import Positions, cast_numbers, short_numbers
from batchdigits.rows.rejects import FINE, RANKS

# The spellings of a missing value, in lower case (databases dump `\N`).
MISSING = frozenset({b"", b"na", b"n/a", b"#n/a", b"<na>", b"null", b"none", b"\\n", b"?"})

# A decimal number as numpy, R, MATLAB, Excel and Fortran write it.
NUMBER = re.compile(rb"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
NOT_FINITE = re.compile(rb"[+-]?(?:nan|inf|infinity)")

AT_A_TIME = 1 << 14  # cells judged at once: the arrays in use stay in the processor's cache
TRIMS = 8  # blanks stripped from each side of many cells at once; above, one by one is as fast


@dataclass(frozen=True, slots=True)
class PixelFaults:
    """The lines of a grid with a cell that is not a pixel.

    lines   int64, shape (f,), ascending
    ranks   uint8, shape (f,): the least rank among the line's pixels
    pixels  int64, shape (f,): the first pixel, in pixel order, that has it
    """

    lines: NDArray[np.int64]
    ranks: NDArray[np.uint8]
    pixels: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PixelValues:
    """The pixels of a grid.

    pixels  shape (n, 64), uint8 when all of them are whole and unscaled, else float32: the lines
            without a fault, in order
    good    the positions of these lines; None when no line has a fault
    faults  the other lines; None when there are none
    """

    pixels: Pixels
    good: NDArray[np.int64] | None = None
    faults: PixelFaults | None = None


def pixel_text(raw: bytes, blanks: bytes) -> bytes:
    """A cell without the spaces and tabs around it and without one pair of quotes."""
    text = raw.strip(blanks)
    if len(text) >= 2 and text[:1] == text[-1:] == b'"':
        return text[1:-1].strip(blanks)
    return text


@lru_cache(maxsize=4096)
def judge_pixel(text: bytes, darkest: float) -> tuple[float, str | None]:
    """The value of one trimmed cell and None, or 0.0 and the reason why it is not a pixel."""
    if NUMBER.fullmatch(text):
        value = float(text)
        return (abs(value), None) if 0 <= value <= darkest else (0.0, "out-of-range")
    lowered = text.lower()
    if lowered in MISSING:
        return 0.0, "missing"
    return 0.0, "not-finite" if NOT_FINITE.fullmatch(lowered) else "not-a-number"


def acceptable(cells: list[bytes], layout: CsvLayout) -> bool:
    """Return whether the pixel cells of a record are all pixels."""
    return all(
        judge_pixel(pixel_text(layout.numeric(cells[column]), layout.blanks), layout.darkest)[1]
        is None
        for column in layout.pixel_columns
    )


def read_pixels(grid: Grid, layout: CsvLayout) -> PixelValues:
    """Read the pixels of a grid, and find the lines with a fault."""
    codes = layout.pixels_of(grid.codes)
    limit = min(int(layout.darkest), 99)
    if not codes.size or codes.max() <= limit:
        return PixelValues(_finished(codes, layout))
    codes = np.ascontiguousarray(codes)
    odd, starts, ends = _odd_cells(codes > limit, grid, layout)
    values = np.empty(len(odd))
    ranks = np.empty(len(odd), np.uint8)
    for at in range(0, len(odd), AT_A_TIME):
        part = slice(at, at + AT_A_TIME)
        values[part], ranks[part] = judge_many(grid.data, starts[part], ends[part], layout)
    return _merged(codes, odd, values, ranks, layout)


def _odd_cells(
    mask: NDArray[np.bool_], grid: Grid, layout: CsvLayout
) -> tuple[NDArray[np.int64], Positions, Positions]:
    """The positions set in `mask`, and the start and end in the text of their cells."""
    odd = np.flatnonzero(mask)
    lines = odd // PIXELS
    columns = np.asarray(layout.pixel_columns).take(odd - lines * PIXELS)
    cells = lines * layout.cells + columns
    all_ends = grid.ends.reshape(-1)
    ends = all_ends.take(cells)
    starts = all_ends.take(cells - 1) + 1
    if 0 in layout.pixel_columns:
        starts = np.where(columns == 0, grid.first.take(lines), starts)
    return odd, starts, ends


def judge_many(
    data: bytes, starts: Positions, ends: Positions, layout: CsvLayout
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Values of the cells data[start:end] as `judge_pixel` gives them, and their ranks."""
    b = np.frombuffer(data, np.uint8)
    starts, ends = _trimmed(b, starts, ends, layout.blanks)
    values, read = short_numbers(b, starts, ends)
    if not read.all():
        left = np.flatnonzero(~read)
        left = left[np.argsort(starts[left], kind="stable")]  # `slices` needs the file's order
        values[left], read[left] = cast_numbers(data, starts[left], ends[left])
    in_range = (values >= 0) & (values <= layout.darkest)
    ranks = np.where(in_range, np.uint8(FINE), np.uint8(RANKS["out-of-range"]))
    np.abs(values, out=values)  # a minus before a zero
    for i in np.flatnonzero(~read).tolist():
        text = data[starts[i] : ends[i]].strip(layout.blanks)
        values[i], reason = judge_pixel(text, layout.darkest)
        ranks[i] = FINE if reason is None else RANKS[reason]
    return values, ranks


def _trimmed(
    b: NDArray[np.uint8], starts: Positions, ends: Positions, blanks: bytes
) -> tuple[Positions, Positions]:
    """Cells without spaces and tabs around them (up to `TRIMS` a side) and one pair of quotes."""
    starts, ends = _stripped(b, starts, ends, blanks)
    quoted = (b.take(starts) == 34) & (b.take(ends - 1, mode="clip") == 34) & (ends - starts >= 2)
    if quoted.any():
        starts, ends = _stripped(b, starts + quoted, ends - quoted, blanks)
    return starts, ends


def _stripped(
    b: NDArray[np.uint8], starts: Positions, ends: Positions, blanks: bytes
) -> tuple[Positions, Positions]:
    for _ in range(TRIMS):
        leading = _is_any(b.take(starts), blanks) & (starts < ends)
        if not leading.any():
            break
        starts = starts + leading
    for _ in range(TRIMS):
        trailing = _is_any(b.take(ends - 1, mode="clip"), blanks) & (starts < ends)
        if not trailing.any():
            break
        ends = ends - trailing
    return starts, ends


def _is_any(chars: NDArray[np.uint8], wanted: bytes) -> NDArray[np.bool_]:
    mask = np.zeros(len(chars), np.bool_)
    for char in wanted:
        mask |= chars == char
    return mask


def _merged(
    codes: NDArray[np.uint8],
    odd: NDArray[np.int64],
    values: NDArray[np.float64],
    ranks: NDArray[np.uint8],
    layout: CsvLayout,
) -> PixelValues:
    """The pixels of a grid after its odd cells were judged."""
    good = faults = None
    if (ranks != FINE).any():
        faults = _first_faults(odd, ranks)
        fine = np.ones(len(codes), np.bool_)
        fine[faults.lines] = False
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


def _first_faults(odd: NDArray[np.int64], ranks: NDArray[np.uint8]) -> PixelFaults:
    """For each line with faults the least rank, and the first pixel that has it."""
    faulty = np.flatnonzero(ranks != FINE)
    ranks = ranks[faulty]
    lines = odd[faulty] // PIXELS
    pixels = odd[faulty] - lines * PIXELS
    order = np.lexsort((pixels, ranks, lines))
    first = order[np.flatnonzero(np.diff(lines[order], prepend=-1))]
    return PixelFaults(lines[first], ranks[first], pixels[first])


def _finished(pixels: NDArray[np.uint8] | NDArray[np.float32], layout: CsvLayout) -> Pixels:
    """Scale the pixels. The engine takes bytes fastest as columns, other numbers as rows."""
    if layout.scale is not None:
        return scaled(np.ascontiguousarray(pixels), layout.scale)
    return pixels.copy("F") if pixels.dtype == np.uint8 and not pixels.flags.fnc else pixels
