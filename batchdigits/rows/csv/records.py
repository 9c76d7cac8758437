"""The exact rules of a record: quotes, records that span lines, and stray quotes.

Most lines need none of this: a line without quotes is a record, and so is one whose quotes are all
in their places. This module decides the other lines one by one, and rewrites them in the regular
form that the tokenizer reads: literal quotes doubled inside a quoted cell, a stray line emptied.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache

import numpy as np
from numpy.typing import NDArray

from batchdigits.errors import UnusableInputError
from batchdigits.rows.csv.cells import SPAN, inside_quotes
from batchdigits.rows.csv.layout import RECORD_LIMIT, CsvLayout
from batchdigits.rows.csv.lines import lines_between, next_line
from batchdigits.rows.csv.values import acceptable

QUOTE_OR_LINE_END = re.compile(rb'["\r\n]')
MOST_READINGS = 80  # how often the bytes of a block may be read in vain behind open quotes
QUOTED = re.compile(rb'"(?:[^"]++|"")*+"')


class Quotes(Enum):
    """The state of the quotes at the end of a line that is read alone, or of a record."""

    CLOSED = "closed"
    STRAY = "a quote is not closed by the rules of CSV"
    OPEN = "inside a quote"
    UNDECIDED = "more bytes are needed to decide"


@dataclass(frozen=True, slots=True)
class Record:
    """A line or a record; `end` is the position of its line end, or of its open quote."""

    quotes: Quotes
    end: int


@dataclass(frozen=True, slots=True)
class Special:
    """A record of the rewritten text that was not a plain line of the file.

    start  its position in the rewritten text
    raw    its bytes in the file
    lines  the number of its lines in the file
    stray  whether a quote is not closed by the rules of CSV; the rewritten line is empty then
    """

    start: int
    raw: bytes
    lines: int
    stray: bool


@dataclass(frozen=True, slots=True)
class RegularText:
    """Whole records in regular form: LF at their ends, quotes only around whole cells.

    `inside` is a mask of the bytes inside quotes, None where there are no quotes.
    """

    data: bytes
    inside: NDArray[np.bool_] | None
    specials: tuple[Special, ...] = ()


@cache
def _well_formed(delimiter: bytes) -> re.Pattern[bytes]:
    """Text up to a line end outside quotes, or up to a quote that opens a cell and is stray.

    A quote opens a cell only at its start; elsewhere in an unquoted cell a quote is a letter.
    """
    edges = rb"\r\n" + re.escape(delimiter)
    quoted = rb"(?:\A|(?<=[" + edges + rb']))"(?:[^"]++|"")*+"(?=[' + edges + rb"]|\Z)"
    letter = rb"(?<=[^" + edges + rb'])"'
    return re.compile(rb'(?:[^"\r\n]++|' + quoted + rb"|" + letter + rb")*+")


def read_line(data: bytes, start: int, stop: int, delimiter: bytes) -> Record:
    """Read the line data[start:stop], which holds no line end, alone."""
    end = _reach(data, start, stop, delimiter)
    if end == stop:
        return Record(Quotes.CLOSED, end)
    return Record(Quotes.STRAY if QUOTED.match(data, end, stop) else Quotes.OPEN, end)


def read_spanning(data: bytes, quote: int, stop: int, delimiter: bytes) -> Record:
    """Read the record whose first line leaves the quote at `quote` open to its end.

    No byte from `stop` on is read. STRAY when not all quotes are closed by the rules of CSV and
    within `RECORD_LIMIT`.
    """
    far = min(stop, quote + RECORD_LIMIT + 2)
    end = _reach(data, quote, far, delimiter)
    if end < far and data[end] == 34:
        decided = far < stop or QUOTED.match(data, end, far)
        return Record(Quotes.STRAY if decided else Quotes.UNDECIDED, end)
    if end == far < stop:  # after the limit the rest of the last line must have no quotes
        rest = QUOTE_OR_LINE_END.search(data, end - 1, stop)
        if rest and rest.group() == b'"':
            return Record(Quotes.STRAY, end)
        end = rest.start() if rest else stop
    return Record(Quotes.UNDECIDED if end == stop else Quotes.CLOSED, end)


def _reach(data: bytes, start: int, stop: int, delimiter: bytes) -> int:
    match = _well_formed(delimiter).match(data, start, stop)
    return match.end() if match else start


def spanning_record(
    data: bytes, first: tuple[int, int], quote: int, stop: int, layout: CsvLayout
) -> Record:
    """Read the record whose first line, data[first[0]:first[1]], leaves `quote` open.

    CLOSED if it is a record: its quotes close within `RECORD_LIMIT`, it has exactly the header's
    cells, and no line inside it is by itself a complete valid row. The line that closes it is text
    up to the closing quote. It counts as such a row only if the first line, its open quote read as
    a letter, is complete as well: otherwise the first column could not hold text of several lines.
    """
    start, first_end = first
    far = min(stop, quote + RECORD_LIMIT)
    more = _more_cells(layout.delimiter, layout.cells).match(data, start, far)
    if layout.one_line or more:
        return Record(Quotes.STRAY, more.end() if more else first_end)
    record = read_spanning(data, quote, stop, layout.delimiter)
    if record.quotes is not Quotes.CLOSED:
        return record
    stray = Record(Quotes.STRAY, record.end)
    if _cell_count(data, start, record.end, layout.delimiter) != layout.cells:
        return stray
    inner = lines_between(data, next_line(data, first_end), record.end)
    if any(_complete(data, *line, layout) for line in inner[:-1]):
        return stray
    last = inner[-1]
    is_text = not _complete(data, *last, layout) or (
        _has_letters(data, *last, layout.delimiter)
        and not _complete_as_letter(data, start, first_end, quote, layout)
    )
    return record if is_text else stray


class Effort:
    """The bytes that may be read in vain behind open quotes, for each block that is cut or read.

    Every line may leave a quote open, and each of these is read on for up to `RECORD_LIMIT` bytes.
    """

    def __init__(self, size: int, name: str) -> None:
        self._left = MOST_READINGS * size + 16 * RECORD_LIMIT
        self._name = name

    def spend(self, size: int) -> None:
        """Take some bytes. Raises UnusableInputError if there are none left."""
        self._left -= size
        if self._left < 0:
            raise UnusableInputError(
                f"{self._name}: too many of its lines leave a quote open to read it as a CSV; "
                'write a quote inside a cell twice, in quotes: "say ""no"""'
            )


