"""The footer of a Parquet file, looked through by code that answers damage with an exception.

pyarrow's `RowGroupMetaData.column` ends the whole process for a chunk that can't be made, such as
one with a histogram of another length than the column's levels have, and `compression` of a chunk
does so for a codec without a name. A reader that is about to read looks at the same and raises; one
that has no bytes gets as far as that.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq


def check_footer(metadata: pq.FileMetaData, size: int) -> None:
    """Raise OSError unless every column chunk of a file of `size` bytes can be looked at.

    It starts no thread: a reader that plans its reads ahead would be faster, and would start some.
    """
    no_bytes = _NoBytes(size)
    file = pq.ParquetFile(
        pa.PythonFile(no_bytes, "r"), metadata=metadata, pre_buffer=False, buffer_size=1
    )
    for number in range(metadata.num_row_groups):
        no_bytes.wanted = False
        try:
            for _ in file.iter_batches(1, [number], use_threads=False):
                break
        except pa.ArrowNotImplementedError:  # a type that nobody may want
            pass
        except (OSError, pa.ArrowException):
            if not no_bytes.wanted:
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
