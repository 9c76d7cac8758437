"""The source of the rows of one Parquet file."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from batchdigits.errors import InternalError, IOFailedError, UnusableInputError
from batchdigits.files.digest import digest_file
from batchdigits.files.streams import Snapshot
from batchdigits.images import PIXELS
from batchdigits.rows.arrays import ArrowLayout, check_batch, check_types
from batchdigits.rows.arrow import is_any, joined
from batchdigits.rows.contract import Rows
from batchdigits.rows.options import ONE_THREAD, Machine, ReadOptions
from batchdigits.rows.pixels import find_pixels, select_passthrough
from batchdigits.threads import prefetch

# Bytes read ahead of each column: whole column chunks would make memory grow with row groups.
# Where pages are shorter than 16 KiB, Arrow keeps the bytes of a chunk anyway.
READ_BUFFER = 1 << 16
# Row groups up to this size are read in whole column chunks: these are as long as the footer says,
# while through a buffer a damaged page header makes pyarrow fill gigabytes with zeros.
SMALL_GROUP_BYTES = 32 << 20
# Of a file with larger groups each column holds its current page and the page's decoded values.
LARGE_GROUP_BATCH_ROWS = 8192
# Rows read at once of columns of any length: a page may repeat a long cell often in few bytes,
# and nothing in the file says how many bytes its rows become.
PIECE_ROWS = 1024
BLOCK_BYTES = 4 << 20  # of such columns, or of columns of numbers, after which a block ends
# Bytes of a cell of a row group, on average: nobody reads longer texts, and a few kilobytes of
# them, compressed, would fill all memory.
LONGEST_CELL = 16 << 20


class ParquetSource:
    """A `Source` of the rows of one Parquet file. Its blocks are record batches.

    The constructor checks the schema before data are read. It raises UnusableInputError for a file
    that is not Parquet, is damaged or encrypted, or lacks the 64 pixel columns. Page checksums are
    verified where the file has them, and the rows read are compared with the footer.
    """

    first_line: int | None = None

    def __init__(
        self, path: Path, options: ReadOptions, name: str, machine: Machine = ONE_THREAD
    ) -> None:
        self._path = path
        self._snapshot = Snapshot.of(path)
        self._name = name
        self._options = options
        self._machine = machine
        self._read = 0
        self._numbers: Generator[pa.RecordBatch, None, None] | None = None
        with _damage_as_unusable(name):
            self._stored = pa.OSFile(os.fsencode(path))
            self._file = _opened(self._stored, pq.read_metadata(self._stored))
            schema = self._file.schema_arrow
        self.expected_rows = self._file.metadata.num_rows
        pixels = find_pixels(schema.names, options.pixels, name)
        check_types(schema, pixels, name)
        kept = select_passthrough(schema.names, pixels, options.select, name)
        self._columns = [*(schema.names[i] for i in kept), *pixels.names]
        _check_cells(self._file, self._columns, name)
        self.schema = pa.schema([schema.field(i) for i in kept])
        self._layout = ArrowLayout(
            pixels,
            tuple(range(len(kept))),
            pa.schema([schema.field(column) for column in self._columns]),
        )

    def blocks(self) -> Iterator[pa.RecordBatch]:
        """Record batches of about `batch_rows` rows, fewer of long cells, in the file's order."""
        with _damage_as_unusable(self._name):
            for batch in self._blocks():
                self._read += batch.num_rows
                yield batch
        if self._read != self.expected_rows:
            raise UnusableInputError(
                f"{self._name}: read {self._read} rows where the Parquet footer promises "
                f"{self.expected_rows}: the file is damaged; restore or re-create it"
            )

    def _blocks(self) -> Iterator[pa.RecordBatch]:
        """Columns with cells of a fixed length in many rows at once, the others in small pieces."""
        widths = {field.name: _fixed_bytes(field.type) for field in self._layout.schema}
        fixed = [name for name, width in widths.items() if width is not None]
        long = [name for name, width in widths.items() if width is None]
        width = sum(filter(None, widths.values()))
        rows = min(self._machine.batch_rows, max(PIECE_ROWS, BLOCK_BYTES // max(width, 1)))
        if _has_large_groups(self._file.metadata):
            rows = min(rows, LARGE_GROUP_BATCH_ROWS)
        if not long:
            yield from _batches(self._file, self._columns, rows)
            return
        pieces = _Pieces(_batches(self._file, long, min(rows, PIECE_ROWS)))
        if not fixed:
            while (piece := pieces.next(rows)) is not None:
                yield piece.select(self._columns)
            return
        # Two readers of the same bytes: a reader can't read its columns in batches of two sizes.
        numbers = _batches(_opened(self._stored, self._file.metadata), fixed, rows)
        self._numbers = prefetch(numbers) if self._machine.threads > 1 else numbers
        for batch in self._numbers:
            at = 0
            while at < batch.num_rows and (piece := pieces.next(batch.num_rows - at)) is not None:
                yield _side_by_side(batch.slice(at, piece.num_rows), piece, self._layout.schema)
                at += piece.num_rows

    def check(self, block: pa.RecordBatch) -> Rows:
        return check_batch(block, self._layout, self._options)

    def verify(self, rows: int, lines: int) -> None:
        if (rows, lines) != (self.expected_rows, 0):
            raise InternalError(
                f"{self._name}: the rows do not add up: the Parquet footer states "
                f"{self.expected_rows}, {rows} were counted, and {lines} lines; nothing was "
                "published; please report this"
            )

    def progress(self) -> float | None:
        return self._read / self.expected_rows if self.expected_rows else None

    def digest(self) -> str:
        return digest_file(self._path)

    def verify_unchanged(self) -> None:
        self._snapshot.verify(self._path)

    def close(self) -> None:
        """Close the file after the thread that reads ahead has ended."""
        if self._numbers is not None:
            self._numbers.close()
        self._file.close(force=True)


def _batches(
    file: pq.ParquetFile, columns: list[str], rows: int
) -> Generator[pa.RecordBatch, None, None]:
    # pyarrow's own threads would compete with the workers.
    for batch in file.iter_batches(batch_size=rows, columns=columns, use_threads=False):
        # For the name `a.b` pyarrow also returns the field b of a struct a.
        yield batch.select(columns)


class _Pieces:
    """Record batches joined to as many rows as are wanted, or fewer if cells are long."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self._rest: pa.RecordBatch | None = None

    def next(self, rows: int) -> pa.RecordBatch | None:
        """The next rows, at least one and at most `rows`; None after the last."""
        parts: list[pa.RecordBatch] = []
        size = 0
        while rows and size < BLOCK_BYTES:
            rest = self._rest if self._rest is not None else next(self._batches, None)
            if rest is None:
                break
            each = rest.get_total_buffer_size() // rest.num_rows + 1
            fitting = min(rows, (BLOCK_BYTES - size) // each + 1)
            part = rest if rest.num_rows <= fitting else rest.slice(0, fitting)
            self._rest = rest.slice(fitting) if part is not rest else None
            parts.append(part)
            size += each * part.num_rows
            rows -= part.num_rows
        return joined(parts) if parts else None


def _side_by_side(left: pa.RecordBatch, right: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    names = set(left.schema.names)
    columns = [(left if name in names else right).column(name) for name in schema.names]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _opened(stored: pa.NativeFile, metadata: pq.FileMetaData) -> pq.ParquetFile:
    return pq.ParquetFile(
        stored,
        metadata=metadata,
        buffer_size=READ_BUFFER if _has_large_groups(metadata) else 0,
        pre_buffer=False,
        page_checksum_verification=True,
    )


def _has_large_groups(metadata: pq.FileMetaData) -> bool:
    sizes = (metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    return max(sizes, default=0) > SMALL_GROUP_BYTES


def _check_cells(file: pq.ParquetFile, columns: list[str], name: str) -> None:
    """Raise UnusableInputError if the footer states cells too long for memory."""
    for number in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(number)
        most = LONGEST_CELL * max(group.num_rows, 1)
        if group.total_byte_size <= most:
            continue
        for place in range(group.num_columns):
            chunk = group.column(place)
            path = chunk.path_in_schema
            if chunk.total_uncompressed_size > most and any(
                path == column or path.startswith(f"{column}.") for column in columns
            ):
                raise UnusableInputError(
                    f"{name}: row group {number + 1} of {group.num_rows} rows holds "
                    f"{chunk.total_uncompressed_size:,} bytes of column {path}, more than "
                    f"{LONGEST_CELL:,} a cell; leave the column out with --keep, or re-create the "
                    "file without such cells"
                )


def _fixed_bytes(kind: pa.DataType) -> int | None:
    """The bytes of a cell (or of its index in a dictionary), None if they differ or are many."""
    if isinstance(kind, pa.BaseExtensionType):
        return _fixed_bytes(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return _fixed_bytes(kind.index_type)
    if pa.types.is_fixed_size_list(kind):
        each = _fixed_bytes(kind.value_type)
        return None if each is None or kind.list_size > PIXELS else int(kind.list_size) * each
    if pa.types.is_fixed_size_binary(kind):
        return int(kind.byte_width) if kind.byte_width <= PIXELS else None
    if is_any(kind, "primitive", "decimal"):
        return int(kind.bit_width + 7) // 8
    return 0 if pa.types.is_null(kind) else None


@contextmanager
def _damage_as_unusable(name: str) -> Iterator[None]:
    """Turn pyarrow's exceptions for damage into one line; real I/O errors carry an errno."""
    try:
        yield
    except MemoryError:  # pyarrow's own is an ArrowException too, but the file may be sound
        raise
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise IOFailedError(f"{name}: reading failed: {error.strerror}") from error
        detail = " ".join(str(error).split())
        raise UnusableInputError(
            f"{name}: can't be read as Parquet ({detail}); restore or re-create the file"
        ) from error
