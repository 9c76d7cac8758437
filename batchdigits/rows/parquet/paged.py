"""A Parquet file for Arrow's buffered reader, which gets no byte beyond the page it is in.

Arrow fills the buffer of a column anew only when a page ends with what the buffer holds. Until then
it looks 16 KiB ahead for the header of the next page, and keeps what it has read: all bytes of a
row group if its pages are shorter.
"""

from __future__ import annotations

import io
from bisect import bisect_right
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from batchdigits.rows.parquet.pages import page_end

READ_BUFFER = 1 << 16  # bytes that Arrow reads to fill the buffer of a column
_HEADER_BYTES = 512  # longer ones only cost memory: their pages are not told apart


def open_paged(stored: pa.NativeFile, metadata: pq.FileMetaData) -> pa.NativeFile:
    """Open the same file again, so that each read ends where a page ends."""
    return pa.PythonFile(_Paged(stored, metadata), mode="r")


class _Paged:
    """The bytes of a file. The reader of a column gets those up to the end of the current page."""

    closed = False

    def __init__(self, stored: pa.NativeFile, metadata: pq.FileMetaData) -> None:
        self._stored = stored
        self._size: int = stored.size()
        self._place = 0
        groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
        columns = range(metadata.num_columns)
        chunks = sorted(_span(group.column(place)) for group in groups for place in columns)
        self._starts: list[int] = [start for start, _ in chunks]
        self._stops: list[int] = [stop for _, stop in chunks]
        self._ends = list(self._starts)  # of the page of each chunk that was read last

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def size(self) -> int:
        return self._size

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = base + offset
        return self._place

    def read(self, size: int) -> bytes:
        data: bytes = self._stored.read_at(self._granted(size), self._place)
        self._place += len(data)
        return data

    def close(self) -> None:
        """Leave the file open: others read it too."""

    def _granted(self, size: int) -> int:
        """How many bytes to give of those that are asked for at the current place."""
        place = self._place
        chunk = bisect_right(self._starts, place) - 1
        if chunk < 0 or place >= self._stops[chunk]:
            return size
        if place == self._ends[chunk] and size < min(READ_BUFFER, self._stops[chunk] - place):
            return 0  # it looks ahead, and holds the whole page before this place
        while self._ends[chunk] <= place:
            start = self._ends[chunk]
            end = page_end(self._stored.read_at(_HEADER_BYTES, start))
            # Arrow has the words for a damaged page.
            self._ends[chunk] = self._stops[chunk] if end is None else start + end
        return min(size, self._ends[chunk] - place)


def _span(chunk: Any) -> tuple[int, int]:
    """The places where a column chunk begins and ends, as Arrow reads it."""
    start = chunk.data_page_offset
    if chunk.has_dictionary_page and 0 < chunk.dictionary_page_offset < start:
        start = chunk.dictionary_page_offset
    return start, start + chunk.total_compressed_size
