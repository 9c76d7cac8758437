"""Characters as the middle lines of their strokes, which other hands and pens can draw again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.bitmaps.hands import KNOTS, PEN, Floats, Hands
from batchdigits.bitmaps.recipe import BITMAP, BODY, Ink
from batchdigits.bitmaps.redraw import blurred

THIN = 1.0
"""The radius of the pen of a character whose loops a thicker one fills."""

CANVAS = 48
"""Points along each side of what a character is drawn on."""

_FINER = 2  # points of a middle line to a point of the bitmap
_SMOOTHING = 0.6  # the width, in points of the bitmap, by which edges are smoothed before thinning
_REACH = 0.6  # the width, in knots, of what a knot displaces
_FILLED = 1.15  # points of the canvas to a point of the bitmap


@dataclass(frozen=True, slots=True)
class Strokes:
    """The points of the middle lines of n characters.

    count  n
    owner  int64 (p,): the character of each point, ascending
    x, y   float32 (p,): its place in points of the bitmap, from the middle of the bitmap
    """

    count: int
    owner: NDArray[np.int64]
    x: Floats
    y: Floats

    @classmethod
    def of(cls, bitmaps: Ink) -> Strokes:
        """Find the middle lines of bitmaps (n, 32, 32)."""
        finer = bitmaps.repeat(_FINER, axis=1).repeat(_FINER, axis=2)
        width = _FINER * _SMOOTHING
        owner, down, right = np.nonzero(thinned(blurred(finer, width, width) > 0.5))
        x, y = ((place + 0.5) / _FINER - BITMAP / 2 for place in (right, down))
        return cls(len(bitmaps), owner, x.astype(np.float32), y.astype(np.float32))

    def drawn(self, hands: Hands) -> Ink:
        """Draw every character once more, each by a hand and a pen of its own: (n, 48, 48).

        Strokes are displaced smoothly, the character gets a taper, a width, a slant and an angle;
        some get a gap. A pen that fills all loops, so that a 0 looks like a 1, is replaced by a
        thin one.
        """
        x, y = self._displaced(hands)
        x = x * np.exp(hands.taper[self.owner] * y * (2 / BITMAP))
        x = x * np.exp(hands.aspect[self.owner])
        x = x + hands.slant[self.owner] * y
        angle = hands.angle[self.owner]
        cos, sin = np.cos(angle), np.sin(angle)
        x, y = x * cos - y * sin, x * sin + y * cos
        kept = ~self._in_gaps(x, y, hands)
        lines = np.zeros((self.count, CANVAS, CANVAS), np.bool_)
        column, row = (_on_canvas(place[kept]) for place in (x, y))
        lines[self.owner[kept], row, column] = True
        drawn = _thickened(lines, hands.pen)
        filled = (loops_of(drawn) == 0) & (
            loops_of(_thickened(lines, np.full(self.count, PEN[0]))) > 0
        )
        drawn[filled] = _thickened(lines[filled], np.full(np.count_nonzero(filled), THIN))
        return drawn

    def _displaced(self, hands: Hands) -> tuple[Floats, Floats]:
        across, down = _weights(self.x, BODY + 4), _weights(self.y, BITMAP)

        def moved(place: Floats, knots: Floats) -> Floats:
            by: Floats = np.einsum("pa,pab,pb->p", down, knots[self.owner], across)
            return place + by

        return moved(self.x, hands.across), moved(self.y, hands.down)

    def _in_gaps(self, x: Floats, y: Floats, hands: Hands) -> NDArray[np.bool_]:
        """Return the points in a character's gap, which is about one of its points."""
        if not len(x):
            return np.zeros(0, np.bool_)
        counts = np.bincount(self.owner, minlength=self.count)
        first = np.cumsum(counts) - counts
        taken = first + (hands.gap * counts).astype(np.int64)
        middle = taken.clip(0, len(x) - 1)[self.owner]
        near: NDArray[np.bool_] = np.hypot(x - x[middle], y - y[middle]) < hands.torn[self.owner]
        return near


