"""The header of a CSV: the columns that it names, or the reason why it can't be a header.

Nothing is guessed. A file that its flags don't fit is refused before any row is read, and the
message names the flag that fits.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from batchdigits.errors import UnusableInputError
from batchdigits.images import PIXELS
from batchdigits.rows.csv.layout import LINE_LIMIT, CsvLayout
from batchdigits.rows.csv.lines import LINE_END, next_line
from batchdigits.rows.csv.records import Quotes, Record, cells_of, read_line, read_spanning
from batchdigits.rows.csv.values import acceptable
from batchdigits.rows.options import ReadOptions, delimiter_byte
from batchdigits.rows.pixels import PixelColumns, find_pixels, select_passthrough

CHUNK = 1 << 16
NUMERIC = re.compile(r"\s*([+-]?\d+(\.\d*)?([eE][+-]?\d+)?)?\s*")
# Those that a refusal can suggest, as they are typed after `--delimiter`.
DELIMITERS = {b",": "','", b";": "';'", b"\t": "'\\t'", b"|": "'|'", b" ": "' '"}
OTHER_ENCODINGS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)


@dataclass(frozen=True, slots=True)
class Header:
    """The beginning of a file: its layout, and the bytes that were read of its rows."""

    layout: CsvLayout
    ahead: bytes
    first_line: int  # the 1-based number of the line that `ahead` begins with


def read_header(read: Callable[[int], bytes], options: ReadOptions, name: str) -> Header:
    """Read the header, or the first record of a file without a header, and lay out the columns.

    Raises UnusableInputError when the file is empty, is not UTF-8, or its first line does not name
    64 pixels; UsageError when flags don't fit it.
    """
    delimiter = delimiter_byte(options.delimiter, name)
    buffer, record = _first_record(read, delimiter, name)
    line = buffer[: record.end]
    _check_text(line, name)
    if record.quotes is Quotes.CLOSED:
        cells = [_cell(cell) for cell in cells_of(line, 0, len(line), delimiter)]
    else:
        cells = line.decode().split(delimiter.decode())
    _check_count(line, len(cells), delimiter, name)
    if not options.header:
        return Header(_unnamed(len(cells), delimiter, options, name), buffer, 1)
    if record.quotes is Quotes.STRAY:
        raise UnusableInputError(
            f"{name}: a quote in its first line is not closed, expected a header; close it, or "
            "double it inside a quoted cell"
        )
    if options.pixels is None:
        _check_names(cells, name)
    pixels = find_pixels(cells, options.pixels, name)
    layout = _layout(tuple(cells), pixels, delimiter, options, name, header=line)
    ahead = buffer[next_line(buffer, record.end) :]
    return Header(layout, ahead, 2 + len(LINE_END.findall(line)))


def _unnamed(count: int, delimiter: bytes, options: ReadOptions, name: str) -> CsvLayout:
    """The layout of a file without a header: 64 pixels, then the columns that pass through."""
    if count < PIXELS:
        raise UnusableInputError(
            f"{name}: {count} columns, expected {PIXELS} or more: without a header the first "
            f"{PIXELS} columns are the pixels; leave --no-header out, or check --delimiter"
        )
    names = tuple(f"column_{i + 1}" for i in range(count))
    pixels = PixelColumns(names[:PIXELS])
    if options.pixels is not None:
        pixels = find_pixels(names, options.pixels, name)
    return _layout(names, pixels, delimiter, options, name, header=None)


def _layout(
    names: tuple[str, ...],
    pixels: PixelColumns,
    delimiter: bytes,
    options: ReadOptions,
    name: str,
    *,
    header: bytes | None,
) -> CsvLayout:
    if pixels.is_list:
        raise UnusableInputError(
            f"{name}: the one column {pixels.names[0]!r} can't hold the pixels, since a CSV has no "
            "list columns; write 64 columns pixel_0 … pixel_63, or Parquet"
        )
    position = {column: i for i, column in enumerate(names)}
    layout = CsvLayout(
        delimiter=delimiter,
        names=names,
        pixel_columns=tuple(position[column] for column in pixels.names),
        text_columns=tuple(select_passthrough(names, pixels, options.select, name)),
        darkest=options.darkest,
        scale=options.scale,
        header=header,
    )
    cells = [column.encode() for column in names]
    return replace(layout, header_is_row=header is not None and acceptable(cells, layout))


def _first_record(
    read: Callable[[int], bytes], delimiter: bytes, name: str
) -> tuple[bytes, Record]:
    """The bytes read so far, without a byte order mark, and the record that they begin with."""
    buffer = b""
    ended = False
    while True:
        part = read(CHUNK)
        ended = not part
        buffer += part
        if len(buffer) <= len(codecs.BOM_UTF8) and not ended:
            continue
        text = buffer.removeprefix(codecs.BOM_UTF8)
        if not text:
            raise UnusableInputError(
                f"{name}: is empty, expected a header that names pixel_0 … pixel_63 and rows; give "
                "it a header line, or leave it out"
            )
        record = _record(text, delimiter, name, ended=ended)
        if record is not None:
            return text, record


def _record(text: bytes, delimiter: bytes, name: str, *, ended: bool) -> Record | None:
    """The first record of a text; None if more bytes are needed to decide.

    STRAY: its quotes don't close, and its end is that of the first line.
    """
    stop = len(text) if ended else len(text) - text.endswith(b"\r")
    match = LINE_END.search(text, 0, stop)
    if match is None and not ended and stop <= LINE_LIMIT:
        return None
    end = match.start() if match else stop
    if end > LINE_LIMIT:
        raise UnusableInputError(
            f"{name}: its first line is longer than 1 MiB, expected a CSV with one line a row; "
            "check its format and its line ends"
        )
    line = read_line(text, 0, end, delimiter)
    if line.quotes is Quotes.CLOSED:
        return line
    if line.quotes is Quotes.OPEN:
        whole = read_spanning(text + b"\n" * ended, line.end, stop + ended, delimiter)
        if whole.quotes is Quotes.CLOSED:
            return whole
        if whole.quotes is Quotes.UNDECIDED and not ended:
            return None
    return Record(Quotes.STRAY, end)


def _cell(cell: bytes) -> str:
    if cell[:1] == cell[-1:] == b'"' and len(cell) >= 2:
        cell = cell[1:-1].replace(b'""', b'"')
    return cell.decode()


def _check_text(line: bytes, name: str) -> None:
    if line.startswith(OTHER_ENCODINGS) or b"\0" in line:
        raise UnusableInputError(
            f"{name}: its first line is not UTF-8 text (it looks like UTF-16 or a binary file); "
            "save it as UTF-8 CSV"
        )
    try:
        line.decode()
    except UnicodeDecodeError as error:
        raise UnusableInputError(
            f"{name}: its first line is not UTF-8 (byte 0x{line[error.start]:02x} at position "
            f"{error.start}); save it as UTF-8 CSV"
        ) from error
    if not line.strip():
        raise UnusableInputError(
            f"{name}: its first line is blank, expected a header; remove the blank lines before it"
        )


def _check_count(line: bytes, count: int, delimiter: bytes, name: str) -> None:
    """Refuse a first line with too few cells where another delimiter would give enough."""
    if count >= PIXELS:
        return
    for other, typed in DELIMITERS.items():
        if other != delimiter and line.count(other) >= PIXELS - 1:
            raise UnusableInputError(
                f"{name}: {count} columns with the delimiter {delimiter.decode()!r}, "
                f"expected {PIXELS} or more; the delimiter looks like {typed}: "
                f"use --delimiter {typed}"
            )


def _check_names(cells: list[str], name: str) -> None:
    """Refuse a first line of numbers: it is data, unless it is pandas' default header 0 … 63."""
    numbers = sum(map(bool, map(NUMERIC.fullmatch, cells)))
    counts = [cells.count(str(i)) for i in range(PIXELS)]
    if counts == [1] * PIXELS or numbers < PIXELS:
        return
    if numbers == len(cells):
        raise UnusableInputError(
            f"{name}: its first line is all numbers, expected a header; if the file begins with "
            "data whose first 64 columns are the pixels, use --no-header"
        )
    raise UnusableInputError(
        f"{name}: {numbers} of the {len(cells)} cells of its first line are numbers, expected "
        "a header; add one that names pixel_0 … pixel_63 (--no-header is for files whose first 64 "
        "columns are the pixels)"
    )
