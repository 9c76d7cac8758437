"""The choice of golden rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MOST = 64
UNCERTAIN = 16


def choose_golden(
    targets: NDArray[np.int64], probabilities: NDArray[np.float32], candidates: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Choose at most 64 of `candidates` (row numbers), in ascending order.

    The first 16 are those whose two best classes are nearest to each other: there a small change
    shows first. Then come rows of each class in turn. `targets` (n,) and `probabilities` (n, k) are
    those of the candidates.
    """
    second, best = np.sort(probabilities, axis=1)[:, -2:].T
    by_margin = np.argsort(best - second, kind="stable")
    uncertain = by_margin[:UNCERTAIN]
    others = np.setdiff1d(np.arange(len(targets)), uncertain)
    in_turn = others[np.lexsort((others, _place_in_class(targets[others])))]
    chosen = np.concatenate([uncertain, in_turn[: MOST - len(uncertain)]])
    return np.sort(candidates[chosen])


def _place_in_class(targets: NDArray[np.int64]) -> NDArray[np.int64]:
    """The number of rows of its class before each row."""
    place = np.empty(len(targets), np.int64)
    for target in np.unique(targets):
        members = np.flatnonzero(targets == target)
        place[members] = np.arange(len(members))
    return place
