"""The source of the rows of one CSV."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa

from batchdigits.errors import InternalError
from batchdigits.files.streams import InputStream
from batchdigits.rows.contract import Rows
from batchdigits.rows.csv.blocks import BlockCutter, CsvBlock
from batchdigits.rows.csv.dialect import Gaps, open_text, plain_lines, without_lines
from batchdigits.rows.csv.header import read_header
from batchdigits.rows.csv.lines import LineCounter
from batchdigits.rows.csv.rows import check_block
from batchdigits.rows.options import ReadOptions

BLOCK_BYTES = 1 << 21  # a row has at least 128 bytes, so it seldom has more than BLOCK_LINES lines


class CsvSource:
    """A `Source` of the rows of one CSV. Pass-through columns are text.

    The constructor reads the header. It raises UnusableInputError where the file is unusable as a
    whole (empty, no header, doubled names, another delimiter, not UTF-8) and UsageError where a
    flag does not fit the file. `name` is the file in messages.
    """

    expected_rows: int | None = None

    def __init__(
        self, stream: InputStream, options: ReadOptions, name: str, block_bytes: int = BLOCK_BYTES
    ) -> None:
        self._name = name
        self._lines = LineCounter(open_text(stream, options.encoding))
        self._gaps = Gaps()
        read = without_lines(self._lines.read, options.skip_lines, name)
        read = plain_lines(read, options, self._gaps, name)
        header = read_header(read, options, name)
        # Of the lines that are left, the first one after the header has this number, from 0.
        self._next = header.lines
        left_out = sum(count for _, count in self._gaps.take(before=header.lines))
        self._header_lines = options.skip_lines + left_out + header.lines
        self.first_line: int | None = self._header_lines + 1
        self._layout = header.layout
        self.schema = pa.schema(
            [(self._layout.names[i], pa.string()) for i in self._layout.text_columns]
        )
        self._stream = stream
        self._cutter = BlockCutter(read, header.ahead, self._layout, block_bytes)

    def blocks(self) -> Iterator[CsvBlock]:
        for block in self._cutter.blocks():
            yield self._with_gaps(block) if len(self._gaps) else block

    def _with_gaps(self, block: CsvBlock) -> CsvBlock:
        """The block with the gaps before its lines."""
        first, self._next = self._next, self._next + block.lines
        gaps = self._gaps.take(before=self._next)
        return replace(block, gaps=tuple((line - first, count) for line, count in gaps))

    def check(self, block: CsvBlock) -> Rows:
        return check_block(block, self._layout, self.schema)

    def verify(self, rows: int, lines: int) -> None:
        """Raise InternalError unless each line is in a row, the header or the blank end."""
        others = self._header_lines + self._cutter.tail_lines + self._gaps.lines
        if lines + others != self._lines.count:
            raise InternalError(
                f"{self._name}: the lines do not add up: {self._lines.count} in the input, {lines} "
                f"in its {rows} rows, {others} in the header and the end; nothing was "
                "published; please report this"
            )

    def progress(self) -> float | None:
        size = self._stream.raw_size
        return min(self._stream.raw_bytes_read / size, 1.0) if size else None

    def digest(self) -> str:
        return self._stream.digest()

    def verify_unchanged(self) -> None:
        self._stream.verify_unchanged()

    def close(self) -> None:
        self._stream.close()
