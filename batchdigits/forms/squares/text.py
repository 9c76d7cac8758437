"""Square pictures from a CSV: each line is a row, and no cell spans lines."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np
import pyarrow as pa

from batchdigits.errors import UnusableInputError
from batchdigits.files.streams import InputStream
from batchdigits.forms.squares.block import (
    Refusal,
    SquareBlock,
    SquareOptions,
    block_of,
    rows_at_a_time,
)
from batchdigits.forms.squares.columns import SquareColumns, find_squares, side_of
from batchdigits.rows.csv.advice import DELIMITERS, typed
from batchdigits.rows.csv.values import MISSING, judge_pixel
from batchdigits.rows.options import WHITESPACE

_CHUNK = 1 << 20
_LONGEST = 1 << 20  # bytes of a line


class SquareText:
    """The squares of a CSV. The constructor reads its header, and `blocks()` its rows, once.

    Raises UnusableInputError where the file is unusable as a whole.
    """

    def __init__(self, stream: InputStream, options: SquareOptions, name: str) -> None:
        self._name, self._options = name, options
        self._lines = _lines(stream)
        self._ahead: list[bytes] = []
        first = next(self._lines, b"").removeprefix(codecs.BOM_UTF8)
        self._first_line = first
        if not options.header:
            self._ahead.append(first)
        try:
            self.columns, names = _laid_out(first, options, name)
        except UnusableInputError:
            _refuse_delimiter(first, options, name)
            raise
        self._names = names
        self._places = [names.index(column) for column in self.columns.names]
        pixels = set(self._places)
        self._others = [i for i in range(len(names)) if i not in pixels]
        self.others = pa.schema([(names[i], pa.string()) for i in self._others])

    def blocks(self) -> Iterator[SquareBlock]:
        rows = _Rows(self.others)
        most = rows_at_a_time(len(self._places))
        number, blank = 0, []
        for line in self._all_lines():
            number += 1
            if not line.strip():
                blank.append((number, "blank-line", "the line is empty"))
                continue
            rows.rejects += blank  # blank lines after the last row are none
            blank = []
            self._add(rows, number, line)
            if len(rows.numbers) + len(rows.rejects) >= most:
                yield self._block(rows)
                rows = _Rows(self.others)
        if rows.numbers or rows.rejects:
            yield self._block(rows)

    def _all_lines(self) -> Iterator[bytes]:
        yield from self._ahead
        yield from self._lines

    def _add(self, rows: _Rows, number: int, line: bytes) -> None:
        """Add a line's square, or the reason why it has none."""
        if self._options.header and line == self._first_line:
            rows.rejects.append((number, "repeated-header", "the line is the header once more"))
            return
        cells = _cells(line, self._options.delimiter)
        if cells is None:
            reason = "line-too-long" if len(line) >= _LONGEST else "bad-encoding"
            rows.rejects.append((number, reason, "the line can't be read as cells of a CSV"))
            return
        if len(cells) != len(self._names):
            reason = "too-few-cells" if len(cells) < len(self._names) else "too-many-cells"
            detail = f"{len(cells)} cells, expected {len(self._names)}"
            rows.rejects.append((number, reason, detail))
            return
        pixels = [cells[i] for i in self._places]
        try:
            values = np.array(pixels, np.float64)
        except ValueError:
            values = None
        # NumPy takes 1_0 and full-width digits for numbers; predict does not.
        if values is None or not line.isascii() or b"_" in line:
            judged = _judged(pixels)
            if isinstance(judged, tuple):
                rows.rejects.append((number, *judged))
                return
            values = judged
        rows.numbers.append(number)
        rows.values.append(values)
        for column, place in zip(rows.others, self._others, strict=True):
            column.append(cells[place])

    def _block(self, rows: _Rows) -> SquareBlock:
        pixels = len(self._places)
        values = np.array(rows.values, np.float64).reshape(-1, pixels)
        others = pa.RecordBatch.from_arrays(
            [pa.array(column, pa.string()) for column in rows.others], schema=self.others
        )
        numbers = np.array(rows.numbers, np.int64)
        return block_of(values, numbers, others, rows.rejects, self._options.scale or 255)


