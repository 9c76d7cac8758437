"""Connected components of ink, by runs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ink = NDArray[np.bool_]


def label(ink: Ink) -> tuple[NDArray[np.int32], int]:
    """Number the parts of ink that hang together, also over corners.

    Returns int32 of the shape of `ink`, 0 for paper, and how many parts there are. They are
    numbered from 1 in the order of their first pixel, row by row.
    """
    height, width = ink.shape
    flat = np.zeros((height, width + 1), np.int8)
    flat[:, :width] = ink
    edges = np.diff(np.concatenate(([np.int8(0)], flat.reshape(-1))))
    starts, stops = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    labels = np.zeros((height, width), np.int32)
    if not len(starts):
        return labels, 0
    parents = _joined(starts, stops, width + 1)
    roots, numbers = np.unique(parents, return_inverse=True)
    filled = np.zeros(height * (width + 1) + 1, np.int32)
    filled[starts] = numbers + 1
    filled[stops] -= (numbers + 1).astype(np.int32)
    labels[:] = np.cumsum(filled[:-1]).reshape(height, width + 1)[:, :width]
    return labels, len(roots)


def _joined(starts: NDArray[np.int64], stops: NDArray[np.int64], width: int) -> NDArray[np.int64]:
    """Return the first run of each run's part."""
    # A run touches those of the next row that start before it stops and stop after it starts.
    first = np.searchsorted(stops, starts + width, side="left")
    last = np.searchsorted(starts, stops + width, side="right")
    counts = np.maximum(last - first, 0)
    upper = np.repeat(np.arange(len(starts)), counts)
    lower = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + first[upper]
    parents = np.arange(len(starts))
    while len(upper):
        one, other = parents[upper], parents[lower]
        low, high = np.minimum(one, other), np.maximum(one, other)
        apart = low != high
        if not apart.any():
            break
        np.minimum.at(parents, high[apart], low[apart])
        while True:
            shorter = parents[parents]
            if (shorter == parents).all():
                break
            parents = shorter
    return parents


def boxes(labels: NDArray[np.int32], count: int) -> NDArray[np.int64]:
    """Return left, top, right, bottom and ink of each part, int64 (count, 5); ends are exclusive."""
    rows, columns = np.nonzero(labels)
    owners = labels[rows, columns] - 1
    result = np.zeros((count, 5), np.int64)
    result[:, 0], result[:, 1] = labels.shape[1], labels.shape[0]
    np.minimum.at(result[:, 0], owners, columns)
    np.minimum.at(result[:, 1], owners, rows)
    np.maximum.at(result[:, 2], owners, columns + 1)
    np.maximum.at(result[:, 3], owners, rows + 1)
    result[:, 4] = np.bincount(owners, minlength=count)
    return result
