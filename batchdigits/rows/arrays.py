"""Numeric columns of Arrow batches, checked and laid out as rows of 64 pixels.

Values are judged in the precision of their column and narrowed afterwards, so that 16.0000001 in a
float64 column is out of range, as it is in a CSV.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from batchdigits.errors import UnusableInputError
from batchdigits.images import DARKEST, PIXELS, SIDE
from batchdigits.rows.arrow import batch_of, is_any, take
from batchdigits.rows.contract import Pixels, Rows
from batchdigits.rows.naming import other_images
from batchdigits.rows.options import ReadOptions
from batchdigits.rows.pixels import PixelColumns
from batchdigits.rows.rejects import BY_RANK, FINE, RANKS, Reject
from batchdigits.text import listing

Numbers = NDArray[np.number[Any]]


def scaled(values: Numbers, maximum: float) -> NDArray[np.float32]:
    """Pixels of 0..`maximum` as pixels of 0..16: x * 16 / maximum, every step in float32."""
    with np.errstate(over="ignore"):  # what is no float32 is out of range
        return values.astype(np.float32) * np.float32(DARKEST) / np.float32(maximum)


@dataclass(frozen=True, slots=True)
class ArrowLayout:
    """The pixel columns of an Arrow schema, and the positions of those that pass through."""

    pixels: PixelColumns
    passthrough: tuple[int, ...]
    schema: pa.Schema

    @property
    def passthrough_schema(self) -> pa.Schema:
        return pa.schema([self.schema.field(i) for i in self.passthrough])


def check_types(schema: pa.Schema, pixels: PixelColumns, where: str) -> None:
    """Raise UnusableInputError, before data are read, for pixel columns that hold no numbers."""
    fields = [schema.field(name) for name in pixels.names]
    if pixels.is_list:
        _check_list_type(fields[0], where)
        return
    wrong = [f"{field.name} ({field.type})" for field in fields if not _is_number(field.type)]
    if wrong:
        raise UnusableInputError(
            f"{where}: {len(wrong)} pixel columns hold no numbers: {listing(wrong)}; expected "
            "integers, floats or decimals; cast them, or name other columns with --pixels"
        )


def check_batch(batch: pa.RecordBatch, layout: ArrowLayout, options: ReadOptions) -> Rows:
    """Check the rows of one batch whose schema is `layout.schema`.

    Rows with a null, a NaN, an infinity, a value outside 0..`options.darkest` or a list that is not
    64 long become rejects.
    """
    columns = [batch.column(i) for i in layout.passthrough]
    passthrough = batch_of(columns, batch.num_rows, layout.passthrough_schema)
    judged = _judge(batch, layout.pixels, options)
    if judged.ranks is not None or judged.fits is not None:
        return _with_rejects(batch, layout.pixels, options, passthrough, judged)
    nothing = passthrough.slice(0, 0)
    return Rows(_narrow(judged.values, options), passthrough, (), nothing, batch.num_rows)


@dataclass(frozen=True, slots=True)
class _Judged:
    """The pixels of a batch and their faults.

    values  number dtype, shape (m, 64), one row for each of the batch's rows that holds 64 pixels
    ranks   uint8, shape (m, 64): the rank of each pixel's reason, or FINE; None when all are fine
    fits    bool, one for each of the batch's rows: whether it is one of the m; None when all are
    """

    values: Numbers
    ranks: NDArray[np.uint8] | None
    fits: NDArray[np.bool_] | None


def _judge(batch: pa.RecordBatch, pixels: PixelColumns, options: ReadOptions) -> _Judged:
    if pixels.is_list:
        values, nulls, fits = _list_matrix(batch.column(pixels.names[0]))
        return _Judged(values, _ranks(values, nulls, options), fits)
    columns = [_plain(batch.column(name)) for name in pixels.names]
    values, nulls = _matrix(columns, batch.num_rows)
    return _Judged(values, _ranks(values, nulls, options), None)


def _with_rejects(
    batch: pa.RecordBatch,
    pixels: PixelColumns,
    options: ReadOptions,
    passthrough: pa.RecordBatch,
    judged: _Judged,
) -> Rows:
    rows = np.arange(batch.num_rows) if judged.fits is None else np.flatnonzero(judged.fits)
    fine = np.ones(len(rows), bool)
    rejects: list[Reject] = []
    if judged.ranks is not None:
        fine = judged.ranks.min(axis=1, initial=FINE) == FINE
        rejects += [
            _value_reject(batch, pixels, int(rows[i]), judged.ranks[i])
            for i in np.flatnonzero(~fine)
        ]
    if judged.fits is not None:
        rejects += [_list_reject(batch, pixels, int(i)) for i in np.flatnonzero(~judged.fits)]
        rejects.sort(key=lambda reject: reject.row)
    good = rows[fine].astype(np.int64)
    return Rows(
        pixels=_narrow(rows_of(judged.values, fine), options),
        passthrough=take(passthrough, good),
        rejects=tuple(rejects),
        rejected=take(passthrough, np.array([r.row for r in rejects], np.int64)),
        rows=batch.num_rows,
        good=good,
    )


def _matrix(columns: Sequence[pa.Array], rows: int) -> tuple[Numbers, NDArray[np.bool_] | None]:
    if not any(column.null_count for column in columns):
        by_column = _bytes_by_column(columns, rows)
        if by_column is not None:
            return by_column.T, None
    dtype = np.result_type(*{column.type.to_pandas_dtype() for column in columns})
    matrix = np.empty((rows, PIXELS), dtype, order="F")
    nulls = None
    for i, column in enumerate(columns):
        if column.null_count:
            nulls = np.zeros((rows, PIXELS), bool) if nulls is None else nulls
            nulls[:, i] = column.is_null().to_numpy(zero_copy_only=False)
        matrix[:, i] = _to_numpy(column)
    return matrix, nulls


def _bytes_by_column(columns: Sequence[pa.Array], rows: int) -> NDArray[np.uint8] | None:
    """Columns without nulls as bytes, shape (64, n), if all of their values are whole bytes.

    The columns stay end to end: in large batches the engine transposes them far faster.
    """
    if all(pa.types.is_uint8(column.type) for column in columns):
        end_to_end: NDArray[np.uint8] = pa.concat_arrays(columns).to_numpy()
        return end_to_end.reshape(PIXELS, rows)
    by_column = np.empty((PIXELS, rows), np.uint8)
    for column, place in zip(columns, by_column, strict=True):
        if not _put_bytes(_to_numpy(column), place):
            return None
    return by_column


def _put_bytes(values: Numbers, place: NDArray[np.uint8]) -> bool:
    """Write values into bytes of the same shape, and tell whether they are what was written.

    Fractions, NaN and what is not in 0..255 are not.
    """
    with np.errstate(invalid="ignore"):
        np.copyto(place, values, casting="unsafe")
    return np.array_equal(place, values)


def _list_matrix(
    column: pa.Array,
) -> tuple[Numbers, NDArray[np.bool_] | None, NDArray[np.bool_] | None]:
    """The lists that hold 64 values, a mask of their nulls, and one of their rows (None: all)."""
    lists, fits = _with_length(_stored(column), PIXELS)
    if _is_list(lists.type.value_type):  # rows of an image
        lists, fits = _with_length(_stored(column), SIDE)
        inner, inner_fits = _with_length(_stored(lists.flatten()), SIDE)
        if inner_fits is not None:
            whole = inner_fits.reshape(-1, SIDE).all(axis=1)
            inner = _stored(lists.filter(pa.array(whole)).flatten())
            fits = np.ones(len(column), bool) if fits is None else fits
            fits[fits] = whole
        lists = inner
    flat = _plain(lists.flatten())
    nulls = flat.is_null().to_numpy(zero_copy_only=False) if flat.null_count else None
    matrix = _to_numpy(flat).reshape(-1, PIXELS)
    if nulls is None and matrix.dtype != np.uint8:
        narrow = np.empty(matrix.shape, np.uint8)
        matrix = narrow if _put_bytes(matrix, narrow) else matrix
    return matrix, None if nulls is None else nulls.reshape(-1, PIXELS), fits


def _with_length(lists: pa.Array, length: int) -> tuple[pa.Array, NDArray[np.bool_] | None]:
    """The lists of a length, and a mask of them (None: all)."""
    import pyarrow.compute as pc

    lengths = pc.fill_null(pc.list_value_length(lists), -1).to_numpy(zero_copy_only=False)
    fits = lengths == length
    return (lists, None) if fits.all() else (lists.filter(pa.array(fits)), fits)


def _stored(column: pa.Array) -> pa.Array:
    """A tensor as the list that it is stored as."""
    return column.storage if isinstance(column, pa.ExtensionArray) else column


def _ranks(
    matrix: Numbers, nulls: NDArray[np.bool_] | None, options: ReadOptions
) -> NDArray[np.uint8] | None:
    """The rank of each pixel's reason, shape (m, 64); None when all pixels are fine."""
    # An integer limit keeps uint8 arithmetic in uint8.
    limit = options.darkest if matrix.dtype.kind == "f" else int(options.darkest)
    if nulls is None and matrix.max(initial=0) <= limit and matrix.min(initial=0) >= 0:
        return None  # a NaN spreads to the maximum and compares false
    in_range = (matrix <= limit) & (matrix >= 0)
    ranks = np.where(in_range, np.uint8(FINE), np.uint8(RANKS["out-of-range"]))
    if matrix.dtype.kind == "f":
        ranks[~np.isfinite(matrix)] = RANKS["not-finite"]
    if nulls is not None:
        ranks[nulls] = RANKS["missing"]
    return None if (ranks == FINE).all() else ranks


