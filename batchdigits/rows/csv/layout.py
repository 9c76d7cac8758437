"""What is known of a CSV file once its header was read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from batchdigits.rows.rejects import REASONS

LINE_LIMIT = 1 << 20
"""Bytes of the longest line that is read; longer ones are rejected as `line-too-long`."""

RECORD_LIMIT = 1 << 16
"""Bytes within which the quotes of a record that spans lines must close."""

REASON_RANK = {reason: rank for rank, reason in enumerate(REASONS, start=1)}
"""Reasons by number: of several faults the one with the lowest number is told."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How the lines of one file are to be read.

    delimiter      one byte
    names          the columns' names, one a cell
    pixel_columns  positions of the 64 pixel columns, in pixel order
    text_columns   positions of the columns to pass through, in the order they are written
    darkest        the largest value of a pixel
    scale          None, or the maximum to scale by
    header         the header's bytes without its line end; None for a file without one
    header_is_row  whether the header, met again, would pass for a row of pixels (0 … 63, scaled)
    """

    delimiter: bytes
    names: tuple[str, ...]
    pixel_columns: tuple[int, ...]
    text_columns: tuple[int, ...]
    darkest: float
    scale: float | None
    header: bytes | None
    header_is_row: bool = False

    @property
    def cells(self) -> int:
        """How many cells a record has."""
        return len(self.names)

    @property
    def blanks(self) -> bytes:
        """Bytes that mean nothing around a number: space and tab, where they don't delimit."""
        return b" \t".replace(self.delimiter, b"")

    def pixels_of(self, codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The columns of a grid (n, cells) that are pixels, in pixel order: (n, 64)."""
        first = self.pixel_columns[0]
        if self.pixel_columns == tuple(range(first, first + len(self.pixel_columns))):
            return np.ascontiguousarray(codes[:, first : first + len(self.pixel_columns)])
        return codes.take(self.pixel_columns, axis=1)
