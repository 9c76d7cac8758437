"""A block of square pictures: checked values, row numbers, other columns, and rejects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from batchdigits.errors import UnusableInputError, UsageError
from batchdigits.forms.cell import Grey
from batchdigits.rows.arrow import take
from batchdigits.rows.options import LARGEST_SCALE, LEAST_SCALE, delimiter_byte

AT_A_TIME = 256
"""Squares of a block, at most; and of the first rows of a file, which tell whether it is faint."""

BLOCK_BYTES = 32 << 20
"""Bytes of the values of a block, as float64; a block of larger squares has fewer of them."""

MOST_PIXELS = 4096**2
"""Pixels of a square."""

_FAINT = 0.5  # of the scale: the darkest pixel of many squares is darker

Refusal = tuple[int, str, str]
"""The number of a row that is a reject, counted from 1, the reason, and the detail."""


@dataclass(frozen=True, slots=True)
class SquareBlock:
    """Squares of one file.

    pictures  uint8 (n, side, side), 0..255
    rows      int64 (n,): their row numbers in the file, from 1
    others    the other columns, n rows
    rejects   rows that hold no square
    """

    pictures: Grey
    rows: NDArray[np.int64]
    others: pa.RecordBatch
    rejects: Sequence[Refusal] = ()

    @property
    def in_all(self) -> int:
        return len(self.rows) + len(self.rejects)


@dataclass(frozen=True, slots=True)
class SquareOptions:
    """The options of reading squares.

    pixels     the pixel columns: 'PREFIX{0..783}', or one list column; None finds them by name
    header     False for a CSV that begins with data
    delimiter  one character (CSV)
    scale      the largest value that a pixel can have; None stands for 255, for 1 in a bool array
    """

    pixels: str | None = None
    header: bool = True
    delimiter: str = ","
    scale: float | None = None

    def checked(self) -> Self:
        """Return the same options. Raises UsageError for values that fit no file."""
        delimiter_byte(self.delimiter, "--delimiter")
        if self.scale is not None and not LEAST_SCALE <= self.scale <= LARGEST_SCALE:
            raise UsageError(f"--scale {self.scale}: expected the largest pixel value, such as 255")
        return self

    def facts(self) -> dict[str, Any]:
        return asdict(self)


def rows_at_a_time(pixels: int) -> int:
    """Return the number of squares in a block, each with this number of pixels."""
    return max(1, min(AT_A_TIME, BLOCK_BYTES // (8 * pixels)))


def block_of(
    values: NDArray[Any],
    rows: NDArray[np.int64],
    others: pa.RecordBatch,
    rejects: Sequence[Refusal],
    scale: float,
) -> SquareBlock:
    """Check the values (n, side * side) of rows; those that no pixel can have make rejects."""
    with np.errstate(invalid="ignore"):
        finite = np.isfinite(values)
        within = (values >= 0) & (values <= scale)
    good = (finite & within).all(axis=1)
    found = list(rejects)
    for i in np.flatnonzero(~good).tolist():
        place = int(np.argmin(finite[i] & within[i]))
        value = values[i, place]
        reason = "out-of-range" if finite[i, place] else "not-finite"
        found.append((int(rows[i]), reason, f"pixel {place + 1} is {value:g}, of 0..{scale:g}"))
    side = round(values.shape[1] ** 0.5)
    pictures = np.round(values[good] * (255 / scale)).astype(np.uint8).reshape(-1, side, side)
    return SquareBlock(pictures, rows[good], take(others, np.flatnonzero(good)), sorted(found))


def without_faint(blocks: Iterable[SquareBlock], where: str) -> Iterator[SquareBlock]:
    """Yield the blocks of a file; raise UnusableInputError if its pixels can't be of 0..255.

    The first rows tell. Rows that are scaled to 0..1 would all be blank.
    """
    rows = good = most = 0
    for block in blocks:
        if rows < AT_A_TIME:
            rows += block.in_all
            good += len(block.rows)
            most = max(most, int(block.pictures.max(initial=0)))
            if rows >= AT_A_TIME:
                _refuse_faint(good, most, where)
        yield block
    _refuse_faint(good, most, where)


def _refuse_faint(rows: int, most: int, where: str) -> None:
    if rows and most < _FAINT * 255:
        raise UnusableInputError(
            f"{where}: no pixel of its first {rows} rows is above {most}, expected "
            "pixels of 0..255; give the largest possible value with --scale, such as --scale 1"
        )
