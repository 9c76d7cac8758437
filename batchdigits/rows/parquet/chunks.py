"""The column chunks of a Parquet file, looked through before any of them is decoded.

A few bytes can stand for gigabytes: a run in a list, a long text that a dictionary holds once. So
what a chunk becomes in memory is worked out first, as values times bytes.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from batchdigits.errors import UnusableInputError
from batchdigits.rows.parquet.pages import Page, pages_of

# Bytes of a cell of a row group, on average: nobody reads longer texts, and a few kilobytes of
# them, compressed, would fill all memory.
LONGEST_CELL = 16 << 20
LARGEST_PAGE = 256 << 20
PIECE_BYTES = 32 << 20  # of decoded values that are read at once, at most
PIECE_ROWS = 1024  # of columns of any length, at most
SMALL_DICTIONARY = 1 << 15  # bytes; PIECE_ROWS times its longest entry are no danger
MOST_GROWTH = 512  # how many bytes in memory one byte of a list column may become

_LITTLE = {"pre_buffer": False, "buffer_size": 1 << 16}  # for a look at one page of a chunk
_CODECS = ("SNAPPY", "ZSTD", "GZIP", "BROTLI")
_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "FLOAT": 4, "INT96": 8}


@dataclass(frozen=True, slots=True)
class Leaf:
    """A column of the file that is stored as such.

    place     its number in the file
    column    the top-level column that it belongs to
    repeated  whether a row may have several of its values
    long      whether its values have no fixed length
    """

    place: int
    column: str
    repeated: bool
    long: bool


def leaves_of(schema: Any, columns: Iterable[str]) -> list[Leaf]:
    """The leaves of some top-level columns of a ParquetSchema."""
    wanted = set(columns)
    leaves = []
    for place in range(len(schema)):
        leaf = schema.column(place)
        column = _top(leaf.path, wanted)
        if column is not None:
            long = leaf.physical_type == "BYTE_ARRAY"
            leaves.append(Leaf(place, column, leaf.max_repetition_level > 0, long))
    return leaves


def _top(path: str, wanted: set[str]) -> str | None:
    """The wanted column that a path belongs to; names may hold dots themselves."""
    if path in wanted:
        return path
    stops = (at for at, char in enumerate(path) if char == ".")
    return next((path[:at] for at in stops if path[:at] in wanted), None)


def check_counts(metadata: pq.FileMetaData, leaves: list[Leaf], name: str) -> None:
    """Raise UnusableInputError unless every chunk has a value for each row of its row group.

    A footer whose counts of rows are too small would else hide rows. Nor may its cells be too long
    for memory.
    """
    rows = 0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        rows += group.num_rows
        most = LONGEST_CELL * max(group.num_rows, 1)
        for leaf in leaves:
            chunk = group.column(leaf.place)
            values = chunk.num_values
            if values != group.num_rows and not (leaf.repeated and values > group.num_rows):
                raise UnusableInputError(
                    f"{name}: row group {number + 1} has {group.num_rows} rows, but {values} "
                    f"values of column {chunk.path_in_schema}: the file is damaged; restore or "
                    "re-create it"
                )
            if chunk.total_uncompressed_size > most:
                raise UnusableInputError(
                    f"{name}: row group {number + 1} of {group.num_rows} rows holds "
                    f"{chunk.total_uncompressed_size:,} bytes of column {chunk.path_in_schema}, "
                    f"more than {LONGEST_CELL:,} a cell; leave the column out with --keep, or "
                    "re-create the file without such cells"
                )
    if rows != metadata.num_rows:
        raise UnusableInputError(
            f"{name}: its row groups have {rows} rows where the Parquet footer promises "
            f"{metadata.num_rows}: the file is damaged; restore or re-create it"
        )


def piece_rows(
    stored: pa.NativeFile,
    metadata: pq.FileMetaData,
    leaves: list[Leaf],
    name: str,
    *,
    beside: Collection[str] = (),
    most: int = PIECE_ROWS,
    fix: str = "leave the column out with --keep, or re-create the file with shorter cells",
) -> int:
    """The rows to read at once of columns whose cells have any length.

    beside  columns that are looked through too, but read apart from the others
    most    the rows that are wanted of columns of text alone, if row groups are small in memory
    fix     what to do about a chunk that would take too much

    Raises UnusableInputError for a chunk that would become far more in memory than it is on disk.
    """
    rows = PIECE_ROWS
    data = _Window(stored)
    largest = 0.0  # bytes of a row group in memory
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        in_group = 0.0
        for leaf in leaves:
            chunk = group.column(leaf.place)
            shape = _shape(data, chunk)
            if shape.largest > LARGEST_PAGE:
                raise _too_large(name, number, chunk, shape.largest, fix)
            unit = _WIDTHS.get(chunk.physical_type, 8) + 4
            longest = 0
            if leaf.long:
                unit = 8
                if shape.dictionary is not None:
                    longest = _longest_text(stored, metadata, number, leaf, shape.dictionary)
                    unit += longest if shape.dictionary.size > SMALL_DICTIONARY else 0
            size = shape.values * unit
            growth = MOST_GROWTH * max(chunk.total_compressed_size, 1)
            if leaf.repeated and size > max(growth, PIECE_BYTES):
                raise _too_large(name, number, chunk, size, fix)
            if leaf.column not in beside:
                a_row = size // max(group.num_rows, 1) + 1
                rows = min(rows, max(PIECE_BYTES // a_row, 1))
                in_group += shape.values * (12 + longest) + shape.in_full
        largest = max(largest, in_group)
    if rows < PIECE_ROWS or 2 * largest > PIECE_BYTES:
        return rows
    # As many rows as the smallest row group has are in two of them at most.
    groups = range(metadata.num_row_groups - 1)
    fewest: int = min((metadata.row_group(number).num_rows for number in groups), default=most)
    return max(rows, min(most, fewest))


def _too_large(name: str, number: int, chunk: Any, size: int, fix: str) -> UnusableInputError:
    return UnusableInputError(
        f"{name}: column {chunk.path_in_schema} of row group {number + 1} is "
        f"{chunk.total_compressed_size:,} bytes in the file and would take {size:,} in memory; "
        f"{fix}"
    )


@dataclass(frozen=True, slots=True)
class _Shape:
    """The values of a chunk's pages, its dictionary, and the bytes of its largest page.

    in_full  the bytes of all pages; infinite if some store values neither in full nor as an index
    """

    values: int
    dictionary: Page | None
    largest: int
    in_full: float


def _shape(data: _Window, chunk: Any) -> _Shape:
    try:
        pages = list(pages_of(data, chunk))
    except ValueError as error:
        raise pa.ArrowInvalid(str(error)) from error
    return _Shape(
        values=sum(page.values for page in pages if not page.dictionary),
        dictionary=next((page for page in pages if page.dictionary), None),
        largest=max((page.size for page in pages), default=0),
        in_full=sum(
            page.size if page.plain or page.indexed or page.dictionary else math.inf
            for page in pages
        ),
    )


def _longest_text(
    stored: pa.NativeFile, metadata: pq.FileMetaData, number: int, leaf: Leaf, page: Page
) -> int:
    """The bytes of the longest text in the dictionary of a leaf in a row group, or more."""
    short = _longest_short(stored, metadata.row_group(number).column(leaf.place), page)
    if short is not None:
        return short
    if page.size <= SMALL_DICTIONARY:
        return page.size
    return _longest(_dictionary(stored, metadata, number, leaf), page)


def _dictionary(
    stored: pa.NativeFile, metadata: pq.FileMetaData, number: int, leaf: Leaf
) -> pa.RecordBatch:
    """The first row of a leaf in a row group, with the dictionary that its text refers to."""
    path = metadata.row_group(number).column(leaf.place).path_in_schema
    file = pq.ParquetFile(stored, metadata=metadata, read_dictionary=[path], **_LITTLE)
    return next(file.iter_batches(1, [number], [leaf.column], use_threads=False))


def _longest(batch: pa.RecordBatch, page: Page) -> int:
    """The bytes of the longest value in the dictionaries of a batch.

    Other values are stored in full: they take no more memory than their page.
    """
    import pyarrow.compute as pc  # most files need none of it

    arrays = [a for column in batch.columns for a in leaf_arrays(column)]
    texts = [array.dictionary for array in arrays if pa.types.is_dictionary(array.type)]
    lengths = [pc.max(pc.binary_length(text)).as_py() or 0 for text in texts]
    return max(lengths, default=page.size)


def _longest_short(stored: pa.NativeFile, chunk: Any, page: Page) -> int | None:
    """The bytes of the longest text of a dictionary; None if one is empty, long or holds NULs.

    Arrow takes ten times longer to build a dictionary of as many texts as ids are.
    """
    data = stored.read_at(page.stored, page.start)
    if chunk.compression in _CODECS:
        codec = pa.Codec(chunk.compression.lower())
        data = codec.decompress(data, page.size)
    elif chunk.compression != "UNCOMPRESSED":
        return None
    # Before each text is its length in four bytes, of which three are 0 if it is below 256.
    b = np.frombuffer(data, np.uint8)
    step = 4 + int(b[0]) if len(b) else 0
    if step and len(b) % step == 0:  # ids are often all of one length
        lengths = np.ndarray(len(b) // step, "<u4", data, strides=(step,))
        if (lengths == step - 4).all():
            return step - 4
    zero = b == 0
    starts = np.flatnonzero(zero[1:-2] & zero[2:-1] & zero[3:])
    lengths = b[starts].astype(np.int64)
    ends = np.append(starts[1:], len(b))
    if len(starts) and starts[0] == 0 and (starts + 4 + lengths == ends).all():
        return int(lengths.max())
    return None


def leaf_arrays(array: pa.Array) -> Iterator[pa.Array]:
    """The arrays of plain values in a nested array."""
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        yield from leaf_arrays(array.storage)
    elif pa.types.is_struct(kind):
        for field in array.flatten():
            yield from leaf_arrays(field)
    elif pa.types.is_map(kind):
        yield from leaf_arrays(array.keys)
        yield from leaf_arrays(array.items)
    elif pa.types.is_nested(kind):
        yield from leaf_arrays(array.flatten())
    else:
        yield array


class _Window:
    """The bytes of a file, a few kilobytes of which are in memory at a time."""

    SIZE = 1 << 12

    def __init__(self, stored: pa.NativeFile) -> None:
        self._stored = stored
        self._start = 0
        self._bytes = b""

    def __getitem__(self, at: int, /) -> int:
        place = at - self._start
        if not 0 <= place < len(self._bytes):
            if at < 0:
                raise IndexError(at)
            self._bytes, self._start = self._stored.read_at(self.SIZE, at), at
            place = 0
        return self._bytes[place]


def int96_unit(batches: Iterable[tuple[pa.RecordBatch, ...]]) -> str | None:
    """The unit in which INT96 timestamps can be read without a loss; None if there is none.

    batches  the same rows read in nanoseconds, microseconds and milliseconds

    Nanoseconds and microseconds wrap around beyond the years 2262 and 294247.
    """
    beyond = finer = False
    for columns in batches:
        leaves = ([a for c in batch.columns for a in leaf_arrays(c)] for batch in columns)
        for arrays in zip(*leaves, strict=True):
            values = (a.view(pa.int64()).drop_null().to_numpy(zero_copy_only=False) for a in arrays)
            nano, micro, milli = values
            rest = nano - micro * np.int64(1000)
            if ((rest < 0) | (rest > 999)).any() or (micro // 1000 != milli).any():
                return None
            finer |= bool(rest.any())
            beyond |= bool((nano // 1000 != micro).any())
    return None if beyond and finer else "us" if beyond else "ns"
