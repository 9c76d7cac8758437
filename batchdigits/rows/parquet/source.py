"""The source of the rows of one Parquet file."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from batchdigits.errors import InternalError, UnusableInputError
from batchdigits.images import PIXELS
from batchdigits.rows.arrays import ArrowLayout, check_batch, check_types
from batchdigits.rows.arrow import is_any, joined
from batchdigits.rows.contract import Rows
from batchdigits.rows.options import ONE_THREAD, Machine, ReadOptions
from batchdigits.rows.parquet.chunks import (
    MOST_GROWTH,
    PIECE_ROWS,
    Leaf,
    check_counts,
    int96_unit,
    leaves_of,
    piece_rows,
)
from batchdigits.rows.parquet.footer import check_footer
from batchdigits.rows.parquet.paged import READ_BUFFER, open_paged
from batchdigits.rows.parquet.stored import damage_as_unusable, open_whole
from batchdigits.rows.pixels import find_pixels, select_passthrough
from batchdigits.threads import prefetch

# Row groups up to this size are read in whole column chunks: these are as long as the footer says,
# while through a buffer a damaged page header makes pyarrow fill gigabytes with zeros.
SMALL_GROUP_BYTES = 32 << 20
BLOCK_BYTES = (
    4 << 20
)  # of columns of any length, or of columns of numbers, after which a block ends
VIEWS = ("string_view", "binary_view")
LEAST_REFUSED = 1 << 30  # bytes of such columns: less is never too much
LEAST_ROWS = 128  # of a block of numbers, however many columns there are
CELL_BYTES = 8  # that a cell which passes through costs at least: some formats write it as text


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
        self._name = name
        self._options = options
        self._machine = machine
        self._read = 0
        self._int96 = "ns"
        self._decoded = 0
        self._numbers: Generator[pa.RecordBatch, None, None] | None = None
        with damage_as_unusable(name), ExitStack() as opened:
            self._whole = opened.enter_context(closing(open_whole(path, machine.scratch)))
            self._stored = self._whole.file
            self._file = _opened(self._stored)
            schema = self._file.schema_arrow
            names = schema.names
            self.expected_rows = self._file.metadata.num_rows
            pixels = find_pixels(names, options.pixels, name)
            check_types(schema, pixels, name)
            kept = select_passthrough(names, pixels, options.select, name)
            self._columns = [*(names[i] for i in kept), *pixels.names]
            leaves = leaves_of(self._file.schema, self._columns)
            self._check_chunks(leaves)
            # Of the file as it is read now; schema.field(i) takes longer the more there are.
            fields = list(self._file.schema_arrow)
            opened.pop_all()  # from here on it is close() that closes
        place = {column: i for i, column in enumerate(names)}
        self.schema = pa.schema([fields[i] for i in kept])
        self._layout = ArrowLayout(
            pixels,
            tuple(range(len(kept))),
            pa.schema([fields[place[column]] for column in self._columns]),
        )

    def _check_chunks(self, leaves: list[Leaf]) -> None:
        metadata, name = self._file.metadata, self._name
        check_counts(metadata, leaves, name)
        _refuse_lossy(self._file.schema, leaves, name)
        int96 = [leaf.column for leaf in leaves if _is_int96(self._file.schema, leaf)]
        if int96:
            self._int96 = self._unit_of(list(dict.fromkeys(int96)))
            self._file = _opened(self._stored, metadata, self._int96)
        self._long = [leaf for leaf in leaves if leaf.repeated or leaf.long]

    def _unit_of(self, columns: list[str]) -> str:
        """The unit in which INT96 timestamps can be read; UnusableInputError if there is none."""
        metadata = self._file.metadata
        units = (_opened(self._stored, metadata, unit) for unit in ("ns", "us", "ms"))
        readers = [_batches(file, columns, PIECE_ROWS) for file in units]
        unit = int96_unit(zip(*readers, strict=True))
        if unit is None:
            raise UnusableInputError(
                f"{self._name}: the column {columns[0]!r} holds INT96 timestamps that no type can "
                "hold: beyond the year 2262 and with nanoseconds, or no times at all; leave it out "
                "with --keep, or write it as TIMESTAMP"
            )
        return unit

    def blocks(self) -> Iterator[pa.RecordBatch]:
        """Record batches of about `batch_rows` rows, fewer of long cells, in the file's order."""
        with damage_as_unusable(self._name):
            for batch in self._blocks():
                self._read += batch.num_rows
                self._whole.follow(min(self._read / max(self.expected_rows, 1), 1.0))
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
        width = sum(filter(None, widths.values())) + CELL_BYTES * len(self.schema)
        rows = min(self._machine.batch_rows, max(LEAST_ROWS, BLOCK_BYTES // max(width, 1)))
        if not long:
            yield from _batches(self._file, self._columns, rows)
            return
        if not fixed or self.expected_rows <= PIECE_ROWS:
            pieces = self._pieces(self._columns, rows)
            while (piece := self._counted(pieces.next(rows))) is not None:
                yield piece
            return
        # Two readers of the same bytes: a reader can't read its columns in batches of two sizes.
        numbers = _batches(_opened(self._stored, self._file.metadata, self._int96), fixed, rows)
        self._numbers = prefetch(numbers) if self._machine.threads > 1 else numbers
        pieces = self._pieces(long, rows)
        for batch in self._numbers:
            at = 0
            while at < batch.num_rows:
                piece = self._counted(pieces.next(batch.num_rows - at))
                if piece is None:
                    break
                yield _side_by_side(batch.slice(at, piece.num_rows), piece, self._layout.schema)
                at += piece.num_rows

    def _pieces(self, columns: list[str], rows: int) -> _Pieces:
        is_text = all(leaf.long for leaf in leaves_of(self._file.schema, columns))
        few = piece_rows(
            self._stored,
            self._file.metadata,
            self._long,
            self._name,
            beside=set(self._columns).difference(columns),
            most=rows if is_text else PIECE_ROWS,
        )
        return _Pieces(_batches(self._file, columns, min(rows, few)))

    def _counted(self, piece: pa.RecordBatch | None) -> pa.RecordBatch | None:
        """Refuse a file of which a few bytes become gigabytes: its rows would never end."""
        columns = [] if piece is None else piece.columns
        # A view refers to bytes that its neighbours have too.
        self._decoded += sum(c.nbytes for c in columns if not is_any(c.type, *VIEWS))
        if self._decoded > max(LEAST_REFUSED, MOST_GROWTH * self._stored.size()):
            raise UnusableInputError(
                f"{self._name}: its columns of text and lists take {self._decoded:,} bytes after "
                f"{self._read:,} rows, from a file of {self._stored.size():,}; leave out those "
                "that repeat long cells with --keep"
            )
        return piece

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
        return self._whole.digest()

    def verify_unchanged(self) -> None:
        self._whole.verify()

    def close(self) -> None:
        """Close the file after the thread that reads ahead has ended."""
        if self._numbers is not None:
            self._numbers.close()
        self._file.close(force=True)
        self._whole.close()


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


def _opened(
    stored: pa.NativeFile, metadata: pq.FileMetaData | None = None, int96: str = "ns"
) -> pq.ParquetFile:
    """Open a file, of which `metadata` are known if it was opened before."""
    is_large = metadata is not None and _has_large_groups(metadata)
    file = pq.ParquetFile(
        open_paged(stored, metadata) if is_large else stored,
        metadata=metadata,
        coerce_int96_timestamp_unit=int96,
        buffer_size=READ_BUFFER if is_large else 0,
        pre_buffer=False,
        page_checksum_verification=True,
    )
    if metadata is None:
        check_footer(file.metadata, stored.size())
        if _has_large_groups(file.metadata):
            return _opened(stored, file.metadata, int96)
    return file


def _has_large_groups(metadata: pq.FileMetaData) -> bool:
    sizes = (metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    return max(sizes, default=0) > SMALL_GROUP_BYTES


def _is_int96(schema: Any, leaf: Leaf) -> bool:
    return bool(schema.column(leaf.place).physical_type == "INT96")


def _refuse_lossy(schema: Any, leaves: list[Leaf], name: str) -> None:
    """Refuse columns of a type that Arrow reads as something else: their values would change."""
    for leaf in leaves:
        column = schema.column(leaf.place)
        kinds = {column.logical_type.type, column.converted_type}
        lossy = kinds.intersection(("INTERVAL", "GEOMETRY", "GEOGRAPHY", "VARIANT", "BSON"))
        if lossy:
            raise UnusableInputError(
                f"{name}: the column {leaf.column!r} is {lossy.pop()}, which would become plain "
                "bytes; leave it out with --keep, or write it as another type"
            )


@lru_cache(maxsize=256)
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
