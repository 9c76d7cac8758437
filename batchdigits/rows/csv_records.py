"""What a record is, exactly: quotes, records that span lines, and quotes gone astray.

Most lines never come here: a line without quotes is a record, and so is one whose quotes are all
in their places. This module decides the rest one by one, and writes what it found in the regular
form that the tokenizer reads: literal quotes doubled inside a quoted cell, a stray line emptied.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import cache

import numpy as np
from numpy.typing import NDArray

from batchdigits.rows.csv_layout import RECORD_LIMIT, Layout
from batchdigits.rows.csv_values import acceptable

LINE_END = re.compile(rb"\r\n|\n|\r")
QUOTED = re.compile(rb'"(?:[^"]++|"")*+"')


class Shape(Enum):
    """How a line ends when it is read alone, or a record when it is read to its end."""

    CLOSED = "closed"
    STRAY = "a closing quote is not followed by a delimiter or line end"
    OPEN = "inside a quote"
    UNDECIDED = "more bytes are needed to tell"


@dataclass(frozen=True, slots=True)
class Record:
    """What a line or a record turned out to be.

    `end` is where its line end stands; for an open line the position of the quote that is open.
    """

    shape: Shape
    end: int


@dataclass(frozen=True, slots=True)
class Special:
    """A record of the rewritten text that was not a plain line of the original.

    `start` is where it begins in the rewritten text, `raw` what stood in the file, `lines` how
    many lines that was. `stray`: its quotes don't close as CSV asks, and an empty line stands for
    it.
    """

    start: int
    raw: bytes
    lines: int
    stray: bool


@dataclass(frozen=True, slots=True)
class RegularText:
    """Whole records in regular form: LF at their ends, quotes only around whole cells.

    `inside` are the bytes inside quotes, None where there are no quotes.
    """

    data: bytes
    inside: NDArray[np.bool_] | None
    specials: tuple[Special, ...] = ()


@dataclass(frozen=True, slots=True)
class _Patterns:
    """The grammar for one delimiter. A quote opens a cell only at the cell's start."""

    line: re.Pattern[bytes]  # text of one line up to a quote that is out of place
    record: re.Pattern[bytes]  # the same, line ends inside quotes allowed
    quoted: re.Pattern[bytes]  # a quoted cell
    quotable: re.Pattern[bytes]  # a quoted cell, or an unquoted one with a quote in it


@cache
def _patterns(delimiter: bytes) -> _Patterns:
    d = re.escape(delimiter)
    quoted = rb'(?:\A|(?<=[\r\n' + d + rb']))"(?:[^"]++|"")*+"(?=[\r\n' + d + rb"]|\Z)"
    letter = rb'(?<=[^\r\n' + d + rb'])"'
    literal = rb'(?:\A|(?<=' + d + rb'))[^"\r\n' + d + rb']++"[^\r\n' + d + rb"]*+"
    return _Patterns(
        line=re.compile(rb'(?:[^"\r\n]++|' + quoted + b"|" + letter + rb")*+"),
        record=re.compile(rb'(?:[^"\r\n]++|' + quoted + b"|" + letter + rb")*+"),
        quoted=re.compile(quoted),
        quotable=re.compile(quoted + b"|" + literal),
    )


def read_line(data: bytes, start: int, stop: int, delimiter: bytes) -> Record:
    """The line data[start:stop], which holds no line end, read alone."""
    end = _end_of(_patterns(delimiter).text, data, start, stop)
    if end == stop:
        return Record(Shape.CLOSED, stop)
    closes = QUOTED.match(data, end, stop)
    return Record(Shape.STRAY if closes else Shape.OPEN, end)


def cells_of(data: bytes, start: int, stop: int, delimiter: bytes) -> list[bytes]:
    """The cells of a closed record, as they stand."""
    text = data[start:stop]
    if b'"' not in text:
        return text.split(delimiter)
    cells = []
    done = at = 0
    for quoted in _patterns(delimiter).quoted.finditer(text):
        plain = text[done : quoted.start()]
        cells += plain.split(delimiter)[:-1]
        cells.append(quoted.group())
        done = quoted.end() + 1
    return cells + text[done:].split(delimiter) if done <= len(text) else cells


def lines_between(data: bytes, start: int, stop: int) -> list[tuple[int, int]]:
    """The lines of data[start:stop] as (start, end) pairs, line ends left out."""
    lines = []
    for match in LINE_END.finditer(data, start, stop):
        lines.append((start, match.start()))
        start = match.end()
    lines.append((start, stop))
    return lines


def next_line(data: bytes, line_end: int) -> int:
    """Where the line behind the line end at `line_end` begins."""
    return line_end + (2 if data[line_end : line_end + 2] == b"\r\n" else 1)


def _complete(data: bytes, start: int, stop: int, layout: Layout) -> bool:
    """Whether a line alone has the header's number of cells and 64 pixels."""
    if data.count(layout.delimiter, start, stop) < layout.cells - 1:
        return False
    line = read_line(data, start, stop, layout.delimiter)
    if line.shape is not Shape.CLOSED or len(line.cells) != layout.cells:
        return False
    return acceptable([data[a:b] for a, b in line.cells], layout)


def _has_literal_quote(data: bytes, start: int, stop: int, layout: Layout) -> bool:
    cells = read_line(data, start, stop, layout.delimiter).cells
    return any(data[a : a + 1] != b'"' and b'"' in data[a:b] for a, b in cells)


