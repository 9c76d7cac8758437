"""Many cells at once, without a Python object for each: as Arrow text, or as numbers."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from batchdigits.rows.arrow import positions

Positions = NDArray[np.int32]

SHORT = 15  # bytes of the longest cell whose digits float64 holds exactly
LONGEST_CAST = 40  # bytes; longer cells are judged one by one
FEW_CELLS = 32  # with a cell among them that is no number they are judged one by one


def slices(data: bytes, starts: Positions, ends: Positions) -> pa.StringArray:
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


def text_column(data: bytes, starts: Positions, ends: Positions, *, quotes: bool) -> pa.StringArray:
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


def cell_text(cell: bytes) -> str:
    """One cell as text, as `text_column` gives it."""
    if cell[:1] == cell[-1:] == b'"' and len(cell) >= 2:
        cell = cell[1:-1].replace(b'""', b'"')
    return cell.decode()


def without_undecodable(column: pa.StringArray, suspects: list[int]) -> pa.StringArray:
    """The column with null for each of the `suspects` that is not UTF-8 or holds a NUL."""
    raw = column.view(pa.binary())
    readable = np.ones(len(column), np.bool_)
    readable[[i for i in suspects if not decodable(raw[i].as_py())]] = False
    return column.take(positions(np.arange(len(column)), readable))


def decodable(text: bytes) -> bool:
    """Return whether bytes are UTF-8 without a NUL."""
    if b"\0" in text:
        return False
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def short_numbers(
    b: NDArray[np.uint8], starts: Positions, ends: Positions
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Values of cells, and a mask of those that are plain numbers of at most `SHORT` bytes.

    A plain number is digits with at most one point before, inside or after them. Cells are read
    from the right, all at once. A whole number below 2**53 divided by a power of ten up to 10**22
    is correctly rounded (Clinger 1990, "How to read floating point numbers accurately").
    """
    lengths = np.minimum(ends - starts, SHORT + 1).astype(np.uint8)
    plain = (lengths > 0) & (lengths <= SHORT)
    digits = np.zeros(len(starts))  # all of them, the dot read as a 0
    decimals = np.zeros(len(starts))  # those after the dot
    power = np.ones(len(starts))
    dotted = np.zeros(len(starts), np.bool_)
    longest = int(lengths.max(initial=0, where=plain))
    for place in range(1, longest + 1):
        within = lengths >= place
        char = b.take(ends - place, mode="clip")
        digit = char - np.uint8(48)
        is_digit = digit < 10
        is_dot = (char == 46) & within
        plain &= is_digit | ~within | is_dot
        if is_dot.any():
            misplaced = is_dot & (dotted | (lengths == 1))
            plain &= ~misplaced
            dotted |= is_dot
            np.copyto(decimals, digits, where=is_dot)
            np.copyto(power, 10.0 ** (place - 1), where=is_dot)
        digit *= (is_digit & within).view(np.uint8)
        digits += digit * 10.0 ** (place - 1)
    if dotted.any():
        shifted = (digits - decimals) / 10 + decimals
        digits = np.where(dotted, shifted, digits) / power
    return digits, plain


def cast_numbers(
    data: bytes, starts: Positions, ends: Positions
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Values of cells in the order of the file, and a mask of those that Arrow reads as numbers.

    Arrow reads signs, points and exponents, rounds correctly, and also takes `nan` and `inf`: only
    finite values count here. Cells of no byte or more than `LONGEST_CAST` are not tried.
    """
    lengths = ends - starts
    tried = np.flatnonzero((lengths > 0) & (lengths <= LONGEST_CAST))
    values = np.full(len(starts), np.nan)
    values[tried] = _cast(slices(data, starts[tried], ends[tried]))
    return values, np.isfinite(values)


def _cast(texts: pa.StringArray) -> NDArray[np.float64]:
    """Texts as numbers, NaN for the others. Arrow casts all or none: halves corner the others."""
    try:
        cast = texts.cast(pa.float64())
    except pa.ArrowInvalid:
        half = len(texts) // 2
        if half < FEW_CELLS:
            return np.full(len(texts), np.nan)
        return np.concatenate([_cast(texts[:half]), _cast(texts[half:])])
    return np.frombuffer(cast.buffers()[1], np.float64, len(cast))
