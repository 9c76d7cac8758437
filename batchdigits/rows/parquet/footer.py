"""The footer of a Parquet file, looked through by code that answers damage with an exception."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq


def check_footer(metadata: pq.FileMetaData, size: int) -> None:
    """Raise OSError if the footer of a file of `size` bytes is damaged in a column chunk.

    `RowGroupMetaData.column` ends the whole process where a chunk can't be made, as with a
    histogram of another length than the column's levels have. A reader that plans its reads ahead
    makes every chunk too, and raises. This one gets as far as its first read, and has no bytes.
    """
    file = pq.ParquetFile(pa.PythonFile(_Unread(size), "r"), metadata=metadata, pre_buffer=True)
    try:
        for _ in file.iter_batches(1, use_threads=False):
            break
    except (_Reached, pa.ArrowNotImplementedError):  # it can't read a column that nobody may want
        pass


class _Reached(Exception):  # noqa: N818  (no error: the footer is sound)
    """The first read of a reader, for which it has been through the footer."""


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
