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
    # A reader that plans all its reads ahead makes all chunks for that.
    look = _Look(metadata, size, plan=True)
    look.at(list(range(metadata.num_row_groups)))


def check_codecs(metadata: pq.FileMetaData, size: int, columns: Sequence[str]) -> None:
    """Raise OSError unless every chunk of some top-level columns names its compression."""
    look = _Look(metadata, size, plan=False)
    for number in range(metadata.num_row_groups):
        look.at([number], columns)


class _Look:
    """A reader of row groups that goes as far as it can without bytes."""

    def __init__(self, metadata: pq.FileMetaData, size: int, *, plan: bool) -> None:
        self._bytes = _NoBytes(size)
        self._file = pq.ParquetFile(
            pa.PythonFile(self._bytes, "r"), metadata=metadata, pre_buffer=plan, buffer_size=1
        )

    def at(self, groups: list[int], columns: Sequence[str] | None = None) -> None:
        self._bytes.wanted = False
        try:
            for _ in self._file.iter_batches(1, groups, columns, use_threads=False):
                break
        except pa.ArrowNotImplementedError:  # a type that nobody may want
            pass
        except (OSError, pa.ArrowException):
            if not self._bytes.wanted:
                raise


class _NoBytes:
    """A file that ends where it begins. `wanted` tells whether somebody has tried to read.

    It raises nothing itself: Arrow would keep the exception, and with it all frames of the run.
    """

    closed = False
    wanted = False

    def __init__(self, size: int) -> None:
        self._size = size

    def seek(self, _offset: int, _whence: int = 0) -> int:
        return self._size

    def tell(self) -> int:
        return self._size

    def read(self, _size: int = -1) -> bytes:
        self.wanted = True
        return b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True
