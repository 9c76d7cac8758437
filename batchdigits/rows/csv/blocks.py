"""A stream of bytes cut into blocks of whole records, with as little parsing as possible.

Every line of the stream is in exactly one block, or is blank and after the last record. The places
where a block may be cut don't depend on its size: a record never spans a cut, a line that is too
long is a block of its own, and blank lines are held back until something follows them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from batchdigits.rows.csv.layout import LINE_LIMIT, RECORD_LIMIT, CsvLayout
from batchdigits.rows.csv.lines import count_line_ends, line_end, line_start, next_line
from batchdigits.rows.csv.records import (
    Effort,
    Quotes,
    read_line,
    spanning_record,
    surely_closed,
)
from batchdigits.rows.rejects import RAW_LIMIT

HELD_LIMIT = 1 << 20  # bytes of blank lines that are kept unchanged; further ones are only counted
BLOCK_LINES = 1 << 14  # about; each line may become a reject, which is a Python object
BLOCK_CELLS = 1 << 21  # about; each line may have a cell for each column that passes through


@dataclass(frozen=True, slots=True)
class CsvBlock:
    """Whole records with their line ends; `overlong`: the beginning of one line over the limit.

    `gaps` tells how many lines of the file were left out before which of these lines, from 0.
    """

    data: bytes
    overlong: bool = False
    gaps: tuple[tuple[int, int], ...] = ()

    @property
    def lines(self) -> int:
        return 1 if self.overlong else count_line_ends(self.data)


class _BlankLines:
    """Blank lines held back until something follows them, in bounded memory."""

    def __init__(self) -> None:
        self.count = 0
        self._kept = b""
        self._full = False

    def hold(self, lines: bytes) -> None:
        """Hold more lines, each with its line end."""
        lines = lines.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        self.count += lines.count(b"\n")
        if self._full:
            return
        room = HELD_LIMIT - len(self._kept)
        if len(lines) > room:
            self._full = True
            lines = lines[: lines.rfind(b"\n", 0, room) + 1]
        self._kept += lines

    def release(self, data: bytes) -> Iterator[CsvBlock]:
        """The held lines, and then `data`, as blocks."""
        more = self.count - self._kept.count(b"\n")
        held, self._kept, self._full, self.count = self._kept, b"", False, 0
        if not more:
            yield CsvBlock(held + data)
            return
        if held:
            yield CsvBlock(held)
        for start in range(0, more, BLOCK_LINES):
            yield CsvBlock(b"\n" * min(BLOCK_LINES, more - start))
        if data:
            yield CsvBlock(data)


class BlockCutter:
    """Cuts `ahead`, and then the bytes that `read` gives, into blocks of about `block_bytes` bytes.

    After the last block `tail_lines` is the number of blank lines after the last record.
    """

    def __init__(
        self, read: Callable[[int], bytes], ahead: bytes, layout: CsvLayout, block_bytes: int
    ) -> None:
        self._read = read
        self._layout = layout
        self._block_bytes = block_bytes
        self._buffer = ahead
        self._behind = b""
        self._ended = False
        self._blank = _BlankLines()
        self._blank_bytes = layout.blanks + b"\r\n"

    @property
    def tail_lines(self) -> int:
        return self._blank.count

    def blocks(self) -> Iterator[CsvBlock]:
        for block in self._by_bytes():
            yield from _by_lines(block, self._layout)

    def _by_bytes(self) -> Iterator[CsvBlock]:
        wanted = self._block_bytes
        while self._fill(wanted):
            buffer = self._buffer
            wanted = self._block_bytes
            long = _overlong_line(buffer, ended=self._ended)
            if long >= 0:
                yield from self._released(buffer[:long])
                yield from self._overlong(long)
                continue
            cut = len(buffer) if self._ended else certain_cut(buffer, self._layout)
            if cut == 0:
                wanted = len(buffer) + self._block_bytes
                continue
            self._buffer = buffer[cut:]
            data = buffer if cut == len(buffer) else buffer[:cut]
            yield from self._released(data if data.endswith((b"\n", b"\r")) else data + b"\n")

    def _fill(self, wanted: int) -> bool:
        """Read until there are `wanted` bytes or the stream ends; False if there are none.

        What follows the last line feed stays behind, unless the stream ends: a buffer that is one
        block is not copied once more.
        """
        parts: list[bytes | memoryview] = [self._buffer, self._behind]
        size = len(self._buffer) + len(self._behind)
        part = b""
        while size < wanted and not self._ended:
            part = self._read(wanted - size)
            self._ended = not part
            parts.append(part)
            size += len(part)
        split = 0 if self._ended else part.rfind(b"\n") + 1
        self._behind = b""
        if split:
            parts[-1], self._behind = memoryview(part)[:split], part[split:]
        self._buffer = b"".join(parts)
        return size > 0

    def _released(self, data: bytes) -> Iterator[CsvBlock]:
        """Whole lines as blocks, except blank lines at their end, which are held."""
        split = len(data)
        end = len(data) - (2 if data.endswith(b"\r\n") else 1)
        feed = data.rfind(b"\n", 0, end) + 1
        last = max(feed, data.rfind(b"\r", feed, end) + 1)
        if not data[last:].strip(self._blank_bytes):
            filled = len(data.rstrip(self._blank_bytes))
            split = next_line(data, line_end(data, filled)) if filled else 0
        if split:
            yield from self._blank.release(data[:split])
        self._blank.hold(data[split:])

    def _overlong(self, start: int) -> Iterator[CsvBlock]:
        """The line that begins at `start` as a block of its own, without the rest of it."""
        if self._blank.count:
            yield from self._blank.release(b"")
        head = self._buffer[start : start + 4 * RAW_LIMIT]
        buffer = self._buffer[start + LINE_LIMIT :]
        while (end := line_end(buffer, 0)) < 0 and not self._ended:
            buffer = self._read(self._block_bytes)
            self._ended = not buffer
        if end < 0:
            self._buffer = b""
        else:
            buffer = buffer[end:]
            if buffer == b"\r" and not self._ended:
                part = self._read(self._block_bytes)
                self._ended = not part
                buffer += part
            self._buffer = buffer[next_line(buffer, 0) :]
        yield CsvBlock(head, overlong=True)


def _by_lines(block: CsvBlock, layout: CsvLayout) -> Iterator[CsvBlock]:
    """The block in parts of about `BLOCK_LINES` lines or `BLOCK_CELLS` cells, no record cut."""
    data = block.data
    most = min(BLOCK_LINES, BLOCK_CELLS // (len(layout.text_columns) + 1) + 1)
    if block.overlong or count_line_ends(data) <= most:
        yield block
        return
    b = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero((b == 10) | (b == 13)) + 1
    start, lines = 0, most
    while (last := int(np.searchsorted(ends, start, "right")) + lines - 1) < len(ends) - 1:
        cut = certain_cut(data[start : ends[last]], layout)
        if cut:
            yield CsvBlock(data[start : start + cut])
        start, lines = start + cut, most if cut else 2 * lines
    yield CsvBlock(data[start:])


def _overlong_line(buffer: bytes, *, ended: bool) -> int:
    """The start of the first line longer than `LINE_LIMIT`, -1 if there is none (yet)."""
    start = 0
    # The last byte may be a CR, which belongs to the line or ends it.
    while len(buffer) - start > LINE_LIMIT + (not ended):
        stop = start + LINE_LIMIT + 1
        last = max(buffer.rfind(b"\n", start, stop), buffer.rfind(b"\r", start, stop))
        if last < 0:
            return start
        start = last + 1
    return -1


def certain_cut(buffer: bytes, layout: CsvLayout) -> int:
    """The last position in an unfinished buffer that begins a line and that no record spans.

    The buffer begins with a record. 0 when more bytes are needed to decide.
    """
    stop = len(buffer) - buffer.endswith(b"\r")  # it may be half of a CR LF
    cut = buffer.rfind(b"\n", 0, stop) + 1
    cut = max(cut, buffer.rfind(b"\r", cut, stop) + 1)
    quote = buffer.rfind(b'"', 0, cut)
    # A record that spans the cut has a first line that reaches into the last 64 KiB and, read
    # alone, ends inside a quote.
    if quote < cut - RECORD_LIMIT:
        return cut
    start = line_start(buffer, max(cut - RECORD_LIMIT, 0))
    if surely_closed(buffer[start:cut], layout.delimiter) or not any(
        quotes is Quotes.OPEN for quotes in _quotes_of_lines(buffer, start, cut, layout)
    ):
        return cut
    return _serial_cut(buffer, cut, stop, layout)


def _quotes_of_lines(buffer: bytes, start: int, stop: int, layout: CsvLayout) -> Iterator[Quotes]:
    """The quotes of each line of buffer[start:stop] that has any."""
    while (quote := buffer.find(b'"', start, stop)) >= 0:
        begin, end = line_start(buffer, quote), line_end(buffer, quote)
        yield read_line(buffer, begin, end, layout.delimiter).quotes
        start = end


def _serial_cut(buffer: bytes, cut: int, stop: int, layout: CsvLayout) -> int:
    """`cut`, or the start of the record that spans it or can't be decided yet."""
    at = 0
    effort = Effort(len(buffer), layout.name)
    while (quote := buffer.find(b'"', at, cut)) >= 0:
        begin, end = line_start(buffer, quote), line_end(buffer, quote)
        line = read_line(buffer, begin, end, layout.delimiter)
        at = end
        if line.quotes is Quotes.OPEN:
            record = spanning_record(buffer, (begin, end), line.end, stop, layout)
            effort.spend(record.end - line.end)
            if record.quotes is Quotes.UNDECIDED:
                return begin
            if record.quotes is Quotes.CLOSED:
                at = record.end
    return cut
