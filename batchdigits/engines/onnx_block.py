"""A block of rows in memory of its own, which ONNX Runtime reads from and writes to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.engines.onnx_columns import COLUMNS_TO_ROWS
from batchdigits.engines.onnx_session import Session
from batchdigits.rows.batch import PIXELS


class Block:
    """So many rows, scored again and again by one thread.

    given    the model's other inputs
    outputs  what the model writes: arrays of `rows` rows by the names of its outputs
    """

    def __init__(
        self,
        session: Session,
        rows: int,
        given: Mapping[str, NDArray[Any]],
        outputs: Mapping[str, NDArray[Any]],
    ) -> None:
        self._pixels = np.empty((rows, PIXELS), np.float32)
        self._score = session.bound({"pixels": self._pixels, **given}, outputs)
        self._outputs = list(outputs.values())

    def score(self, pixels: NDArray[Any]) -> list[NDArray[Any]]:
        """The outputs for pixels (rows, 64), uint8 or float32; good until the next call."""
        # Part of an array in Fortran order is none itself, but its columns are in one piece.
        if pixels.dtype == np.uint8 and pixels.strides[0] == 1:
            np.copyto(self._columns, pixels.T)
            self._turn()
        else:
            np.copyto(self._pixels, pixels)
        self._score()
        return self._outputs

    @cached_property
    def _turn(self) -> Callable[[], None]:
        # Made for the first columns: CSV files and lists of pixels come as rows.
        return turner().bound({"columns": self._columns}, {"rows": self._pixels})

    @cached_property
    def _columns(self) -> NDArray[np.uint8]:
        return np.empty(self._pixels.shape[::-1], np.uint8)


@cache
def turner() -> Session:
    """What turns columns into rows."""
    return Session(COLUMNS_TO_ROWS)
