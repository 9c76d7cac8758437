"""Many cells at once, without a Python object for each: as Arrow text, or as plain numbers.

A plain number is digits with an optional decimal part.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from batchdigits.rows.arrow import flags, positions

Positions = NDArray[np.int32]

SHORT = 15  # bytes of the longest cell whose digits float64 holds exactly
LONGEST_CAST = 40  # bytes; longer cells are judged one by one: a cast of 400 digits would overflow


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

    Cells are read from the right, all at once. A whole number below 2**53 divided by a power of ten
    up to 10**22 is correctly rounded (Clinger 1990, "How to read floating point numbers
    accurately").
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
            misplaced = is_dot & (dotted | (lengths == place) | (place == 1))
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


def long_numbers(
    data: bytes, starts: Positions, ends: Positions
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """`short_numbers` for longer cells, up to `LONGEST_CAST` bytes, in the order of the file."""
    lengths = ends - starts
    plain = (lengths > SHORT) & (lengths <= LONGEST_CAST)
    values = np.zeros(len(starts))
    if not plain.any():
        return values, plain
    texts = slices(data, np.where(plain, starts, ends), ends)
    plain &= _plain_numbers(texts)
    if plain.all():
        values = _cast(texts)
    elif plain.any():
        values[plain] = _cast(texts.filter(flags(plain)))
    return values, plain


def _cast(numbers: pa.StringArray) -> NDArray[np.float64]:
    cast = numbers.cast(pa.float64())
    return np.frombuffer(cast.buffers()[1], np.float64, len(cast))


def _plain_numbers(texts: pa.StringArray) -> NDArray[np.bool_]:
    """A mask of the texts that are digits with an optional decimal part and nothing else."""
    offsets = np.frombuffer(texts.buffers()[1], np.int32, len(texts) + 1)
    size = int(offsets[-1])
    if size == 0:
        return np.zeros(len(texts), np.bool_)
    x = np.frombuffer(texts.buffers()[2], np.uint8, size)
    digit = (x - np.uint8(48)) < 10
    # Only one dot a text is allowed besides digits, with a digit on both sides of it.
    others = np.flatnonzero(~digit)
    plain = offsets[1:] > offsets[:-1]
    if not len(others):
        return plain
    owner = np.searchsorted(offsets, others, side="right") - 1
    inner = (others > offsets[owner]) & (others < offsets[owner + 1] - 1)
    plain[owner[(x[others] != 46) | ~inner]] = False
    plain[owner[1:][owner[1:] == owner[:-1]]] = False
    return plain
