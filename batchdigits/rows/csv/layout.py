"""The layout of a CSV file, known after its header was read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LINE_LIMIT = 1 << 20  # bytes; a longer line is rejected as `line-too-long`
RECORD_LIMIT = 1 << 16  # bytes within which the quotes of a record that spans lines must close

_COMMA_AS_POINT = bytes.maketrans(b",.", b".,")  # both ways: a point is no decimal sign then


@dataclass(frozen=True, slots=True)
class CsvLayout:
    """The rules by which the lines of one file are read.

    delimiter      one byte
    names          the names of the columns, one a cell
    pixel_columns  positions of the 64 pixel columns, in pixel order
    text_columns   positions of the pass-through columns, in the order they are written
    darkest        the largest value that a pixel may have
    scale          None, or the maximum that pixels are scaled by
    header         the bytes of the header without its line end; None for a file without a header
    header_is_row  whether a copy of the header would be a valid row of pixels (0 … 63, scaled)
    decimal_comma  whether the decimal sign of the pixels is a comma instead of a point
    one_line       whether no record spans lines
    empty_end      whether each line ends with a delimiter that the header lacks: the last of the
                   names is not a column, and its cells must be empty
    name           the file in messages
    """

    delimiter: bytes
    names: tuple[str, ...]
    pixel_columns: tuple[int, ...]
    text_columns: tuple[int, ...]
    darkest: float
    scale: float | None
    header: bytes | None
    header_is_row: bool = False
    decimal_comma: bool = False
    one_line: bool = False
    empty_end: bool = False
    name: str = ""

    @property
    def cells(self) -> int:
        return len(self.names)

    @property
    def blanks(self) -> bytes:
        """The bytes that are ignored around a number: space and tab, unless they delimit."""
        return b" \t".replace(self.delimiter, b"")

    def numeric(self, text: bytes) -> bytes:
        """The text in which numbers are read, of the same length: with decimal points."""
        return text.translate(_COMMA_AS_POINT) if self.decimal_comma else text

    def pixels_of(self, codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The pixel columns of a grid, in pixel order: of shape (n, cells) those of (n, 64).

        They are columns in memory, as those of Parquet are: so rows are judged fastest.
        """
        first = self.pixel_columns[0]
        if self.pixel_columns == tuple(range(first, first + len(self.pixel_columns))):
            return np.asfortranarray(codes[:, first : first + len(self.pixel_columns)])
        return codes.T.take(self.pixel_columns, axis=0).T
