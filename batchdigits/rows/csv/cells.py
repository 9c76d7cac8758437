"""Whole records as a grid of cells: the end of each cell, and the value of its digits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from batchdigits.images import PIXELS

SPAN = 1 << 17  # bytes tokenized at once: the dozen arrays in use stay in the processor's cache
NO_CODE = 255
_FRONT = b"\n" * 6  # put before a span, so that its first cells never index bytes before it


@dataclass(frozen=True, slots=True)
class Grid:
    """The records that have exactly the header's number of cells.

    ends   int32, shape (n, cells): the position in `data` of the separator after each cell
    first  int32, shape (n,): the start of each record
    codes  uint8, shape (n, cells): 0..99 for a cell of one or two digits, 255 for any other; the
           code of `5.0` and of `"5"` is 5 or 255
    """

    data: bytes
    ends: NDArray[np.int32]
    first: NDArray[np.int32]
    codes: NDArray[np.uint8]

    def bounds(self, column: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """The starts and ends of the cells of a column."""
        starts = self.first if column == 0 else self.ends[:, column - 1] + 1
        return starts, self.ends[:, column]

    def span(self, line: int, column: int) -> tuple[int, int]:
        """The start and end of a cell."""
        start = self.first[line] if column == 0 else self.ends[line, column - 1] + 1
        return int(start), int(self.ends[line, column])


@dataclass(frozen=True, slots=True)
class RecordBounds:
    """The bounds of all records of a text.

    starts, stops  int32, shape (r,): start and end of each in the text, without its line end
    cells          int64, shape (r,): the number of its cells; None when each has the header's
    gridded        int64, shape (n,): the records that are lines of the grid, None for all
    """

    starts: NDArray[np.int32]
    stops: NDArray[np.int32]
    cells: NDArray[np.int64] | None = None
    gridded: NDArray[np.int64] | None = None


def tokenize(
    data: bytes, delimiter: bytes, cells: int, inside: NDArray[np.bool_] | None
) -> tuple[Grid, RecordBounds]:
    """The grid of a text in regular form (`records.RegularText`), and the bounds of its records.

    cells   the header's number of cells
    inside  a mask of the bytes inside quotes; None for a text without quotes
    """
    ends, codes, line_ends = _separators(data, delimiter[0], inside)
    b = np.frombuffer(data, np.uint8)
    lasts = ends[cells - 1 :: cells]
    if len(ends) == cells * line_ends and (b[lasts] == 10).all():
        starts = _starts(lasts)
        grid = Grid(data, ends.reshape(-1, cells), starts, codes.reshape(-1, cells))
        return grid, RecordBounds(starts, lasts)
    breaks = np.flatnonzero(b[ends] == 10)
    stops = ends[breaks]
    starts = _starts(stops)
    counts = np.diff(breaks, prepend=-1)
    fits = counts == cells
    gridded = np.flatnonzero(fits)
    within = np.repeat(fits, counts)
    grid = Grid(
        data, ends[within].reshape(-1, cells), starts[gridded], codes[within].reshape(-1, cells)
    )
    return grid, RecordBounds(starts, stops, counts, gridded)


def inside_quotes(b: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """A mask of the bytes with an odd number of quotes up to and including them."""
    packed = np.packbits(b == 34, bitorder="little")
    words = np.zeros(-(-len(packed) // 8), "<u8")
    words.view(np.uint8)[: len(packed)] = packed
    for shift in (1, 2, 4, 8, 16, 32):  # each bit the parity of all bits up to it in its word
        words ^= words << np.uint64(shift)
    odd = np.cumsum((words >> np.uint64(63)).astype(np.uint8), dtype=np.uint8) & np.uint8(1)
    words[1:] ^= np.negative(odd[:-1].astype(np.uint64))
    return np.unpackbits(words.view(np.uint8), count=len(b), bitorder="little").view(np.bool_)


def _starts(stops: NDArray[np.int32]) -> NDArray[np.int32]:
    starts = np.empty_like(stops)
    starts[:1] = 0
    starts[1:] = stops[:-1] + 1
    return starts


def _separators(
    data: bytes, delimiter: int, inside: NDArray[np.bool_] | None
) -> tuple[NDArray[np.int32], NDArray[np.uint8], int]:
    """Positions of all delimiters and line ends outside quotes, and the code of the cell before.

    The third value is the number of line ends, those inside quotes included.
    """
    line = data[: data.find(b"\n")]
    dotted = b".0" in line
    quoted = line.count(b'"') >= PIXELS
    # Room for the worst case: memory pages that are not used cost nothing.
    all_ends = np.empty(len(data), np.int32)
    all_codes = np.empty(len(data), np.uint8)
    whole = np.frombuffer(data, np.uint8)
    count = start = line_ends = 0
    front = len(_FRONT)
    while start < len(data):
        stop = data.rfind(b"\n", start, start + SPAN) + 1 or data.find(b"\n", start) + 1
        if start >= front:
            b = whole[start - front : stop]
        else:
            b = np.frombuffer(_FRONT + data[start:stop], np.uint8)
        feed = b == 10
        line_ends += int(np.count_nonzero(feed[front:]))
        separator = b == delimiter
        separator |= feed
        codes = _span_codes(b, separator, dotted=dotted, quoted=quoted)
        separator = separator[front:]
        if inside is not None:
            separator &= ~inside[start:stop]
        ends = np.flatnonzero(separator)
        rest = count + len(ends)
        all_ends[count:rest] = ends
        all_ends[count:rest] += start
        all_codes[count:rest] = codes.take(ends)
        count, start = rest, stop
    return all_ends[:count], all_codes[:count], line_ends


def _span_codes(
    b: NDArray[np.uint8], separator: NDArray[np.bool_], *, dotted: bool, quoted: bool
) -> NDArray[np.uint8]:
    """For each byte after `_FRONT` the code of the cell that would end before it.

    dotted  read cells such as `5.0` too
    quoted  read cells such as `"5"` too
    """
    codes = _codes(b, separator)
    result = codes[3:]
    if dotted:
        # Where ".0" precedes a byte, the value of the cell is the one that ends before the dot.
        zero = b[5:-1] == 48
        zero &= b[4:-2] == 46
        result = _chosen(zero, codes[1:-2], result)
    if quoted:
        quote = b == 34
        opening = quote.copy()
        opening[1:] &= separator[:-1]
        result = _chosen(quote[5:-1], _codes(b, opening)[2:-1], result)
    return result


def _chosen(
    mask: NDArray[np.bool_], these: NDArray[np.uint8], others: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """`np.where(mask, these, others)`, several times faster on bytes."""
    differences = these ^ others
    differences &= np.negative(mask.view(np.uint8))
    differences ^= others
    return differences


def _codes(b: NDArray[np.uint8], edge: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """For each byte from the fourth on the value of the digits between it and the edge before it.

    One pass over all bytes costs less than a look at the bytes of each cell. One or two digits
    have a value; everything else is `NO_CODE`.
    """
    value = b - np.uint8(48)
    digit = value < 10
    valid = digit[1:-2] & edge[:-3]  # two digits, or
    valid |= edge[1:-2]  # one,
    valid &= digit[2:-1]  # which is the last
    code = value[1:-2] * np.uint8(10)
    code *= digit[1:-2].view(np.uint8)
    code += value[2:-1]
    code |= valid.view(np.uint8) - np.uint8(1)
    return code