@cache
def _more_cells(delimiter: bytes, cells: int) -> re.Pattern[bytes]:
    """The beginning of a record that has more than `cells` cells."""
    quoted = rb'"(?:[^"]++|"")*+"'
    plain = rb'[^"\r\n' + re.escape(delimiter) + rb"][^\r\n" + re.escape(delimiter) + rb"]*+"
    return re.compile(
        rb"(?:(?:" + quoted + rb"|" + plain + rb"|)" + re.escape(delimiter) + rb"){%d}+" % cells
    )


def cells_of(data: bytes, start: int, stop: int, delimiter: bytes) -> list[bytes]:
    """The cells of a closed record, unchanged, quotes included."""
    cells: list[bytes] = []
    for begin, end in _quoted_cells(data, start, stop, delimiter):
        cells += data[start:begin].split(delimiter)[:-1]
        cells.append(data[begin:end])
        start = end + 1
    return cells + data[start:stop].split(delimiter) if start <= stop else cells


def _quoted_cells(
    data: bytes, start: int, stop: int, delimiter: bytes
) -> Iterator[tuple[int, int]]:
    at = start
    while (quote := data.find(b'"', at, stop)) >= 0:
        at = quote + 1
        if quote == start or data[quote - 1 : quote] == delimiter:
            match = QUOTED.match(data, quote, stop)
            if match:
                yield match.span()
                at = match.end()


def _cell_count(data: bytes, start: int, stop: int, delimiter: bytes) -> int:
    quoted = sum(
        data.count(delimiter, *span) for span in _quoted_cells(data, start, stop, delimiter)
    )
    return data.count(delimiter, start, stop) - quoted + 1


def _has_letters(data: bytes, start: int, stop: int, delimiter: bytes) -> bool:
    """Return whether a closed record has quotes that are letters of unquoted cells."""
    enclosing = sum(data.count(b'"', *span) for span in _quoted_cells(data, start, stop, delimiter))
    return data.count(b'"', start, stop) > enclosing


def _complete(data: bytes, start: int, stop: int, layout: CsvLayout) -> bool:
    """Return whether a line alone has the header's number of cells and 64 pixels."""
    if data.count(layout.delimiter, start, stop) < layout.cells - 1:
        return False
    if read_line(data, start, stop, layout.delimiter).quotes is not Quotes.CLOSED:
        return False
    cells = cells_of(data, start, stop, layout.delimiter)
    return len(cells) == layout.cells and acceptable(cells, layout)


def _complete_as_letter(data: bytes, start: int, stop: int, quote: int, layout: CsvLayout) -> bool:
    """Return whether a line is a valid row if the quote that it leaves open is a letter."""
    cells = cells_of(data, start, quote, layout.delimiter)[:-1]
    cells += data[quote:stop].split(layout.delimiter)
    return len(cells) == layout.cells and acceptable(cells, layout)


def regular_text(data: bytes, layout: CsvLayout) -> RegularText:
    """Rewrite whole records, the last with its line end, in the form that the tokenizer reads."""
    text = _with_line_feeds(data)
    if b'"' not in text:
        return RegularText(text, None)
    b = np.frombuffer(text, np.uint8)
    inside = inside_quotes(b)
    if _all_regular(b, inside, layout.delimiter[0]):
        return RegularText(text, inside)
    return _rewritten(data, layout)