@dataclass(slots=True)
class _Rows:
    """The rows of a block as they are read."""

    schema: pa.Schema
    numbers: list[int] = field(default_factory=list)
    values: list[np.ndarray] = field(default_factory=list)
    others: list[list[str]] = field(init=False)
    rejects: list[Refusal] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.others = [[] for _ in self.schema.names]


def _cells(line: bytes, delimiter: str) -> list[str] | None:
    """Return the cells of a line, None if it has none that can be read."""
    if len(line) >= _LONGEST or b"\0" in line:
        return None
    try:
        text = line.decode()
        if delimiter in (" ", WHITESPACE):
            return text.split()
        if '"' not in text:
            return text.split(delimiter)
        (cells,) = csv.reader([text], delimiter=delimiter, strict=True)
    except (UnicodeDecodeError, csv.Error):
        return None
    return cells


def _laid_out(line: bytes, options: SquareOptions, name: str) -> tuple[SquareColumns, list[str]]:
    """Return the pixel columns and the names of all columns, from the first line of a file."""
    cells = _cells(line, options.delimiter)
    if not line.strip() or cells is None:
        raise UnusableInputError(
            f"{name}: its first line is blank or no UTF-8 text, expected a CSV"
        )
    if not options.header:
        return _unnamed(len(cells), options.pixels, name)
    _refuse_data(cells, name)
    return find_squares(cells, (), options.pixels, name), cells


def _refuse_delimiter(line: bytes, options: SquareOptions, name: str) -> None:
    """Raise UnusableInputError if the first line holds squares with another delimiter."""
    headers = (True, False) if options.header else (False,)
    for delimiter, header in product(DELIMITERS, headers):
        cells = _cells(line, delimiter)
        is_data = cells is not None and isinstance(_judged(cells), np.ndarray)
        if delimiter == options.delimiter or not (header or is_data):
            continue
        try:
            _laid_out(line, replace(options, delimiter=delimiter, header=header), name)
        except UnusableInputError:
            continue
        sign, also = typed(delimiter), "" if header == options.header else " --no-header"
        raise UnusableInputError(
            f"{name}: the delimiter looks like {sign}: use --delimiter {sign}{also}"
        )


def _judged(cells: Sequence[str]) -> np.ndarray | tuple[str, str]:
    """Return the values of cells; of the first that is no number, the reason and the detail."""
    values = []
    for place, cell in enumerate(cells):
        text = cell.strip(" \t").encode()
        value, reason = judge_pixel(text, float("inf"))
        if reason is not None:
            if text.lower() in MISSING:
                reason = "missing"
            return reason, f"pixel {place + 1} is {cell!r}"
        values.append(value)
    return np.array(values)


def _refuse_data(cells: Sequence[str], name: str) -> None:
    """Refuse a first line of numbers of which some are equal: it is data, for names are not."""
    if len(set(cells)) < len(cells) and isinstance(_judged(cells), np.ndarray):
        raise UnusableInputError(
            f"{name}: its first line is all numbers, expected a header; if the file has none, use "
            "--no-header"
        )


def _unnamed(count: int, spec: str | None, name: str) -> tuple[SquareColumns, list[str]]:
    """Find the pixels without a header: all columns, all but the first, or all but the last ten.

    The first is a label in MNIST's files; the last ten are one for each digit in Semeion's.
    """
    names = [f"column_{i + 1}" for i in range(count)]
    if spec is not None:
        return find_squares(names, (), spec, name), names
    for before, after in ((0, 0), (1, 0), (0, 10)):
        if side_of(count - before - after) is not None:
            spec = f"column_{{{before + 1}..{count - after}}}"
            return find_squares(names, (), spec, name), names
    raise UnusableInputError(
        f"{name}: {count} columns, expected as many as a square has pixels, or one before them, or "
        "ten behind; add a header, or name the pixels with --pixels 'column_{1..784}'"
    )


def _lines(stream: InputStream) -> Iterator[bytes]:
    """Yield the lines of a stream without their ends; CR, LF and CR LF end a line."""
    rest = b""
    while data := stream.read(_CHUNK):
        if data.endswith(b"\r"):
            data += stream.read(1)
        parts = (rest + data).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        rest = parts.pop()
        yield from parts
        if len(rest) > _LONGEST:
            rest = rest[:_LONGEST]
    if rest:
        yield rest
