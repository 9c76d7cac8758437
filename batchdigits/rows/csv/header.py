"""The header of a CSV: the columns that it names, or the reason why it can't be a header.

Nothing is guessed. A file that its flags don't fit is refused before any row is read, and the
message names the flag that fits.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from batchdigits.errors import InternalError, UnusableInputError
from batchdigits.images import PIXELS
from batchdigits.rows.csv.advice import advise
from batchdigits.rows.csv.dialect import CHUNK
from batchdigits.rows.csv.layout import LINE_LIMIT, CsvLayout
from batchdigits.rows.csv.lines import LINE_END, next_line
from batchdigits.rows.csv.records import Quotes, Record, cells_of, read_line, read_spanning
from batchdigits.rows.csv.text import cell_text, decodable
from batchdigits.rows.csv.unnamed import check_unnamed
from batchdigits.rows.csv.values import NUMBER, acceptable, pixel_text
from batchdigits.rows.naming import other_images
from batchdigits.rows.options import WHITESPACE, ReadOptions, delimiter_byte
from batchdigits.rows.pixels import PixelColumns, find_pixels, select_passthrough

SAMPLED_LINES = 200
ROW_NAME = "row_name"
OTHER_ENCODINGS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)


@dataclass(frozen=True, slots=True)
class Header:
    """The beginning of a file: its layout, and the bytes that were read of its rows.

    `lines` is the number of lines that the header takes.
    """

    layout: CsvLayout
    ahead: bytes
    lines: int


def read_header(read: Callable[[int], bytes], options: ReadOptions, name: str) -> Header:
    """Read the header, or the first record of a file without a header, and lay out the columns.

    Raises UnusableInputError when the file is empty, is not UTF-8, its first line does not name 64
    pixels, or its first rows need other flags, which the message names; UsageError when flags don't
    fit it.
    """
    head = _read_head(read)
    try:
        header = _header(head, read, options, name)
    except UnusableInputError as error:
        advice = advise(head, options, _trial, sure=False)
        if advice is None or str(error).removeprefix(f"{name}: ") in advice:
            raise
        raise UnusableInputError(f"{name}: {advice}") from error
    if not _fit(header) and (advice := advise(head, options, _trial, sure=True)) is not None:
        raise UnusableInputError(f"{name}: {advice}")
    return header


def _read_head(read: Callable[[int], bytes]) -> bytes:
    """The first 64 KiB, or all that there is, without a byte order mark."""
    head = b""
    while len(head) < CHUNK and (more := read(CHUNK - len(head))):
        head += more
    return head.removeprefix(codecs.BOM_UTF8)


def _trial(head: bytes, options: ReadOptions) -> str | None:
    """The reason why a file that begins with `head` can't be read with these options, else None."""
    try:
        header = _header(head, lambda _size: b"", options, "")
    except UnusableInputError as error:
        return str(error).removeprefix(": ")
    return None if _fit(header) else ""


def _header(head: bytes, read: Callable[[int], bytes], options: ReadOptions, name: str) -> Header:
    delimiter = delimiter_byte(options.delimiter, name)
    buffer, record = _first_record(head, read, delimiter, name)
    line = buffer[: record.end]
    _check_text(line, name)
    if record.quotes is Quotes.CLOSED:
        cells = [cell_text(cell) for cell in cells_of(line, 0, len(line), delimiter)]
    else:
        cells = line.decode().split(delimiter.decode())
    if not options.header:
        return Header(_unnamed(buffer, cells, delimiter, options, name), buffer, 0)
    if record.quotes is Quotes.STRAY:
        raise UnusableInputError(
            f"{name}: a quote in its first line is not closed, expected a header; close it, or "
            "double it inside a quoted cell"
        )
    if options.pixels is None:
        _check_names(cells, name)
    pixels = find_pixels(cells, options.pixels, name)
    ahead = buffer[next_line(buffer, record.end) :]
    layout = _layout(tuple(cells), pixels, delimiter, options, name, header=line)
    return Header(_completed(layout, ahead, options, name), ahead, 1 + len(LINE_END.findall(line)))


