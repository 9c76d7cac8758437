"""Shapes in which people write the digits 0 to 9, as middle lines to be drawn by other hands.

A few people's digits lack shapes that other people write: a 1 with a long flag or a foot, a 2 with
a looped foot, an open 4, a crossed 7, a 9 with a curved stem. These were drawn from general
knowledge, by hand; no image was traced.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from batchdigits.bitmaps.recipe import BITMAP, BODY
from batchdigits.bitmaps.strokes import Strokes

Line: TypeAlias = Sequence[tuple[float, float]]

_POINTS_PER_STEP = 2  # points of a middle line to a point of the bitmap


def _arc(
    centre: tuple[float, float], radii: tuple[float, float], begin: float, end: float
) -> list[tuple[float, float]]:
    """Return points of an ellipse's arc, in degrees: 0 is right, 90 is down."""
    angles = np.deg2rad(np.linspace(begin, end, 24))
    x = centre[0] + radii[0] * np.cos(angles)
    y = centre[1] + radii[1] * np.sin(angles)
    return list(zip(x.tolist(), y.tolist(), strict=True))


SHAPES: tuple[tuple[int, list[Line]], ...] = (
    (0, [_arc((10, 16), (10, 16), 0, 360)]),
    (0, [[*_arc((10, 17), (10, 15), -90, 265), (14, 0)]]),
    (0, [_arc((10, 16), (10, 16), 0, 360), [(17, 3), (3, 29)]]),
    (1, [[(10, 0), (10, 32)]]),
    (1, [[(0, 12), (10, 0), (10, 32)]]),
    (1, [[(0, 18), (12, 0), (12, 32)]]),
    (1, [[(0, 28), (14, 0), (14, 32)]]),
    (1, [[(0, 24), (12, 0), (12, 32)], [(6, 32), (20, 32)]]),
    (1, [[(2, 9), (10, 0), (10, 32)], [(2, 32), (18, 32)]]),
    (1, [[(3, 7), (10, 0), (10, 30), (14, 32)]]),
    (2, [[*_arc((10, 9), (9, 9), 190, 360), (17, 16), (0, 32), (20, 32)]]),
    (
        2,
        [
            [
                *_arc((10, 9), (9, 9), 190, 370),
                (10, 24),
                *_arc((4, 28), (4, 4), 300, 60),
                (12, 30),
                (20, 29),
            ]
        ],
    ),
    (
        2,
        [
            [
                *_arc((10, 9), (9, 9), 200, 380),
                (6, 27),
                *_arc((3, 29), (3, 3), 270, 0)[::-1],
                (9, 28),
                (15, 32),
                (20, 29),
            ]
        ],
    ),
    (2, [[*_arc((9, 9), (8, 9), 200, 370), (0, 32), (8, 29), (20, 32)]]),
    (3, [_arc((9, 8), (9, 8), 200, 450) + _arc((9, 24), (11, 8), -90, 160)]),
    (3, [[(1, 0), (18, 0), (9, 12), *_arc((9, 22), (10, 10), -90, 160)]]),
    (3, [[*_arc((9, 8), (9, 8), 200, 420), (7, 15), *_arc((9, 24), (10, 8), -70, 150)]]),
    (4, [[(3, 0), (1, 18), (20, 18)], [(15, 6), (15, 32)]]),
    (4, [[(14, 32), (14, 0), (0, 21), (20, 21)]]),
    (4, [[(2, 0), (0, 16), (16, 16)], [(17, 0), (15, 32)]]),
    (4, [[(8, 0), (0, 20), (20, 20)], [(15, 10), (12, 32)]]),
    (5, [[(19, 0), (4, 0), (2, 13), *_arc((9, 22), (10, 10), -110, 150)]]),
    (5, [[(20, 0), (9, 2), (3, 13), *_arc((8, 23), (9, 9), -100, 150)]]),
    (5, [[(4, 3), (3, 13), *_arc((9, 22), (10, 10), -110, 150)], [(4, 2), (20, 0)]]),
    (5, [[(20, 0), (6, 4), (4, 12), (13, 15), *_arc((7, 24), (8, 8), -30, 160)]]),
    (6, [[(16, 0), (5, 10), (1, 20), *_arc((10, 23), (9, 9), 180, -180)]]),
    (
        6,
        [
            [
                (6, 0),
                (1, 14),
                (1, 24),
                *_arc((9, 24), (9, 8), 180, 0),
                *_arc((10, 23), (8, 6), 0, -170),
            ]
        ],
    ),
    (
        6,
        [
            [
                (12, 0),
                (2, 16),
                (1, 25),
                *_arc((10, 25), (9, 7), 170, 0),
                *_arc((11, 24), (8, 6), 0, -150),
            ]
        ],
    ),
    (7, [[(0, 2), (20, 0), (6, 32)]]),
    (7, [[(0, 6), (2, 0), (20, 0), (10, 16), (8, 32)]]),
    (7, [[(0, 2), (20, 0), (8, 32)], [(4, 16), (18, 15)]]),
    (7, [[(1, 7), (3, 0), (20, 1), (11, 16), (7, 32)], [(2, 17), (20, 16)]]),
    (8, [_arc((10, 8), (7, 8), 90, 450) + _arc((10, 24), (9, 8), -90, 270)]),
    (
        8,
        [
            [
                (17, 4),
                *_arc((10, 7), (7, 7), -30, -200),
                (8, 13),
                (18, 22),
                *_arc((10, 25), (9, 7), -20, 190),
                (8, 17),
                (17, 5),
            ]
        ],
    ),
    (9, [[*_arc((9, 9), (9, 9), 0, -360), (18, 4), (18, 20), (15, 32)]]),
    (9, [[*_arc((9, 9), (9, 9), -20, -330), (17, 10), (10, 32)]]),
    (9, [[(18, 2), *_arc((9, 9), (8, 8), -50, -300), (15, 13), (18, 4), (15, 32)]]),
    (9, [[*_arc((10, 9), (9, 9), 0, -360), (19, 9), (19, 24), *_arc((10, 24), (9, 8), 0, 150)]]),
)
"""Each digit's shapes: lines through places (across 0..20, down 0..32) of an upright character."""


def shapes_of(copies: int) -> tuple[Strokes, NDArray[np.int64]]:
    """Return `copies` times each shape as strokes, and the digit of each."""
    each = [_points(lines) for _, lines in SHAPES]
    points = np.concatenate(each * copies).astype(np.float32)
    owner = np.repeat(np.arange(len(each) * copies), [len(one) for one in each] * copies)
    strokes = Strokes(len(each) * copies, owner, points[:, 0], points[:, 1])
    return strokes, np.tile(np.array([digit for digit, _ in SHAPES]), copies)


def _points(lines: Sequence[Line]) -> NDArray[np.float64]:
    """Return close points (n, 2) along lines, from the middle of the bitmap."""
    points = []
    for line in lines:
        places = np.array(line, float)
        for begin, end in itertools.pairwise(places):
            steps = max(2, 1 + int(_POINTS_PER_STEP * np.hypot(*(end - begin))))
            points.append(begin + (end - begin) * np.linspace(0, 1, steps)[:, np.newaxis])
    return np.concatenate(points) - np.array([BODY, BITMAP]) / 2
