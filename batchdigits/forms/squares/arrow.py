"""Square pictures from Parquet: a column for each pixel, or one list column."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from batchdigits.errors import UnusableInputError
from batchdigits.forms.squares.block import (
    Refusal,
    SquareBlock,
    SquareOptions,
    block_of,
    rows_at_a_time,
)
from batchdigits.forms.squares.columns import find_squares, refuse_size, side_of
from batchdigits.rows.arrow import take
from batchdigits.rows.parquet.chunks import leaves_of, piece_rows
from batchdigits.rows.parquet.footer import check_footer
from batchdigits.rows.parquet.stored import damage_as_unusable
from batchdigits.text import listing

_SHORTER = "re-create the file with shorter cells"


class SquareParquet:
    """The squares of a Parquet file. The constructor reads its schema, and `blocks()` its rows.

    Raises UnusableInputError where the file is unusable as a whole, and pyarrow's exceptions for
    one that is damaged.
    """

    def __init__(
        self, file: pq.ParquetFile, stored: pa.NativeFile, options: SquareOptions, name: str
    ) -> None:
        self._file, self._stored, self._name = file, stored, name
        schema = file.schema_arrow
        lists = [f.name for f in schema if _is_list(f.type)]
        self._columns = find_squares(schema.names, lists, options.pixels, name)
        self._scale = options.scale or 255
        self._check_types(schema)
        pixels = set(self._columns.names)
        self.others = pa.schema([f for f in schema if f.name not in pixels])
        self._side = self._columns.side

    def blocks(self) -> Iterator[SquareBlock]:
        row = 1
        for batch in self._batches():
            numbers = np.arange(row, row + batch.num_rows)
            row += batch.num_rows
            values, fits = self._list(batch) if self._columns.is_list else self._matrix(batch)
            refused: list[Refusal] = [
                (int(number), "wrong-length", f"the list does not hold {self._pixels} values")
                for number in numbers[~fits]
            ]
            others = take(batch.select(self.others.names), np.flatnonzero(fits))
            yield block_of(values, numbers[fits], others, refused, self._scale)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        """Read the rows; only of what happens here the file can be the cause."""
        with damage_as_unusable(self._name):
            check_footer(self._file.metadata, self._stored.size())
            leaves = leaves_of(self._file.schema, self._file.schema_arrow.names)
            long = [leaf for leaf in leaves if leaf.repeated or leaf.long]
            few = piece_rows(self._stored, self._file.metadata, long, self._name, fix=_SHORTER)
            rows = min(few, rows_at_a_time(self._pixels or 1))
            yield from self._file.iter_batches(rows, use_threads=False)

    @property
    def _pixels(self) -> int:
        return (self._side or 0) ** 2

    def _matrix(self, batch: pa.RecordBatch) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        columns = [_floats(batch.column(name)) for name in self._columns.names]
        return np.stack(columns, axis=1), np.ones(batch.num_rows, np.bool_)

    def _list(self, batch: pa.RecordBatch) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Return the values of the lists that hold a square as large as the first one does."""
        lists = [
            _flat(value.values) if value.is_valid else None
            for value in batch.column(self._columns.names[0])
        ]
        if self._side is None:
            lengths = [len(values) for values in lists if values is not None]
            self._side = next(filter(None, map(side_of, lengths)), None)
            if self._side is None:
                raise UnusableInputError(
                    f"{self._name}: the lists of {self._columns.names[0]!r} hold "
                    f"{listing(map(str, sorted(set(lengths)))) or 'no'} values, expected as many "
                    "as a square has pixels"
                )
            refuse_size(self._pixels, self._name)
        fits = np.array([v is not None and len(v) == self._pixels for v in lists], np.bool_)
        kept = [
            values for values, fit in zip(lists, fits, strict=True) if fit and values is not None
        ]
        return np.array(kept, np.float64).reshape(-1, self._pixels), fits

    def _check_types(self, schema: pa.Schema) -> None:
        wrong = [
            f"{name} ({schema.field(name).type})"
            for name in self._columns.names
            if _is_list(schema.field(name).type) != self._columns.is_list
            or not _is_number(_innermost(schema.field(name).type))
        ]
        if wrong:
            raise UnusableInputError(
                f"{self._name}: {len(wrong)} pixel columns hold no numbers: {listing(wrong)}; "
                "cast them to integers or floats"
            )


def _floats(column: pa.Array) -> NDArray[np.float64]:
    """Return numbers as float64; a null becomes NaN, 2**63 - 1 a neighbour that float64 has."""
    floats: NDArray[np.float64] = column.cast(pa.float64(), safe=False).to_numpy(
        zero_copy_only=False
    )
    return floats


def _flat(values: pa.Array) -> NDArray[np.float64]:
    while _is_list(values.type):
        values = values.flatten()
    return _floats(values)


def _is_list(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _innermost(kind: pa.DataType) -> pa.DataType:
    while _is_list(kind):
        kind = kind.value_type
    return kind


def _is_number(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(
        types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_decimal(kind)
        or types.is_boolean(kind)
    )