def surely_closed(lines: bytes, delimiter: bytes) -> bool:
    """Return True only if each of the lines, read alone, is closed: a look at all of them at once.

    `lines` are whole lines, the last with its line end.
    """
    b = np.frombuffer(_with_line_feeds(lines), np.uint8)
    return _all_regular(b, inside_quotes(b), delimiter[0])


def _with_line_feeds(data: bytes) -> bytes:
    if b"\r" not in data:
        return data
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _all_regular(b: NDArray[np.uint8], inside: NDArray[np.bool_], delimiter: int) -> bool:
    """Return whether every quote is in its place, and none is open at a line end.

    An opening quote follows a delimiter or line end, a closing one precedes one. A doubled quote
    inside a cell is a closing and an opening one side by side.
    """
    # With the bytes on both sides of a span, which are looked at with their own spans.
    spans = (slice(max(at - 1, 0), at + SPAN + 1) for at in range(0, len(b), SPAN))
    return all(_span_is_regular(b[span], inside[span], delimiter) for span in spans)


def _span_is_regular(b: NDArray[np.uint8], inside: NDArray[np.bool_], delimiter: int) -> bool:
    quote = b == 34
    feed = b == 10
    if (feed & inside).any():
        return False
    edge = feed
    edge |= quote
    edge |= b == delimiter
    opening = quote & inside
    opening[1:] &= ~edge[:-1]
    opening[0] = False
    closing = quote & ~inside
    closing[:-1] &= ~edge[1:]
    closing[-1] = False
    return not (opening.any() or closing.any())


def _irregular_lines(data: bytes, delimiter: bytes) -> list[tuple[int, int]]:
    """Lines, as (start, end) pairs, with a quote out of place or open at the line's end."""
    b = np.frombuffer(data, np.uint8)
    is_end = b == 10
    if b"\r" in data:
        is_end |= b == 13  # CR LF counts twice: the empty line between has no quotes
    ends = np.flatnonzero(is_end)
    quotes = np.flatnonzero(b == 34)
    line = np.searchsorted(ends, quotes)
    new = np.diff(line, prepend=-1) != 0
    first = np.maximum.accumulate(np.where(new, np.arange(len(quotes)), 0))
    closing = (np.arange(len(quotes)) - first) % 2 == 1
    last = np.append(new[1:], True)
    edge = np.zeros(256, np.bool_)
    edge[[10, 13, 34, delimiter[0]]] = True
    in_place = edge[b[np.where(closing, quotes + 1, quotes - 1)]]
    wrong = ~in_place | (last & ~closing)
    return [(0 if i == 0 else int(ends[i - 1]) + 1, int(ends[i])) for i in np.unique(line[wrong])]


def _rewritten(data: bytes, layout: CsvLayout) -> RegularText:
    """The text with every irregular line, and record that begins in one, in regular form."""
    pieces: list[bytes] = []
    specials: list[Special] = []
    size = done = 0
    effort = Effort(len(data), layout.name)
    for start, end in _irregular_lines(data, layout.delimiter):
        if start < done:
            continue
        before = _with_line_feeds(data[done:start])
        size += len(before)
        record = read_line(data, start, end, layout.delimiter)
        if record.quotes is Quotes.OPEN:
            quote = record.end
            record = spanning_record(data, (start, end), quote, len(data), layout)
            effort.spend(record.end - quote)
        stray = record.quotes is not Quotes.CLOSED
        stop = end if stray else record.end
        text = b"" if stray else _in_regular_form(data, start, stop, layout)
        lines = 1 if stop == end else len(lines_between(data, start, stop))
        specials.append(Special(size, data[start:stop], lines, stray))
        pieces += [before, text, b"\n"]
        size += len(text) + 1
        done = next_line(data, stop)
    pieces.append(_with_line_feeds(data[done:]))
    text = b"".join(pieces)
    return RegularText(text, inside_quotes(np.frombuffer(text, np.uint8)), tuple(specials))


def _in_regular_form(data: bytes, start: int, stop: int, layout: CsvLayout) -> bytes:
    if not _has_letters(data, start, stop, layout.delimiter):
        return data[start:stop]
    cells = cells_of(data, start, stop, layout.delimiter)
    for i, cell in enumerate(cells):
        if b'"' in cell and cell[:1] != b'"':
            cells[i] = _regular_cell(cell, layout.blanks, pixel=i in layout.pixel_columns)
    return layout.delimiter.join(cells)


def _regular_cell(cell: bytes, blanks: bytes, *, pixel: bool) -> bytes:
    trimmed = cell.strip(blanks)
    if pixel and re.fullmatch(rb'"[^"]*"', trimmed):
        return trimmed
    return b'"' + cell.replace(b'"', b'""') + b'"'
