"""The look of drawings on their 8x8 images: upright and black on white, or another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.archive.reference import Reference
from batchdigits.images import DARKEST, PIXELS, SIDE
from batchdigits.rows.contract import Pixels

ENOUGH_SAMPLES = 100
"""The least rows with a drawing that are judged."""

BLANK_SHARE = 0.999

# Distances of another look as a share of the upright distance, measured on load_digits. Good digits
# shifted by a pixel: down to 0.73 for a single class, 0.86 for all classes. Digits of all classes
# that are turned by 180 degrees or mirrored: 0.60 to 0.66; transposed: 0.21; inverted: 0.12.
CLOSER = 0.70
MUCH_CLOSER = 0.55
"""The limit for drawings of few classes: a 6 upside down resembles a 9."""
MANY_CLASSES = 7
CLASS_SHARE = 0.04

CHUNK_ROWS = 256

# OpenBLAS makes up to 2**18 multiplications in the calling thread. For more it starts threads that
# would take CPUs from the workers.
_MULTIPLICATIONS = 2**18

Images = NDArray[Any]
_ROW_BY_ROW = (
    "write the pixels row by row from the top left, or name the columns in that order with --pixels"
)


@dataclass(frozen=True, slots=True)
class _Look:
    """A look that a file may have: its name, the images (n, 8, 8) in that look, and the fix."""

    name: str
    of: Callable[[Images], Images]
    fix: str = _ROW_BY_ROW


_UPRIGHT = _Look("upright", lambda images: images)
_TURNED = (
    _Look("transposed (column by column)", lambda images: images.transpose(0, 2, 1)),
    _Look("turned by 90 degrees counter-clockwise", lambda i: np.rot90(i, 1, (1, 2))),
    _Look("turned by 180 degrees", lambda i: np.rot90(i, 2, (1, 2))),
    _Look("turned by 90 degrees clockwise", lambda i: np.rot90(i, 3, (1, 2))),
    _Look("mirrored left to right", lambda images: images[:, :, ::-1]),
    _Look("mirrored top to bottom", lambda images: images[:, ::-1]),
    _Look("mirrored on its rising diagonal", lambda i: np.rot90(i, 2, (1, 2)).transpose(0, 2, 1)),
)
_INVERTED = _Look(
    "inverted (white on black)", lambda images: DARKEST - images, "write 16 for ink and 0 for paper"
)
_LOOKS = (_UPRIGHT, *_TURNED, _INVERTED)


class LookEvidence:
    """The distances of sampled drawings from the nearest class mean, in each look.

    The distance is 1 - r, with r the correlation of the 64 pixels with the class mean. Thick, thin,
    faint or dark ink changes it little. It does not exist for a row of a single shade.
    """

    def __init__(self, reference: Reference) -> None:
        drawings = _drawings(reference)
        looks = np.concatenate([look.of(drawings) for look in _LOOKS])
        self._classes = len(drawings)
        self._means = _standardized(looks.reshape(-1, PIXELS).astype(np.float32))
        self._chunk = np.empty((CHUNK_ROWS, PIXELS), np.float32)
        self._weights = np.empty(CHUNK_ROWS)
        self._filled = 0
        self._drawn = 0
        self._weight_sampled = self._weight_blank = self._weight_drawn = 0.0
        self._distances = np.zeros(len(_LOOKS))
        self._nearest = np.zeros((len(_LOOKS), self._classes))

    def add(self, pixels: Pixels, weights: NDArray[np.float64]) -> None:
        """Add sampled rows; each represents as many rows of the input as its weight says."""
        darkest = pixels.max(axis=1)
        self._weight_sampled += float(weights.sum())
        self._weight_blank += float(weights[darkest == 0].sum())
        drawn = np.flatnonzero(darkest > pixels.min(axis=1))
        while len(drawn):
            part = drawn[: CHUNK_ROWS - self._filled]
            place = slice(self._filled, self._filled + len(part))
            self._chunk[place], self._weights[place] = pixels[part], weights[part]
            self._filled += len(part)
            drawn = drawn[len(part) :]
            if self._filled == CHUNK_ROWS:
                self._measure()

    def blank_verdict(self) -> str | None:
        if self._weight_blank < BLANK_SHARE * max(self._weight_sampled, 1.0):
            return None
        percent = 100 * self._weight_blank / self._weight_sampled
        return (
            f"looks blank: {percent:.4g} % of the sampled rows have no ink at all; check how the "
            "cells were cut out, and which columns hold the pixels (--pixels)"
        )

    def verdict(self) -> str | None:
        """Say which look fits far better than upright, if there is one."""
        self._measure()
        if self._drawn < ENOUGH_SAMPLES or not self._classes:
            return None
        best = int(self._distances.argmin())
        present = np.count_nonzero(self._nearest[best] >= CLASS_SHARE * self._weight_drawn)
        limit = CLOSER if present >= MANY_CLASSES else MUCH_CLOSER
        if self._distances[best] >= limit * self._distances[0]:
            return None
        corrected, upright = (self._distances[i] / self._weight_drawn for i in (best, 0))
        return (
            f"looks {_LOOKS[best].name}: {self._drawn:,} sampled rows are at a distance of "
            f"{upright:.3f} from the training data, and of {corrected:.3f} if corrected "
            f"(1 - correlation with the nearest class mean); {_LOOKS[best].fix}"
        )

    def _measure(self) -> None:
        """Measure the rows in the chunk, and empty it."""
        rows, self._filled = self._filled, 0
        if not rows or not self._classes:
            return
        weights = self._weights[:rows]
        similar = _products(_standardized(self._chunk[:rows]), self._means)
        similar = similar.reshape(len(_LOOKS), self._classes, rows)
        self._drawn += rows
        self._weight_drawn += float(weights.sum())
        self._distances += (1 - similar.max(axis=1)) @ weights
        for look, nearest in enumerate(similar.argmax(axis=1)):
            self._nearest[look] += np.bincount(nearest, weights, self._classes)


def _products(rows: NDArray[np.float32], means: NDArray[np.float32]) -> NDArray[np.float32]:
    """Multiply every mean by every row, shape (m, n)."""
    result = np.empty((len(means), len(rows)), np.float32)
    step = max(1, _MULTIPLICATIONS // means.size)
    for start in range(0, len(rows), step):
        result[:, start : start + step] = means @ rows[start : start + step].T
    return result


def _drawings(reference: Reference) -> NDArray[np.float64]:
    """Return the mean images (k, 8, 8) of the classes whose mean is not a single shade."""
    means = reference.class_means
    drawn: NDArray[np.float64] = means[means.max(axis=1) > means.min(axis=1)]
    return drawn.reshape(-1, SIDE, SIDE)


def _standardized(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale rows (n, 64) to mean 0 and length 1, so that their products are correlations."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    result: NDArray[np.float32] = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    return result
