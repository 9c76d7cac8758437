"""Pass-through cells as Arrow text, without a Python object for each."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from batchdigits.rows.arrow import positions


def slices(data: bytes, starts: NDArray[np.int32], ends: NDArray[np.int32]) -> pa.StringArray:
    """One compact array of data[start:end] for each pair; pairs ascend and don't overlap."""
    count = len(starts)
    if not count:
        return pa.nulls(0, pa.string())
    # Offsets at every start and end make an array over `data` itself: its even items are the cells,
    # its odd items the bytes between them. Taking the even ones copies each cell once.
    bounds = np.empty(2 * count, np.int32)
    bounds[0::2] = starts
    bounds[1::2] = ends
    whole = pa.StringArray.from_buffers(2 * count - 1, pa.py_buffer(bounds), pa.py_buffer(data))
    return whole.take(positions(np.arange(0, 2 * count, 2)))


def text_column(
    data: bytes, starts: NDArray[np.int32], ends: NDArray[np.int32], *, quotes: bool
) -> pa.StringArray:
    """Cells as text: without their quotes, a doubled quote as a single one.

    `quotes` is whether `data` has any. A cell that holds a quote is a quoted cell here.
    """
    if not quotes or not len(starts):
        return slices(data, starts, ends)
    b = np.frombuffer(data, np.uint8)
    quoted = b[starts] == 34  # an empty cell starts at its separator
    inner = slices(data, starts + quoted, ends - quoted)
    values = inner.buffers()[2]
    if values is not None and b'"' in values.to_pybytes():
        import pyarrow.compute as pc

        inner = pc.replace_substring(inner, '""', '"')
    return inner


def without_undecodable(column: pa.StringArray, suspects: list[int]) -> pa.StringArray:
    """The column with null for each of the `suspects` that is not UTF-8 or holds a NUL."""
    raw = column.view(pa.binary())
    readable = np.ones(len(column), np.bool_)
    readable[[i for i in suspects if not decodable(raw[i].as_py())]] = False
    return column.take(positions(np.arange(len(column)), readable))


def decodable(text: bytes) -> bool:
    """Whether bytes are UTF-8 without a NUL."""
    if b"\0" in text:
        return False
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
