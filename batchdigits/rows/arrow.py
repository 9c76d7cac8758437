"""Record batches of pass-through columns, of any type, also without any column.

Arrow counts the rows of a batch on its columns, and can't take rows of its view types: this module
works around both. Arrays are made from buffers: `pyarrow.array` and `pyarrow.scalar` import pandas
and parts of NumPy, functions of arrays import `pyarrow.compute`, and both cost more than scoring a
small file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

BYTES = ("binary", "large_binary", "fixed_size_binary", "binary_view")


def is_any(kind: pa.DataType, *families: str) -> bool:
    """Return whether a type is of a family that `pyarrow.types` tests, such as "integer"."""
    return any(getattr(pa.types, f"is_{family}")(kind) for family in families)


def batch_of(columns: Sequence[pa.Array], rows: int, schema: pa.Schema) -> pa.RecordBatch:
    """A batch of `rows` rows, also without any column."""
    if columns:
        return pa.RecordBatch.from_arrays(list(columns), schema=schema)
    return pa.record_batch([pa.nulls(rows)], names=["rows"]).select([])


def numbers(values: NDArray[Any]) -> pa.Array:
    """A NumPy array of numbers, shape (n,), as an Arrow array of the same type, without a copy."""
    kind = pa.from_numpy_dtype(values.dtype)
    buffer = pa.py_buffer(np.ascontiguousarray(values))
    return pa.Array.from_buffers(kind, len(values), [None, buffer])


def repeated(text: str | None, rows: int) -> pa.Array:
    """One text, or a null, `rows` times: as an array of strings."""
    if text is None:
        return pa.nulls(rows, pa.string())
    data = text.encode()
    offsets = np.arange(rows + 1, dtype=np.int32) * np.int32(len(data))
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(data * rows)]
    return pa.Array.from_buffers(pa.string(), rows, buffers)


def pick(array: pa.Array, places: NDArray[np.int64]) -> pa.Array:
    """The values of an array without nulls at `places`, in their order."""
    kind = array.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return array.take(positions(places))
    dtype = np.dtype(kind.to_pandas_dtype())
    start = array.offset * dtype.itemsize
    return numbers(np.frombuffer(array.buffers()[1], dtype, len(array), start)[places])


def positions(places: NDArray[np.int64], present: NDArray[np.bool_] | None = None) -> pa.Array:
    """Places to take from an array; null where not `present`."""
    validity = None if present is None else _bits(present)
    return pa.Array.from_buffers(pa.int64(), len(places), [validity, pa.py_buffer(places)])


def changes(column: pa.Array) -> NDArray[np.bool_]:
    """Tell for each of n values but the first whether it differs from the one before it: (n - 1,).

    Two nulls are the same; two NaNs differ.
    """
    import pyarrow.compute as pc

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    unequal = pc.not_equal(column[1:], column[:-1])
    if column.null_count:
        is_null = column.is_null()
        unequal = pc.fill_null(unequal, pc.not_equal(is_null[1:], is_null[:-1]))
    return np.asarray(unequal.to_numpy(zero_copy_only=False), np.bool_)


def _bits(mask: NDArray[np.bool_]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(mask, bitorder="little"))


def take(batch: pa.RecordBatch, places: NDArray[np.int64]) -> pa.RecordBatch:
    """The rows of a batch at `places`, in their order, with the same types."""
    indices = positions(np.ascontiguousarray(places, np.int64))
    columns = [_taken(column, indices) for column in batch.columns]
    return batch_of(columns, len(places), batch.schema)


def joined(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """The rows of one or more batches of the same schema, one batch after the other."""
    if len(batches) == 1:
        return batches[0]
    columns = [
        pa.concat_arrays([batch.column(i) for batch in batches])
        for i in range(batches[0].num_columns)
    ]
    return batch_of(columns, sum(batch.num_rows for batch in batches), batches[0].schema)


def _taken(column: pa.Array, indices: pa.Array) -> pa.Array:
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        return kind.wrap_array(_taken(column.storage, indices))
    plain = _without_views(kind)
    if plain.equals(kind):
        return column.take(indices)
    return column.cast(plain).take(indices).cast(kind)


def _without_views(kind: pa.DataType) -> pa.DataType:
    """The type of the same values whose text and bytes are not views."""
    if pa.types.is_string_view(kind):
        return pa.large_string()
    if pa.types.is_binary_view(kind):
        return pa.large_binary()
    if pa.types.is_struct(kind):
        return pa.struct([_field_without_views(field) for field in kind])
    if pa.types.is_map(kind):
        return pa.map_(_field_without_views(kind.key_field), _field_without_views(kind.item_field))
    return _list_without_views(kind)


def _list_without_views(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_list(kind):
        return pa.list_(_field_without_views(kind.value_field))
    if pa.types.is_large_list(kind):
        return pa.large_list(_field_without_views(kind.value_field))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(_field_without_views(kind.value_field), kind.list_size)
    return kind


def _field_without_views(field: pa.Field) -> pa.Field:
    return field.with_type(_without_views(field.type))
