"""Short pieces of a form's straight lines, and where a page has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from batchdigits.forms.registration.geometry import Matrix, apply
from batchdigits.forms.registration.sampling import Grey, nearest

LENGTH = 64
"""Pixels of the blank form that a piece is long, where its line is long enough."""

SAMPLES = 16
"""Places along a piece at which the page is looked at."""

CLEAR = 0.4
"""The least contrast of a line to both its sides, 0..1, that counts as found."""


@dataclass(frozen=True, slots=True)
class Segments:
    """Pieces of lines: n of them.

    centres    float64 (n, 2): their middles on the blank form, x and y
    lengths    float64 (n,): pixels
    vertical   bool (n,): whether the line goes up and down
    thickness  float64 (n,): pixels
    boxes      int64 (n,): the box that the line belongs to
    """

    centres: NDArray[np.float64]
    lengths: NDArray[np.float64]
    vertical: NDArray[np.bool_]
    thickness: NDArray[np.float64]
    boxes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.lengths)

    def part(self, chosen: NDArray[np.bool_]) -> Segments:
        """Return the chosen ones."""
        return Segments(
            self.centres[chosen],
            self.lengths[chosen],
            self.vertical[chosen],
            self.thickness[chosen],
            self.boxes[chosen],
        )


def segments_of(boxes: Sequence[Sequence[float]], thickness: float) -> Segments:
    """Return the pieces of the four sides of each box [left, top, right, bottom]."""
    centres, lengths, vertical, owners = [], [], [], []
    for number, (left, top, right, bottom) in enumerate(boxes):
        sides = (
            (left, right, top, False),
            (left, right, bottom, False),
            (top, bottom, left, True),
            (top, bottom, right, True),
        )
        for start, end, across, upright in sides:
            count = max(1, round((end - start) / LENGTH))
            step = (end - start) / count
            for i in range(count):
                along = start + (i + 0.5) * step
                centres.append((across, along) if upright else (along, across))
                lengths.append(step)
                vertical.append(upright)
                owners.append(number)
    return Segments(
        np.array(centres, np.float64).reshape(-1, 2),
        np.array(lengths, np.float64),
        np.array(vertical, bool),
        np.full(len(lengths), thickness, np.float64),
        np.array(owners, np.int64),
    )


def measure(
    page: Grey, matrix: Matrix, segments: Segments, reach: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find the line nearest to each piece, at most `reach` pixels of the form to either side.

    Returns how far it is from where `matrix` puts it, to the right or down, in pixels of the form,
    float64 (n,), and its contrast to both sides, 0..1, float64 (n,).
    """
    profile = _profiles(page, matrix, segments, reach)
    half = np.maximum(1, (segments.thickness / 2).astype(int))
    contrast = np.zeros_like(profile)
    for width in np.unique(half):
        chosen = half == width
        contrast[chosen] = _contrast(profile[chosen], int(width))
    places = np.arange(-reach, reach + 1)
    # Of two equal lines the nearer one is meant.
    best = np.argmax(contrast - 0.2 * np.abs(places) / max(reach, 1), axis=1)
    each = np.arange(len(segments))
    return best - reach + _fraction(contrast, best), contrast[each, best]


def _profiles(page: Grey, matrix: Matrix, segments: Segments, reach: int) -> NDArray[np.float32]:
    """Return the mean darkness 0..1 along each piece, at each place across: (n, 2 reach + 1)."""
    along = np.where(segments.vertical[:, None], [[0.0, 1.0]], [[1.0, 0.0]])
    across = along[:, ::-1]
    middle = apply(matrix, segments.centres)
    forward = (apply(matrix, segments.centres + 4 * along) - middle) / 4
    sideways = (apply(matrix, segments.centres + 4 * across) - middle) / 4
    steps = ((np.arange(SAMPLES) + 0.5) / SAMPLES - 0.5) * 0.94  # not the corners
    t = (steps * segments.lengths[:, None])[:, :, None]
    s = np.arange(-reach, reach + 1)[None, None, :]
    x, y = (
        middle[:, k, None, None] + t * forward[:, k, None, None] + s * sideways[:, k, None, None]
        for k in (0, 1)
    )
    profile: NDArray[np.float32] = nearest(page, x, y).mean(axis=1, dtype=np.float32) / 255
    return profile


def _contrast(profile: NDArray[np.float32], half: int) -> NDArray[np.float32]:
    """Return how much darker a line of 2 `half` + 1 is than the darker of its two sides."""
    size = profile.shape[1]
    gap = half + 2
    padded = np.pad(profile, ((0, 0), (gap + half + 1, gap + half + 1)), mode="edge")
    sums = np.cumsum(np.pad(padded, ((0, 0), (1, 0))), axis=1, dtype=np.float64)

    def mean(start: int, stop: int) -> NDArray[np.float64]:
        first = gap + half + 1 + start
        return (sums[:, first + stop - start :][:, :size] - sums[:, first:][:, :size]) / (
            stop - start
        )

    inside = mean(-half, half + 1)
    left, right = mean(-gap - half, -gap + 1), mean(gap, gap + half + 1)
    return (inside - np.maximum(left, right)).astype(np.float32)


def _fraction(contrast: NDArray[np.float32], best: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the place of the peak between pixels, -0.5..0.5, by a parabola through three."""
    each = np.arange(len(best))
    inner = np.clip(best, 1, contrast.shape[1] - 2)
    before, at, after = (contrast[each, inner + k].astype(np.float64) for k in (-1, 0, 1))
    bend = before - 2 * at + after
    flat = (bend > -1e-6) | (inner != best)
    result = 0.5 * (before - after) / np.where(flat, 1.0, bend)
    return np.where(flat, 0.0, np.clip(result, -0.5, 0.5))
