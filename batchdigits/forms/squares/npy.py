"""Square pictures from an npy file: an array (n, side, side) or (n, side * side)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from batchdigits.errors import UnusableInputError
from batchdigits.forms.crop import LEAST_SIDE
from batchdigits.forms.squares.block import (
    SquareBlock,
    SquareOptions,
    block_of,
    rows_at_a_time,
)
from batchdigits.forms.squares.columns import refuse_size, side_of
from batchdigits.rows.arrow import batch_of


class SquareArray:
    """The squares of an array, bool or numbers. Raises UnusableInputError for another array."""

    others = pa.schema([])

    def __init__(self, array: NDArray[Any], options: SquareOptions, name: str) -> None:
        shape = array.shape
        if len(shape) == 4 and shape[-1] == 1:
            array = array[..., 0]
        side = array.shape[1] if array.ndim == 3 and array.shape[1] == array.shape[2] else None
        if array.ndim == 2:
            side = side_of(array.shape[1])
        if side is None or side < LEAST_SIDE or array.dtype.kind not in "buif":
            raise UnusableInputError(
                f"{name}: holds an array of shape {shape} and dtype {array.dtype}, expected "
                "numbers of shape (n, side, side) or (n, side * side)"
            )
        refuse_size(side * side, name)
        self._array, self._pixels = array, side * side
        self._scale = options.scale or (1 if array.dtype == np.bool_ else 255)

    def blocks(self) -> Iterator[SquareBlock]:
        step = rows_at_a_time(self._pixels)
        for start in range(0, len(self._array), step):
            part = np.asarray(self._array[start : start + step], np.float64)
            values = part.reshape(len(part), -1)
            numbers = np.arange(start + 1, start + 1 + len(part))
            yield block_of(values, numbers, batch_of([], len(part), self.others), (), self._scale)
