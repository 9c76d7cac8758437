"""Hands and pens, drawn at random: how writers differ when they write the same character."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]

ASPECT = (0.35, 1.1)
"""Least and most of the width that a bitmap gives back to a character that it was stretched to."""

SLANT = (-0.6, 0.3)
"""Least and most of the slant, in points to the right for each point down: most people's digits
lean to the right."""

TURN = np.deg2rad(12)
TAPER = 0.3
WOBBLE = 6.5
"""The largest changes: of the angle in radians, of the logarithm of the width at the
top and the bottom, and of the standard deviation, in points, of how far strokes are displaced."""

KNOTS = 4
"""Knots along each side of the field that displaces strokes."""

GAPS = 0.2
"""The share of characters with a gap in a stroke."""

LARGEST_GAP = (0.5, 2.2)
"""Least and largest radius of a gap, in points of the bitmap."""

PEN = (0.5, 3.5)
"""Least and largest radius of the pen, in points of the canvas."""


@dataclass(frozen=True, slots=True)
class Hands:
    """How n characters are written, drawn at random within the limits above.

    across, down  float32 (n, 4, 4): how far the knots of a character displace its strokes, in
                  points of the bitmap
    taper, aspect, slant, angle
                  float32 (n,): logarithm of the width at the top and the bottom, logarithm of the
                  width, points to the right for each point down, radians
    gap, torn     float64 (n,): where in a character's points its gap is, 0..1; the gap's radius in
                  points of the bitmap, 0 for none
    pen           float64 (n,): radius in points of the canvas
    """

    across: Floats
    down: Floats
    taper: Floats
    aspect: Floats
    slant: Floats
    angle: Floats
    gap: NDArray[np.float64]
    torn: NDArray[np.float64]
    pen: NDArray[np.float64]

    @classmethod
    def at_random(cls, count: int, generator: np.random.Generator) -> Hands:
        """Draw the hands that write that number of characters."""

        def drawn(low: float, high: float) -> Floats:
            return generator.uniform(low, high, count).astype(np.float32)

        most = drawn(0, WOBBLE)[:, np.newaxis, np.newaxis]
        across, down = (
            generator.standard_normal((count, KNOTS, KNOTS), np.float32) * most for _ in "xy"
        )
        taper, aspect = drawn(-TAPER, TAPER), drawn(*np.log(ASPECT))
        slant, angle = drawn(*SLANT), drawn(-TURN, TURN)
        gap, torn = generator.random(count), generator.uniform(*LARGEST_GAP, count)
        torn *= generator.random(count) < GAPS
        pen = generator.uniform(*PEN, count)
        return cls(across, down, taper, aspect, slant, angle, gap, torn, pen)

    @property
    def count(self) -> int:
        return len(self.pen)

    def blocks(self, size: int) -> Iterator[Hands]:
        """Yield the hands of `size` characters at a time; the last block may have fewer."""
        for begin in range(0, self.count, size):
            part = slice(begin, begin + size)
            yield Hands(*(getattr(self, field.name)[part] for field in fields(self)))
