"""Rows of a Parquet file, one record batch at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from batchdigits.errors import IOFailedError, UnusableInputError
from batchdigits.rows.batch import RowOptions, Rows
from batchdigits.rows.checks import ArrowLayout, check_batch, check_types
from batchdigits.rows.pixels import find_pixels, select_passthrough

READ_BUFFER = 1 << 18
"""Bytes read ahead of each column: whole column chunks would make memory grow with row groups."""


class ParquetSource:
    """A `Source` over one Parquet file. Its blocks are record batches.

    Raises UnusableInputError for a file that is no Parquet, is damaged or encrypted, or lacks the
    64 pixel columns: the schema is judged before any data is read. Page checksums are verified
    where the file has them, and the rows read are compared with the footer.
    """

    has_lines = False
    first_line = 0
    tail_lines = 0
    expected_lines = 0

    def __init__(self, path: Path, options: RowOptions, name: str) -> None:
        self._name = name
        self._options = options
        self._read = 0
        with _damage_as_unusable(name):
            self._file = pq.ParquetFile(
                pa.OSFile(os.fsencode(path)),
                buffer_size=READ_BUFFER,
                pre_buffer=False,
                page_checksum_verification=True,
            )
            schema = self._file.schema_arrow
        self.expected_rows = self._file.metadata.num_rows
        pixels = find_pixels(schema.names, options.pixels, name)
        check_types(schema, pixels, name)
        kept = select_passthrough(schema.names, pixels, options, name)
        self._columns = [*(schema.names[i] for i in kept), *pixels.names]
        self.schema = pa.schema([schema.field(i) for i in kept])
        self._layout = ArrowLayout(
            pixels,
            tuple(range(len(kept))),
            pa.schema([schema.field(column) for column in self._columns]),
        )

    def blocks(self) -> Iterator[pa.RecordBatch]:
        """Record batches of about `batch_rows` rows, in the file's order."""
        with _damage_as_unusable(self._name):
            for batch in self._file.iter_batches(
                batch_size=self._options.batch_rows, columns=self._columns
            ):
                self._read += batch.num_rows
                yield batch.select(self._columns)
        if self._read != self.expected_rows:
            raise UnusableInputError(
                f"{self._name}: read {self._read} rows where the Parquet footer promises "
                f"{self.expected_rows}: the file is damaged; restore or re-create it"
            )

    def check(self, block: pa.RecordBatch) -> Rows:
        """Checked rows of one record batch."""
        return check_batch(block, self._layout, self._options)

    def progress(self) -> float | None:
        """The part of the footer's rows that was read."""
        return self._read / self.expected_rows if self.expected_rows else None

    def close(self) -> None:
        """Close the file."""
        self._file.close(force=True)


@contextmanager
def _damage_as_unusable(name: str) -> Iterator[None]:
    """Turn what pyarrow raises for damage into one line; real I/O errors carry an errno."""
    try:
        yield
    except OSError as error:
        if error.errno is not None:
            raise IOFailedError(f"{name}: reading failed: {error.strerror}") from error
        raise UnusableInputError(_damaged(name, error)) from error
    except MemoryError:  # pyarrow's own is an ArrowException too, but the file may be sound
        raise
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise UnusableInputError(_damaged(name, error)) from error


def _damaged(name: str, error: Exception) -> str:
    detail = " ".join(str(error).split())
    return f"{name}: can't be read as Parquet ({detail}); restore or re-create the file"