def _complete_if_literal(data: bytes, first_end: int, opened: Record, layout: Layout) -> bool:
    """Whether the first line is a complete valid row if its open quote is only a letter."""
    cells = [data[a:b] for a, b in opened.cells]
    cells += data[opened.end : first_end].split(layout.delimiter)
    return len(cells) == layout.cells and acceptable(cells, layout)


def regular_text(data: bytes, layout: Layout) -> RegularText:
    """Whole records, ending in a line end, in the form that the tokenizer reads."""
    if b'"' not in data:
        return RegularText(_with_line_feeds(data), quotes=False)
    if _all_regular(data, layout.delimiter):
        return RegularText(_with_line_feeds(data), quotes=True)
    return _rewritten(data, layout)


def _with_line_feeds(data: bytes) -> bytes:
    if b"\r" not in data:
        return data
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _quote_places(
    b: NDArray[np.uint8], quotes: NDArray[np.int64], closing: NDArray[np.bool_], delimiter: bytes
) -> NDArray[np.bool_]:
    """Which quotes stand where CSV asks, given which of them are the closing ones.

    An opening quote follows a delimiter or line end, a closing one precedes one. A doubled quote
    inside a cell is a closing and an opening one side by side.
    """
    edge = np.zeros(256, np.bool_)
    edge[[10, 13, delimiter[0]]] = True
    before = edge[b[quotes - 1]]
    after = edge[b[quotes + 1]]
    beside = np.diff(quotes) == 1
    before[1:] |= beside
    after[:-1] |= beside
    return np.where(closing, after, before)


def _all_regular(data: bytes, delimiter: bytes) -> bool:
    """Whether every quote is in its place and none is open at a line end."""
    b = np.frombuffer(data, np.uint8)
    quote = b == 34
    quotes = np.flatnonzero(quote)
    closing = np.arange(len(quotes)) % 2 == 1
    if len(quotes) % 2 or not _quote_places(b, quotes, closing, delimiter).all():
        return False
    inside = np.bitwise_xor.accumulate(quote.view(np.uint8)).view(np.bool_)
    breaks = b == 10
    if b"\r" in data:
        breaks |= b == 13
    return not (inside & breaks).any()


def _irregular_lines(data: bytes, delimiter: bytes) -> list[tuple[int, int]]:
    """Lines, as (start, end) pairs, with a quote out of place or open at the line's end."""
    b = np.frombuffer(data, np.uint8)
    is_end = b == 10
    if b"\r" in data:
        is_end |= b == 13  # of CR LF both count: an empty line between them has no quotes
    ends = np.flatnonzero(is_end)
    quotes = np.flatnonzero(b == 34)
    line = np.searchsorted(ends, quotes)
    new = np.diff(line, prepend=-1) != 0
    first = np.maximum.accumulate(np.where(new, np.arange(len(quotes)), 0))
    closing = (np.arange(len(quotes)) - first) % 2 == 1
    last = np.append(new[1:], True)
    wrong = ~_quote_places(b, quotes, closing, delimiter) | (last & ~closing)
    return [(0 if i == 0 else int(ends[i - 1]) + 1, int(ends[i])) for i in np.unique(line[wrong])]


def _rewritten(data: bytes, layout: Layout) -> RegularText:
    """The text with each irregular line, or record that begins in one, in regular form."""
    pieces: list[bytes] = []
    specials: list[Special] = []
    size = done = 0
    for start, end in _irregular_lines(data, layout.delimiter):
        if start < done:
            continue
        before = _with_line_feeds(data[done:start])
        size += len(before)
        record, lines = _record_at(data, start, end, layout)
        stop = record.end if record.shape is Shape.CLOSED else end
        stray = record.shape is not Shape.CLOSED
        text = b"" if stray else _in_regular_form(data, record, layout)
        specials.append(Special(size, data[start:stop], lines, stray))
        pieces += [before, text, b"\n"]
        size += len(text) + 1
        done = next_line(data, stop)
    pieces.append(_with_line_feeds(data[done:]))
    return RegularText(b"".join(pieces), quotes=True, specials=tuple(specials))


def _record_at(data: bytes, start: int, end: int, layout: Layout) -> tuple[Record, int]:
    """The record that begins with the line data[start:end], and how many lines it spans."""
    record = read_line(data, start, end, layout.delimiter)
    if record.shape is not Shape.OPEN:
        return record, 1
    record = spanning_record(data, end, record, len(data), layout)
    if record.shape is not Shape.CLOSED:
        return record, 1
    return record, len(lines_between(data, start, record.end))


def _in_regular_form(data: bytes, record: Record, layout: Layout) -> bytes:
    cells = [data[a:b] for a, b in record.cells]
    pixels = set(layout.pixel_columns)
    return layout.delimiter.join(
        _regular_cell(cell, layout.blanks, pixel=i in pixels) for i, cell in enumerate(cells)
    )


def _regular_cell(cell: bytes, blanks: bytes, *, pixel: bool) -> bytes:
    if b'"' not in cell or cell[:1] == b'"':
        return cell
    trimmed = cell.strip(blanks)
    if pixel and re.fullmatch(rb'"[^"]*"', trimmed):
        return trimmed
    return b'"' + cell.replace(b'"', b'""') + b'"'
