"""Planes: the homography that takes points of the blank form to points of a page."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
"""A homography, float64 (3, 3): `(x, y, 1)` of the blank form to a multiple of `(x, y, 1)` of the
page. Pixel i covers i..i+1, so its centre lies at i + 0.5."""

Points = NDArray[np.float64]
"""Points, float64 (n, 2): x, y."""


def apply(matrix: Matrix, points: Points) -> Points:
    """Return the points on the page, float64 (n, 2)."""
    mapped = points @ matrix[:, :2].T + matrix[:, 2]
    with np.errstate(divide="ignore", invalid="ignore"):  # a wild guess may see the horizon
        result: Points = mapped[:, :2] / mapped[:, 2:]
    return result


def shifted(matrix: Matrix, dx: float, dy: float) -> Matrix:
    """Return the matrix for a form whose content lies `dx`, `dy` pixels further right and down."""
    result: Matrix = matrix @ np.array([[1.0, 0.0, dx], [0.0, 1.0, dy], [0.0, 0.0, 1.0]])
    return result


def similarity(scale: float, angle: float, form: Points, page: Points) -> Matrix:
    """Return the turn by `angle` (radians, clockwise on the screen) that maps `form` to `page`.

    form, page  the point that stays the centre, float64 (2,)
    """
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    turn = np.array([[cos, -sin], [sin, cos]])
    result = np.eye(3)
    result[:2, :2] = turn
    result[:2, 2] = page - turn @ form
    return result


def from_corners(form: Points, page: Points) -> Matrix:
    """Return the homography that maps four points to four points, each float64 (4, 2)."""
    rows = []
    for (x, y), (u, v) in zip(form, page, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y])
    solution = np.linalg.solve(np.array(rows), page.reshape(-1))
    return np.append(solution, 1.0).reshape(3, 3)


def resolution(matrix: Matrix, point: Points) -> float:
    """Return the pixels of the page for one pixel of the form, around a point of the form."""
    corners = point + np.array([[-8.0, -8.0], [8.0, -8.0], [-8.0, 8.0]])
    a, b, c = apply(matrix, corners)
    return float(np.sqrt(abs(np.linalg.det(np.array([b - a, c - a])))) / 16)