def _narrow(matrix: Numbers, options: ReadOptions) -> Pixels:
    """Checked values in the engine's types: uint8 when they are whole, else float32."""
    if options.scale is not None:
        return scaled(matrix, options.scale)
    if matrix.dtype.kind == "f":
        return np.ascontiguousarray(matrix, dtype=np.float32)
    return matrix.astype(np.uint8, copy=False)


def rows_of(matrix: NDArray[Any], chosen: NDArray[np.bool_]) -> NDArray[Any]:
    """The chosen rows of a matrix, in the same memory order."""
    return matrix.T.compress(chosen, axis=1).T if matrix.flags.fnc else matrix[chosen]


def _value_reject(
    batch: pa.RecordBatch, pixels: PixelColumns, row: int, ranks: NDArray[np.uint8]
) -> Reject:
    first = int(ranks.argmin())
    if pixels.is_list:
        column = f"{pixels.names[0]}[{first}]"
        cells = _cells_of_list(_stored(batch.column(pixels.names[0]))[row].as_py())
    else:
        column = pixels.names[first]
        cells = [batch.column(name)[row].as_py() for name in pixels.names]
    value = None if cells[first] is None else str(cells[first])
    reason = BY_RANK[ranks[first]]
    return Reject(row=row, reason=reason, column=column, value=value, raw=_json(cells))


