"""The picture of a field of a registered page: straight, at 300 dpi, its box wiped off."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from batchdigits.bitmaps.recipe import Ink
from batchdigits.forms.pages.lines import wipe
from batchdigits.forms.pages.printed import PrintedField
from batchdigits.forms.registration.form import Form
from batchdigits.forms.registration.geometry import Matrix, apply
from batchdigits.forms.registration.ink import threshold
from batchdigits.forms.registration.register import Registration
from batchdigits.forms.registration.sampling import Grey, bilinear, mapped
from batchdigits.forms.registration.segments import CLEAR, measure

THINNER = 1.35
"""Times Otsu's threshold, from which on a pixel is ink: scanners make strokes fatter."""


@dataclass(frozen=True, slots=True)
class FieldPicture:
    """A field of a page.

    grey   darkness, uint8 (height, width), with the box and what is around it
    ink    bool (height, width): the ink, without the printed lines
    found  the share of the field's lines that the page has, 0..1; 1 where it has none to look for
    """

    grey: Grey
    ink: Ink
    found: float


def picture_of(
    dark: Grey, form: Form, registration: Registration, printed: PrintedField, level: int
) -> FieldPicture:
    """Cut a field out of a page.

    dark   the page's darkness
    level  the darkness from which on the page's pixels are ink
    """
    own = form.segments.boxes == printed.number
    found = float(registration.found[own].mean()) if own.any() else 1.0
    x, y = _points(printed, registration.matrix, _offsets(dark, form, registration, printed))
    grey = np.round(_smooth(bilinear(dark, x, y))).astype(np.uint8)
    left, top, right, bottom = printed.inner
    inside = grey[top + 8 : bottom - 8, left + 8 : right - 8]
    # Faint pencil or a fat marker: the field's own level, near that of the page.
    own_level = int(np.clip(THINNER * threshold(inside), 0.6 * level, 1.6 * level))
    ink = wipe(grey >= own_level, printed.lines)
    return FieldPicture(grey, ink, found)


def _smooth(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the picture without the steps of its pixels: weights 1, 2, 1 along both axes."""
    smooth: NDArray[np.float32] = picture.astype(np.float32)
    for axis in (0, 1):
        around = np.roll(smooth, 1, axis) + np.roll(smooth, -1, axis)
        smooth = ((around + 2 * smooth) / 4).astype(np.float32)
    return smooth


def _offsets(
    dark: Grey, form: Form, registration: Registration, printed: PrintedField
) -> NDArray[np.float64]:
    """Return how far left, top, right and bottom lie off what the homography says, float64 (4,)."""
    segments = form.segments.part(form.segments.boxes == printed.number)
    result = np.zeros(4)
    if not len(segments):
        return result
    unit = form.dpi / 300
    offsets, contrast = measure(dark, registration.matrix, segments, max(3, round(5 * unit)))
    for side, edge in enumerate(printed.box):
        axis = side % 2
        near = np.abs(segments.centres[:, axis] - edge) < 10 * unit
        chosen = near & (segments.vertical == (axis == 0)) & (contrast >= CLEAR)
        if chosen.any():
            result[side] = np.median(offsets[chosen])
    return result


def _points(
    printed: PrintedField, matrix: Matrix, offsets: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the points of the page under the pixels of the picture, each (height, width)."""
    height, width = printed.shape
    xs = printed.left + (np.arange(width) + 0.5) * printed.step
    ys = printed.top + (np.arange(height) + 0.5) * printed.step
    left, top, right, bottom = printed.box
    across = np.clip((xs - left) / (right - left), 0, 1)
    down = np.clip((ys - top) / (bottom - top), 0, 1)
    xs = (xs + offsets[0] + across * (offsets[2] - offsets[0]))[None, :]
    ys = (ys + offsets[1] + down * (offsets[3] - offsets[1]))[:, None]
    return mapped(matrix, xs, ys)


def corners_of(matrix: Matrix, box: tuple[float, ...]) -> NDArray[np.float64]:
    """Return a box's corners on the page, clockwise from the top left, float64 (4, 2)."""
    left, top, right, bottom = box
    return apply(
        matrix, np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float64)
    )
