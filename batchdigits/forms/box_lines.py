"""The lines of a printed box around a character, found near the edges of its crop and removed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from batchdigits.bitmaps.recipe import Ink
from batchdigits.forms.components import label_pieces

_ZONE = 0.3  # of the crop: how far from its edge a line of the box may be
_THICK = 0.12  # of the crop: a thicker bar is a stroke
_COVERED = 0.75  # of the columns in which a line must be seen; strokes hide it in others
_ENDS = 0.1  # of the columns, at each end, in one of which it must be seen
_NEAR = 1.5  # pixels of the crop from a straight line


@dataclass(frozen=True, slots=True)
class _Line:
    """A line along the top of a crop.

    rows  float64 (width,): its middle in each column
    half  half its thickness, in pixels
    edge  as `half`, with what the steps of a slanted line add
    """

    rows: NDArray[np.float64]
    half: float
    edge: float

    def distance(self, height: int) -> NDArray[np.float64]:
        """Return how far below its middle each pixel is, float64 (height, width)."""
        distance: NDArray[np.float64] = np.arange(height)[:, np.newaxis] - self.rows
        return distance


def without_box_lines(ink: Ink, grain: int = 1) -> Ink:
    """Return the ink without the lines of a printed box, and without what is beyond them.

    grain  pixels of `ink` along each side of a pixel of the crop, which may have been enlarged

    Three lines or four are a box. Of fewer, one that no other ink touches is part of a box, and so
    is the one opposite to it; others stay, since they may be the foot of a 2 or the bar of a 7.
    Where a stroke crosses or meets a line, it keeps its pixels.
    """
    lines = [_find(np.rot90(ink, turn), grain) for turn in range(4)]
    found = sum(line is not None for line in lines)
    if not found:
        return ink
    alone = [line is not None and _is_alone(ink, lines, turn) for turn, line in enumerate(lines)]
    result = ink
    for turn, line in enumerate(lines):
        if line is not None and (found >= 3 or alone[turn] or alone[(turn + 2) % 4]):
            result = np.rot90(_erased(np.rot90(result, turn), line), -turn)
    return np.ascontiguousarray(result)


def _find(ink: Ink, grain: int) -> _Line | None:
    """Find the first line from the top: thin, straight, and from one side to the other."""
    height, width = ink.shape
    zone = ink[: max(2, round(height * _ZONE))]
    seen = zone.any(axis=0)
    top = zone.argmax(axis=0)
    below = (np.arange(len(zone))[:, np.newaxis] >= top) & ~zone
    thick = np.where(below.any(axis=0), below.argmax(axis=0), len(zone)) - top
    columns = np.flatnonzero(seen & (thick <= max(2, height * _THICK)))
    if len(columns) < _COVERED * width:
        return None
    middles = (top + (thick - 1) / 2)[columns]
    kept = np.abs(middles - np.median(middles)) <= 0.1 * width
    for _ in range(3):
        if kept.sum() < _COVERED * width:
            return None
        slope, start = np.polyfit(columns[kept], middles[kept], 1)
        kept = np.abs(middles - (start + slope * columns)) <= _NEAR * grain
    inliers = columns[kept]
    ends = _ENDS * width
    if len(inliers) < _COVERED * width or inliers[0] > ends or inliers[-1] < width - 1 - ends:
        return None
    half = float(np.median(thick[inliers])) / 2
    return _Line(start + slope * np.arange(width), half, half + grain)


def _is_alone(ink: Ink, lines: list[_Line | None], turn: int) -> bool:
    """Tell whether the pieces of ink that a line is of consist of lines alone."""
    area = np.zeros_like(ink)
    for number, line in enumerate(lines):
        if line is not None:
            turned = np.rot90(area, number)  # a view
            turned |= np.abs(line.distance(len(turned))) <= line.edge
    labels, count = label_pieces(ink)
    line = lines[turn]
    if line is None:
        return False
    turned = np.rot90(labels, turn)
    own = np.unique(turned[np.abs(line.distance(len(turned))) <= line.half])
    sizes = np.bincount(labels.reshape(-1), minlength=count + 1)
    inside = np.bincount(labels[area], minlength=count + 1)
    pieces = own[own > 0]
    return bool(inside[pieces].sum() >= 0.95 * sizes[pieces].sum())


def _erased(ink: Ink, line: _Line) -> Ink:
    """Return the ink without the line, but for the columns where a stroke goes on below it."""
    distance = line.distance(len(ink))
    band = np.abs(distance) <= line.edge
    goes_on = (ink & (distance > line.edge) & (distance <= line.edge + 1)).any(axis=0)
    left = ink & ~(band & ~goes_on)
    labels, count = label_pieces(left)
    is_inside = np.bincount(labels[distance > line.edge], minlength=count + 1) > 0
    result: Ink = left & is_inside[labels]
    return result
