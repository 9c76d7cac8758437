"""Whole records to a grid of cells: where each cell ends, and what its one or two digits say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SPAN = 1 << 16
"""Bytes tokenized at a time, so that the dozen arrays in flight stay in the processor's cache."""

NO_CODE = 255


@dataclass(frozen=True, slots=True)
class Grid:
    """Records that have exactly the header's number of cells.

    ends   int64, shape (n, cells): the position in `data` of the separator behind each cell
    first  int64, shape (n,): where each record begins
    codes  uint8, shape (n, cells): 0..99 for a cell of one or two digits (or such with `.0`),
           255 for any other
    """

    data: bytes
    ends: NDArray[np.int64]
    first: NDArray[np.int64]
    codes: NDArray[np.uint8]

    def bounds(self, column: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where the cells of a column start and end."""
        starts = self.first if column == 0 else self.ends[:, column - 1] + 1
        return starts, self.ends[:, column]


@dataclass(frozen=True, slots=True)
class Records:
    """All records of a text.

    starts, stops  int64, shape (r,): where each lies in the text, its line end left out
    cells          int64, shape (r,): how many cells it has
    gridded        int64, shape (n,): which of them are the lines of the grid, None for all
    """

    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    cells: NDArray[np.int64]
    gridded: NDArray[np.int64] | None


def tokenize(data: bytes, delimiter: bytes, cells: int, *, quotes: bool) -> tuple[Grid, Records]:
    """The grid of a text in regular form (`csv_records.RegularText`), and all its records.

    `cells` is the header's number of cells, `quotes` whether the text has any.
    """
    ends, codes = _separators(data, delimiter[0], quotes=quotes)
    breaks = np.flatnonzero(np.frombuffer(data, np.uint8).take(ends) == 10)
    stops = ends[breaks]
    starts = np.empty_like(stops)
    starts[:1] = 0
    starts[1:] = stops[:-1] + 1
    counts = np.diff(breaks, prepend=-1)
    gridded = None
    first = starts
    if not (counts == cells).all():
        fits = counts == cells
        gridded = np.flatnonzero(fits)
        first = starts[gridded]
        inside = np.repeat(fits, counts)
        ends, codes = ends[inside], codes[inside]
    grid = Grid(data, ends.reshape(-1, cells), first, codes.reshape(-1, cells))
    return grid, Records(starts, stops, counts, gridded)


def _separators(
    data: bytes, delimiter: int, *, quotes: bool
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Positions of all delimiters and line ends outside quotes, and the code of the cell before."""
    dotted = b".0" in data[: data.find(b"\n")]
    all_ends: list[NDArray[np.int64]] = []
    all_codes: list[NDArray[np.uint8]] = []
    inside = False
    start = 0
    while start < len(data):
        stop = data.rfind(b"\n", start, start + SPAN) + 1 or data.find(b"\n", start) + 1
        # Line ends in front spare the first cells a look at bytes that are not there.
        b = np.frombuffer(b"\n\n\n\n\n" + data[start:stop], np.uint8)
        separator = b == delimiter
        separator |= b == 10
        codes = _codes(b, separator, dotted=dotted)
        if quotes:
            parity = np.bitwise_xor.accumulate((b == 34).view(np.uint8)).view(np.bool_)
            separator &= parity if inside else ~parity
            inside ^= bool(parity[-1])
        ends = np.flatnonzero(separator[5:])
        all_codes.append(codes.take(ends))
        ends += start
        all_ends.append(ends)
        start = stop
    if not all_ends:
        return np.empty(0, np.int64), np.empty(0, np.uint8)
    return np.concatenate(all_ends), np.concatenate(all_codes)


def _codes(
    b: NDArray[np.uint8], separator: NDArray[np.bool_], *, dotted: bool
) -> NDArray[np.uint8]:
    """For each byte from the sixth on: the value of the cell that would end before it.

    One pass over all bytes costs less than looking at the bytes of each cell. A cell counts as
    one or two digits when separators stand around them; everything else gets `NO_CODE`.
    """
    value = b - np.uint8(48)
    digit = value < 10
    valid = digit[1:-2] & separator[:-3]  # two digits, or
    valid |= separator[1:-2]  # one,
    valid &= digit[2:-1]  # which is the last
    code = value[1:-2] * np.uint8(10)
    code *= digit[1:-2].view(np.uint8)
    code += value[2:-1]
    code |= valid.view(np.uint8) - np.uint8(1)
    if not dotted:
        return code[2:]
    # Where ".0" stands before a byte, the cell's value is the one that would end before the dot.
    zero = b[4:-1] == 48
    zero &= b[3:-2] == 46
    return np.where(zero, code[:-2], code[2:])
