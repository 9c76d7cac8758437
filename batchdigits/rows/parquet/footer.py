"""The footer of a Parquet file, looked through by code that answers damage with an exception.

pyarrow's `RowGroupMetaData.column` ends the whole process for a chunk that can't be made, such as
one with a histogram of another length than the column's levels have, and `compression` of a chunk
does so for a codec without a name. A reader that is about to read looks at the same and raises; one
that has no bytes gets as far as that.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq


def check_chunks(metadata: pq.FileMetaData, size: int) -> None:
    """Raise OSError unless every column chunk of a file of `size` bytes can be looked at."""
    groups = list(range(metadata.num_row_groups))
    # A reader that plans all its reads ahead makes all chunks for that.
    _go_as_far_as_the_bytes(_reader(metadata, size, plan=True), groups, None)


def check_codecs(metadata: pq.FileMetaData, size: int, columns: Sequence[str]) -> None:
    """Raise OSError unless every chunk of some top-level columns names its compression."""
    file = _reader(metadata, size, plan=False)
    for number in range(metadata.num_row_groups):
        _go_as_far_as_the_bytes(file, [number], columns)


def _reader(metadata: pq.FileMetaData, size: int, *, plan: bool) -> pq.ParquetFile:
    unread = pa.PythonFile(_Unread(size), "r")
    return pq.ParquetFile(unread, metadata=metadata, pre_buffer=plan, buffer_size=1)


def _go_as_far_as_the_bytes(
    file: pq.ParquetFile, groups: list[int], columns: Sequence[str] | None
) -> None:
    try:
        for _ in file.iter_batches(1, groups, columns, use_threads=False):
            break
    except (_Reached, pa.ArrowNotImplementedError):  # the latter: a type that nobody may want
        pass


class _Reached(Exception):  # noqa: N818  (no error: the footer is sound)
    """The first read of a reader, which has been through the footer."""


class _Unread:
    """A file of which nothing can be read."""

    closed = False

    def __init__(self, size: int) -> None:
        self._size = size

    def seek(self, _offset: int, _whence: int = 0) -> int:
        return self._size

    def tell(self) -> int:
        return self._size

    def read(self, _size: int = -1) -> bytes:
        raise _Reached

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True