def _completed(layout: CsvLayout, ahead: bytes, options: ReadOptions, name: str) -> CsvLayout:
    """The layout with the cell that a header of R, or of lines that end in a delimiter, lacks.

    If each of the first lines has one cell more than the header, and all last cells are empty, each
    line ends with a delimiter. If the first cells are all different, they are names of rows.
    """
    rows = _sampled(ahead, layout.delimiter)
    first = next(rows, None)
    if first is None or len(first) != layout.cells + 1:
        return layout
    sample = [first, *rows]
    if any(len(row) != layout.cells + 1 for row in sample):
        return layout
    if not any(pixel_text(row[-1], layout.blanks) for row in sample):
        return replace(layout, names=(*layout.names, ""), empty_end=True)
    if len({row[0] for row in sample}) < max(len(sample), 2):
        return layout
    row_name = ROW_NAME
    while row_name in layout.names:
        row_name += "_"
    names = (row_name, *layout.names)
    pixels = PixelColumns(tuple(layout.names[i] for i in layout.pixel_columns))
    named = _layout(names, pixels, layout.delimiter, options, name, header=layout.header)
    return named if any(acceptable(row, named) for row in sample) else layout


def _fit(header: Header) -> bool:
    """Return whether one of the first rows can be scored, or there is none."""
    layout, tried = header.layout, False
    all_text = decodable(header.ahead[: header.ahead.rfind(b"\n") + 1])
    for cells in _sampled(header.ahead, layout.delimiter):
        scorable = len(cells) == layout.cells and acceptable(cells, layout)
        if scorable and (all_text or all(map(decodable, cells))):
            return True
        tried = True
    return not tried


def _sampled(ahead: bytes, delimiter: bytes) -> Iterator[list[bytes]]:
    """The cells of the first lines that are records, of those that were read as a whole."""
    start = 0
    for end, _ in zip(LINE_END.finditer(ahead), range(SAMPLED_LINES), strict=False):
        stop = end.start()
        closed = read_line(ahead, start, stop, delimiter).quotes is Quotes.CLOSED
        if closed and ahead[start:stop].strip():
            yield cells_of(ahead, start, stop, delimiter)
        start = end.end()


def _unnamed(
    buffer: bytes, cells: list[str], delimiter: bytes, options: ReadOptions, name: str
) -> CsvLayout:
    """The layout of a file without a header: 64 pixels, then the columns that pass through."""
    count = len(cells)
    if count < PIXELS:
        raise UnusableInputError(
            f"{name}: {count} columns with the delimiter {delimiter.decode()!r}, expected {PIXELS} "
            f"or more: without a header the first {PIXELS} columns are the pixels; leave "
            "--no-header out, or check --delimiter"
        )
    names = tuple(f"column_{i + 1}" for i in range(count))
    pixels = PixelColumns(names[:PIXELS])
    if options.pixels is not None:
        pixels = find_pixels(names, options.pixels, name)
    layout = _layout(names, pixels, delimiter, options, name, header=None)
    if options.pixels is None and count > PIXELS:
        check_unnamed(_sampled(buffer, delimiter), layout, name)
    return layout


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
        decimal_comma=options.decimal == ",",
        one_line=options.delimiter == WHITESPACE,
        name=name,
    )
    cells = [column.encode() for column in names]
    return replace(layout, header_is_row=header is not None and acceptable(cells, layout))


def _first_record(
    head: bytes, read: Callable[[int], bytes], delimiter: bytes, name: str
) -> tuple[bytes, Record]:
    """The bytes read so far, and the record that they begin with."""
    ended = not head
    while not ended:
        record = _record(head, delimiter, name, ended=False)
        if record is not None:
            return head, record
        more = read(CHUNK)
        ended = not more
        head += more
    if not head:
        raise UnusableInputError(
            f"{name}: is empty, expected a header that names pixel_0 … pixel_63 and rows; give "
            "it a header line, or leave it out"
        )
    record = _record(head, delimiter, name, ended=True)
    if record is None:
        raise InternalError(f"{name}: its first record has no end; please report this")
    return head, record


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


def _check_names(cells: list[str], name: str) -> None:
    """Refuse a first line of numbers: it is data, unless it is a header 0 … 63 or 1 … 64."""
    numbers = sum(
        not cell.strip() or NUMBER.fullmatch(cell.strip().encode()) is not None for cell in cells
    )
    if numbers < PIXELS or _is_counted(cells):
        return
    if numbers == len(cells) and (images := other_images(len(cells))):
        raise UnusableInputError(f"{name}: its {len(cells)} columns {images}")
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


def _is_counted(cells: list[str]) -> bool:
    """Return whether the cells hold each of 0 … 63 or 1 … 64 exactly once."""
    return any(all(cells.count(str(first + i)) == 1 for i in range(PIXELS)) for first in (0, 1))