def _list_reject(batch: pa.RecordBatch, pixels: PixelColumns, row: int) -> Reject:
    name = pixels.names[0]
    cells = _stored(batch.column(name))[row].values
    if cells is None:
        return Reject(row=row, reason="missing", column=name)
    if _is_list(cells.type):
        lengths = [None if each.values is None else len(each.values) for each in cells[:PIXELS]]
        value = f"{len(cells)} lists of {listing(map(str, dict.fromkeys(lengths)))} values"
        return Reject(row=row, reason="wrong-length", column=name, value=value)
    # A list may have millions of values, which would be gigabytes as Python objects.
    raw = _json(cells[: 2 * PIXELS].to_pylist())
    value = f"{len(cells)} values"
    return Reject(row=row, reason="wrong-length", column=name, value=value, raw=raw)


def _cells_of_list(values: list[Any]) -> list[Any]:
    """The pixels in a list of 64, or of eight lists."""
    return [c for each in values for c in each] if isinstance(values[0], list) else values


def _json(cells: list[object]) -> str:
    """Cells as JSON. JSON has no NaN and no infinity: they become text."""
    finite = [str(c) if isinstance(c, float) and not math.isfinite(c) else c for c in cells]
    return json.dumps(finite, default=str, allow_nan=False)


def _plain(column: pa.Array) -> pa.Array:
    """Dictionary-encoded and decimal columns as plain numbers."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_decimal(column.type):
        return column.cast(pa.float64())
    return column


def _to_numpy(column: pa.Array) -> Numbers:
    """Values of a column of numbers; a null becomes 0."""
    if column.null_count:
        column = column.fill_null(0)
    values: Numbers = column.to_numpy(zero_copy_only=False)
    return values


@lru_cache(maxsize=256)
def _is_number(kind: pa.DataType) -> bool:
    values = kind.value_type if pa.types.is_dictionary(kind) else kind
    return is_any(values, "integer", "floating", "decimal")


def _is_list(kind: pa.DataType) -> bool:
    return is_any(kind, "list", "large_list", "fixed_size_list")


def _check_list_type(field: pa.Field, where: str) -> None:
    """Take lists of 64 numbers, lists of eight lists, and tensors of these shapes."""
    stored = kind = field.type
    shape = getattr(kind, "shape", None)
    if isinstance(kind, pa.BaseExtensionType):
        stored = kind.storage_type
    lengths: list[int | None] = []
    while _is_list(stored):
        lengths.append(stored.list_size if pa.types.is_fixed_size_list(stored) else None)
        stored = stored.value_type
    if not lengths or not _is_number(stored):
        raise UnusableInputError(
            f"{where}: the pixel column {field.name!r} is {kind}, expected a list of numbers such "
            "as fixed_size_list<uint8>[64]; name other columns with --pixels"
        )
    sizes = list(shape) if shape is not None else lengths
    wanted = {1: (PIXELS,), 2: (SIDE, SIDE)}.get(len(sizes), ())
    if any(size not in (None, want) for size, want in zip(sizes, wanted, strict=False)) or (
        not wanted or getattr(kind, "permutation", None) not in (None, list(range(len(sizes))))
    ):
        count = math.prod(size or 1 for size in sizes)
        images = other_images(count) if None not in sizes else None
        raise UnusableInputError(
            f"{where}: the pixel column {field.name!r} is {kind}, expected {PIXELS} values, or "
            f"{SIDE} lists of {SIDE}; " + (f"its values {images}" if images else "reshape it")
        )