def thinned(ink: Ink) -> Ink:
    """Thin characters (n, height, width) to lines of one point that keep them connected.

    Zhang and Suen, "A fast parallel algorithm for thinning digital patterns", 1984.
    """
    padded = np.pad(ink, ((0, 0), (1, 1), (1, 1)))
    active = np.arange(len(padded))
    while len(active):
        part = padded[active]
        changed = np.zeros(len(active), np.bool_)
        for half in (0, 1):
            removable = _removable(part.astype(np.int8), half)
            part[:, 1:-1, 1:-1] &= ~removable
            changed |= removable.any(axis=(1, 2))
        padded[active] = part
        active = active[changed]
    return padded[:, 1:-1, 1:-1]


def _removable(padded: NDArray[np.int8], half: int) -> Ink:
    """Return the points that a half step of thinning removes."""
    height, width = padded.shape[1:]
    places = ((0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0), (0, 0))
    around = [padded[:, y : y + height - 2, x : x + width - 2] for y, x in places]
    neighbours = sum(around[1:], around[0])
    begins = [
        (one == 0) & (after == 1)
        for one, after in zip(around, [*around[1:], around[0]], strict=True)
    ]
    runs = sum((begin.astype(np.int8) for begin in begins[1:]), begins[0].astype(np.int8))
    north, east, south, west = around[0::2]
    if half:
        sides = (north * east * west == 0) & (north * south * west == 0)
    else:
        sides = (north * east * south == 0) & (east * south * west == 0)
    inside = padded[:, 1:-1, 1:-1] == 1
    removable: Ink = inside & (neighbours >= 2) & (neighbours <= 6) & (runs == 1) & sides
    return removable


def _weights(places: Floats, extent: int) -> Floats:
    """Return how much each knot displaces a point: (p, knots), squares that add up to 1."""
    knots = (places / extent + 0.5).clip(0, 1) * (KNOTS - 1)
    weights = np.exp(-0.5 * ((knots[:, np.newaxis] - np.arange(KNOTS)) / _REACH) ** 2)
    scaled: Floats = (weights / np.sqrt((weights**2).sum(axis=1, keepdims=True))).astype(np.float32)
    return scaled


def loops_of(pictures: Ink) -> NDArray[np.int64]:
    """Count the holes of pictures (n, height, width), less the pieces of ink but one: (n,).

    Gray, "Local properties of binary images in two dimensions", 1971: the Euler number from the
    2x2 squares, ink being connected by corners too.
    """
    padded = np.pad(pictures, ((0, 0), (1, 1), (1, 1))).astype(np.int8)
    one, two = padded[:, :-1, :-1], padded[:, :-1, 1:]
    three, four = padded[:, 1:, :-1], padded[:, 1:, 1:]
    ink = one + two + three + four
    corners = (ink == 2) & (one == four)
    axes = (1, 2)
    euler = ((ink == 1).sum(axes) - (ink == 3).sum(axes) - 2 * corners.sum(axes)) // 4
    loops: NDArray[np.int64] = 1 - euler
    return loops


def _on_canvas(places: NDArray[Any]) -> NDArray[np.int64]:
    """Return rows or columns of the canvas, with room for the pen."""
    margin = int(PEN[1]) + 1
    rounded = np.round(places * _FILLED + CANVAS / 2).astype(np.int64)
    return rounded.clip(margin, CANVAS - 1 - margin)


def _thickened(lines: Ink, radii: NDArray[np.float64]) -> Ink:
    """Draw lines (n, side, side) with pens of these radii (n,), rounded to half points."""
    steps = np.round(2 * radii).astype(np.int64)
    result = np.empty_like(lines)
    for step in np.unique(steps):
        of_pen = steps == step
        area = lines[of_pen]
        for number in range(step // 2):
            area = _grown(area, corners=number % 2 == 1)
        if step % 2:  # a pen of an even width
            area[:, 1:] |= area[:, :-1]
            area[:, :, 1:] |= area[:, :, :-1]
        result[of_pen] = area
    return result


def _grown(area: Ink, *, corners: bool) -> Ink:
    """Return areas with their four neighbours in each direction, or with all eight."""
    grown = area.copy()
    grown[:, 1:] |= area[:, :-1]
    grown[:, :-1] |= area[:, 1:]
    across = grown.copy() if corners else area
    grown[:, :, 1:] |= across[:, :, :-1]
    grown[:, :, :-1] |= across[:, :, 1:]
    return grown
