"""The decision for each row: accept its prediction, or send it to review with a cause."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from batchdigits.archive.thresholds import Thresholds
from batchdigits.rows.contract import Pixels
from batchdigits.scoring.ledger import CAUSES

_NAMES = [b"", *(cause.encode() for cause in CAUSES)]
_LENGTHS = np.array([len(name) for name in _NAMES], np.int32)
_CODES = {cause: code for code, cause in enumerate(CAUSES, start=1)}
_DECISIONS = np.array([b"accept", b"review"])
_DECISION_BYTES = _DECISIONS.itemsize

Codes = NDArray[np.uint8]
"""0 for each row that is accepted, else the number of its cause in `CAUSES`, from 1."""


@dataclass(frozen=True, slots=True)
class Decider:
    """Decides by those thresholds that are set."""

    thresholds: Thresholds

    def decide(
        self,
        confidence: NDArray[np.float32],
        pixels: Pixels,
        strangeness: NDArray[np.float32] | None = None,
    ) -> Codes:
        """Decide on n rows by their confidence (n,), pixels (n, 64) in 0..16, and strangeness (n,).

        Without `strangeness` no row is strange. NaN is never accepted.
        """
        limits = self.thresholds
        codes = np.zeros(len(confidence), np.uint8)
        # From the last cause to the first: a row keeps the first cause that applies.
        if limits.review_below is not None:
            codes[~(confidence >= np.float32(limits.review_below))] = _CODES["low-confidence"]
        if strangeness is not None and limits.strange_above is not None:
            codes[~(strangeness <= limits.strange_above)] = _CODES["strange"]
        columns: NDArray[Any] = pixels if pixels.dtype == np.uint8 else np.asfortranarray(pixels)
        if limits.least_darkest is not None:
            codes[_each_row(np.maximum, columns) < limits.least_darkest] = _CODES["pale"]
        if limits.most_ink is not None or limits.least_ink is not None:
            ink = _each_row(np.add, columns)
            if limits.most_ink is not None:
                codes[ink > limits.most_ink] = _CODES["much-ink"]
            if limits.least_ink is not None:
                codes[ink < limits.least_ink] = _CODES["little-ink"]
        return codes


def _each_row(fold: np.ufunc, pixels: NDArray[Any]) -> NDArray[Any]:
    """Return the sum or the maximum of each row of pixels (n, 64) in 0..16.

    NumPy folds whole columns several times faster than the 64 pixels of a row. Sums of float32 are
    exact in float64, in any order. Those of eight bytes fit in a byte, so that eight columns of
    bytes are folded at a time.
    """
    is_sum = fold is np.add
    if pixels.dtype != np.uint8:
        return np.asarray(fold.reduce(pixels, axis=1, dtype=np.float64 if is_sum else None))
    if pixels.flags.fnc:
        eighths = fold.reduce(pixels.T.reshape(8, 8, -1), axis=1, dtype=np.uint8)
    else:
        words = np.ascontiguousarray(np.ascontiguousarray(pixels).view(np.uint64).T)
        folded = fold.reduce(words.view(np.uint8), axis=0, dtype=np.uint8)
        eighths = np.ascontiguousarray(folded.reshape(-1, 8).T)
    return np.asarray(fold.reduce(eighths, axis=0, dtype=np.uint16 if is_sum else np.uint8))


def decision_column(codes: Codes) -> pa.Array:
    """Return `accept` or `review` for each row."""
    # Both words have six letters, so a fixed-width array holds exactly their characters.
    words = _DECISIONS[(codes > 0).view(np.uint8)]
    ends = np.arange(0, (len(codes) + 1) * _DECISION_BYTES, _DECISION_BYTES, dtype=np.int32)
    return _text(len(codes), None, ends, words)


def cause_column(codes: Codes) -> pa.Array:
    """Return the cause of each row, null for an accepted row."""
    ends = np.zeros(len(codes) + 1, np.int32)
    np.cumsum(_LENGTHS[codes], out=ends[1:])
    has_cause = codes > 0
    words = b"".join([_NAMES[code] for code in codes[has_cause].tolist()])
    return _text(len(codes), np.packbits(has_cause, bitorder="little"), ends, words)


def count_causes(codes: Codes) -> dict[str, int]:
    """Count the rows to review by cause; causes without rows are left out."""
    counts = np.bincount(codes, minlength=len(_NAMES)).tolist()
    return {cause: counts[code] for cause, code in _CODES.items() if counts[code]}


def _text(
    rows: int,
    present: NDArray[np.uint8] | None,
    ends: NDArray[np.int32],
    words: bytes | NDArray[np.bytes_],
) -> pa.Array:
    # From buffers: other ways to make arrays of text import pyarrow.compute, which is expensive.
    valid = None if present is None else pa.py_buffer(present)
    buffers = [valid, pa.py_buffer(ends), pa.py_buffer(words)]
    return pa.Array.from_buffers(pa.string(), rows, buffers)
