"""Connected pieces of ink, by the runs of their rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def label_pieces(ink: NDArray[np.bool_]) -> tuple[NDArray[np.int32], int]:
    """Number the pieces of ink that touch, corners included.

    Returns int32 of the shape of `ink`, 0 for paper and 1 to n for the pieces in reading order of
    their first pixels, and n.
    """
    height, width = ink.shape
    padded = np.zeros((height, width + 2), np.int8)
    padded[:, 1:-1] = ink
    edges = np.diff(padded, axis=1)
    rows, starts = np.nonzero(edges == 1)
    ends = np.nonzero(edges == -1)[1]
    parents = np.arange(len(rows))
    first, second = _touching(rows, starts, ends, width)
    while len(first):
        low = np.minimum(parents[first], parents[second])
        high = np.maximum(parents[first], parents[second])
        apart = low != high
        if not apart.any():
            break
        np.minimum.at(parents, high[apart], low[apart])
        while (parents != parents[parents]).any():
            parents = parents[parents]
    roots, numbers = np.unique(parents, return_inverse=True)
    labels = np.zeros(height * width, np.int32)
    lengths = ends - starts
    labels[ink.reshape(-1)] = np.repeat(numbers + 1, lengths)
    return labels.reshape(height, width), len(roots)


def _touching(
    rows: NDArray[np.int64], starts: NDArray[np.int64], ends: NDArray[np.int64], width: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the pairs of runs, the upper one first, that touch in rows below each other."""
    stride = width + 3  # runs of different rows must not touch
    begin, end = rows * stride + starts, rows * stride + ends
    # Of the row above, the runs that end at the left neighbour or later, and begin at the right
    # neighbour or earlier.
    low = np.searchsorted(end, begin - stride, side="left")
    high = np.searchsorted(begin, end - stride, side="right")
    counts = np.maximum(high - low, 0)
    lower = np.repeat(np.arange(len(rows)), counts)
    offsets = np.arange(len(lower)) - np.repeat(np.cumsum(counts) - counts, counts)
    return low[lower] + offsets, lower
