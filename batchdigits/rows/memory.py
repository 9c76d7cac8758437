"""Rows in memory: Arrow, NumPy and pandas."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from batchdigits.errors import UsageError
from batchdigits.images import PIXELS
from batchdigits.rows.arrays import ArrowLayout, check_batch, check_types
from batchdigits.rows.contract import Rows
from batchdigits.rows.options import BATCH_ROWS, ReadOptions
from batchdigits.rows.pixels import find_pixels, select_passthrough

WHERE = "rows"


def to_table(rows: Any) -> pa.Table:
    """Turn a table, a record batch, a DataFrame or an (n, 64) array into an Arrow table.

    Raises UsageError for anything else.
    """
    if isinstance(rows, pa.Table):
        return rows
    if isinstance(rows, pa.RecordBatch):
        return pa.Table.from_batches([rows])
    if isinstance(rows, np.ma.MaskedArray):
        raise UsageError("can't predict a masked array: fill the masked values, or drop their rows")
    if isinstance(rows, np.ndarray):
        return _array_to_table(rows)
    pandas = sys.modules.get("pandas")  # a DataFrame can't exist unless it is imported
    if pandas is not None and isinstance(rows, pandas.DataFrame):
        return _frame_to_table(rows)
    raise UsageError(
        f"can't predict {type(rows).__name__}: expected an Arrow table or record batch, a pandas "
        f"DataFrame, or a NumPy array of shape (n, {PIXELS})"
    )


def as_given(rows: Any, table: pa.Table) -> Any:
    """Return the results for rows: a DataFrame with the same index for a DataFrame, else a table.

    Columns of few texts become plain text, not categories that the next comparison would trip on.
    """
    if isinstance(rows, (pa.Table, pa.RecordBatch, np.ndarray)):
        return table
    frame = table.to_pandas(strings_to_categorical=False)
    return frame.set_axis(rows.index, axis="index")


def layout_of(schema: pa.Schema, options: ReadOptions, where: str) -> ArrowLayout:
    """Find the pixels and the pass-through columns of record batches with a schema.

    Raises UnusableInputError or UsageError, naming the rows as `where`, if they can't be scored.
    """
    pixels = find_pixels(schema.names, options.pixels, where)
    check_types(schema, pixels, where)
    kept = select_passthrough(schema.names, pixels, options.select, where)
    return ArrowLayout(pixels, tuple(kept), schema)


def check_table(
    table: pa.Table, options: ReadOptions, batch_rows: int = BATCH_ROWS
) -> tuple[pa.Schema, Iterator[Rows]]:
    """The pass-through schema, and checked rows batch by batch in the table's order.

    Raises UnusableInputError or UsageError for columns that can't be scored.
    """
    layout = layout_of(table.schema, options, WHERE)
    batches = table.to_batches(max_chunksize=batch_rows)
    return layout.passthrough_schema, (check_batch(batch, layout, options) for batch in batches)


def _frame_to_table(frame: Any) -> pa.Table:
    try:
        return pa.Table.from_pandas(frame.rename(columns=str), preserve_index=False)
    except pa.ArrowException as error:
        detail = " ".join(str(error).split())
        raise UsageError(
            f"the DataFrame has a column of mixed types ({detail}); cast it"
        ) from error


def _array_to_table(array: np.ndarray[Any, Any]) -> pa.Table:
    if array.ndim != 2 or array.shape[1] != PIXELS or array.dtype.kind not in "uif":
        raise UsageError(
            f"got an array of shape {array.shape} and dtype {array.dtype}, expected (n, {PIXELS}) "
            "real numbers; an array of images needs .reshape(len(images), 64)"
        )
    if not array.dtype.isnative or array.dtype.itemsize > 8:  # Arrow takes neither
        array = array.astype(np.float64 if array.dtype.kind == "f" else np.int64)
    flat = pa.array(np.ascontiguousarray(array).reshape(-1))
    return pa.table({"pixels": pa.FixedSizeListArray.from_arrays(flat, PIXELS)})
