"""One field of a registered page: its ink, straight, without the box."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from batchdigits.forms.pages.ink import threshold
from batchdigits.forms.pages.lines import Line, wipe, wipe_upright
from batchdigits.forms.pages.registration import Form, Registration
from batchdigits.forms.pages.sampling import Grey, bilinear, grid
from batchdigits.forms.pages.segments import CLEAR, measure

MARGIN = 0.45
"""How far a picture goes beyond the box, as a part of the box's height."""


@dataclass(frozen=True, slots=True)
class FieldPicture:
    """The picture of a field, in pixels of the blank form.

    grey       darkness, uint8 (height, width), lines and all
    ink        bool (height, width): the ink without the box's lines
    left, top  where the picture starts on the blank form
    box        left, top, right, bottom of the box's lines in the picture
    """

    grey: Grey
    ink: NDArray[np.bool_]
    left: int
    top: int
    box: tuple[int, int, int, int]


def picture_of(dark: Grey, form: Form, found: Registration, number: int, box, level: int) -> FieldPicture:
    """Cut out a field and wipe its box off."""
    left, top, right, bottom = box
    margin = round(MARGIN * (bottom - top))
    first_x, first_y = left - margin, top - margin
    columns, rows = right - left + 2 * margin, bottom - top + 2 * margin
    sides, thickness = _sides(dark, form, found, number, box)
    x, y = _grid(found, box, sides, first_x, first_y, columns, rows)
    grey = np.round(bilinear(dark, x, y)).astype(np.uint8)
    inner = (margin, margin, margin + right - left, margin + bottom - top)
    ink = grey >= _level(grey, inner, level)
    c = 0.5
    across = [Line(margin + c, margin - 6, columns - margin + 6), Line(rows - margin + c, margin - 6, columns - margin + 6)]
    upright = [Line(margin + c, margin - 6, rows - margin + 6), Line(columns - margin + c, margin - 6, rows - margin + 6)]
    clean = wipe_upright(wipe(ink, across, thickness), upright, thickness)
    return FieldPicture(grey, clean, first_x, first_y, inner)


def _level(grey: Grey, inner, level: int) -> int:
    """Return the darkness from which on a pixel is ink: the field's own, near the page's."""
    left, top, right, bottom = inner
    inside = grey[top + 8 : bottom - 8, left + 8 : right - 8]
    own = threshold(inside)
    return int(np.clip(own, 0.6 * level, 1.1 * level))


def _sides(dark: Grey, form: Form, found: Registration, number: int, box):
    """Return how far left, top, right and bottom lie off, and the lines' thickness."""
    chosen = form.segments.boxes == number
    own = form.segments.part(chosen)
    offsets, contrast = measure(dark, found.matrix, own, 5)
    good = contrast >= CLEAR
    result = []
    middle = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    for upright, before in ((True, True), (False, True), (True, False), (False, False)):
        axis = 0 if upright else 1
        side = good & (own.vertical == upright) & ((own.centres[:, axis] < middle[axis]) == before)
        ideal = box[axis if before else axis + 2] + 0.5
        home = own.centres[(own.vertical == upright) & ((own.centres[:, axis] < middle[axis]) == before), axis].mean()
        result.append(float(home - ideal) + (float(np.median(offsets[side])) if side.any() else 0.0))
    return result, float(own.thickness.mean())


def _grid(found: Registration, box, sides, first_x: int, first_y: int, columns: int, rows: int):
    """Return the page's points for the picture's pixels, the box's sides exactly in their places."""
    left, top, right, bottom = box
    xs = first_x + np.arange(columns) + 0.5
    ys = first_y + np.arange(rows) + 0.5
    u = np.clip((xs - left) / (right - left), 0, 1)
    v = np.clip((ys - top) / (bottom - top), 0, 1)
    xs = (xs + (1 - u) * sides[0] + u * sides[2])[None, :]
    ys = (ys + (1 - v) * sides[1] + v * sides[3])[:, None]
    (a, b, c), (d, e, f), (g, h, i) = found.matrix
    depth = g * xs + h * ys + i
    return (a * xs + b * ys + c) / depth, (d * xs + e * ys + f) / depth
