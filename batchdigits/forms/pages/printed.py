"""What is printed of each field: its lines, and what else the blank form has there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from batchdigits.bitmaps.recipe import Ink
from batchdigits.forms.pages.lines import PrintedLine, intervals, wipe
from batchdigits.forms.registration.sampling import Grey, Grid, bilinear
from batchdigits.rows.template import Box, Field, Template

DPI = 300
"""Pixels to an inch of the pictures of fields, whatever the form and the page have."""

MARGIN = 0.45
"""How far a picture goes beyond the box, as a part of the box's height."""

THICKNESS = 5.0
"""Pixels that a printed line is thick, where no blank form shows it."""

_NEAR = 8  # pixels beside an edge of a box, where its line may be
_FAINT = 0.15  # of an edge: with less ink along it, there is no line
_SHORTEST = 12  # pixels of a line
_CORNER = 6  # pixels that lines go on at both ends


@dataclass(frozen=True, slots=True)
class PrintedField:
    """A field as the blank form has it, in pixels of its picture but for `box`, `left` and `top`.

    number     its place in the template, from 0
    box        the box in pixels of the blank form
    left, top  where the picture starts on the blank form
    step       pixels of the blank form for one of the picture
    shape      height and width of the picture
    inner      the box in the picture
    cells      the boxes of its cells in the picture
    lines      the printed lines
    print      where the blank form has other ink, or a little beside it; None without a blank form
    """

    number: int
    field: Field
    box: Box
    left: float
    top: float
    step: float
    shape: tuple[int, int]
    inner: Box
    cells: tuple[Box, ...]
    lines: tuple[PrintedLine, ...]
    print: Ink | None

    def on_form(self, box: Box) -> Box:
        """Return a box of the picture in pixels of the blank form."""
        left, top, right, bottom = box
        return (
            int(np.floor(self.left + left * self.step)),
            int(np.floor(self.top + top * self.step)),
            int(np.ceil(self.left + right * self.step)),
            int(np.ceil(self.top + bottom * self.step)),
        )


def printed_fields(template: Template, blank: Grey | None) -> list[PrintedField]:
    """Return the fields of a form. `blank` is the darkness of the blank form."""
    return [
        _printed(template, number, field, blank) for number, field in enumerate(template.fields)
    ]


def _printed(template: Template, number: int, field: Field, blank: Grey | None) -> PrintedField:
    step = template.dpi / DPI
    left, top, right, bottom = field.box
    margin = round(MARGIN * (bottom - top) / step)
    start = left - margin * step, top - margin * step
    shape = round((bottom - top) / step) + 2 * margin, round((right - left) / step) + 2 * margin

    def in_picture(box: Box) -> Box:
        edges = [round((edge - start[axis % 2]) / step) for axis, edge in enumerate(box)]
        return edges[0], edges[1], edges[2], edges[3]

    inner, cells = in_picture(field.box), tuple(in_picture(cell) for cell in field.cells)
    boxes = [inner, *cells]
    if blank is None:
        lines, ink = [line for box in boxes for line in _sides(box)], None
    else:
        ink = bilinear(blank, *Grid(*start, shape[1], shape[0], step).on(np.eye(3))) > 127
        lines = [line for box in boxes for side in _sides(box) for line in _seen(ink, side)]
        ink = _grown(wipe(ink, lines))
    return PrintedField(
        number,
        field,
        field.box,
        *start,
        step,
        shape,
        inner,
        cells,
        tuple(dict.fromkeys(lines)),
        ink,
    )


def _sides(box: Box) -> list[PrintedLine]:
    left, top, right, bottom = box
    level = [PrintedLine(edge + 0.5, left, right, THICKNESS, False) for edge in (top, bottom)]
    return level + [PrintedLine(edge + 0.5, top, bottom, THICKNESS, True) for edge in (left, right)]


def _seen(ink: Ink, side: PrintedLine) -> list[PrintedLine]:
    """Return what the blank form has of a side of a box: where it is, how thick, and its pieces."""
    turned = ink.T if side.upright else ink
    first = max(0, int(side.middle) - _NEAR)
    start, stop = max(0, side.start), side.stop
    band = turned[first : int(side.middle) + _NEAR + 1, start:stop]
    if not band.size:
        return []
    profile = band.mean(axis=1)
    peak = int(profile.argmax())
    if profile[peak] < _FAINT:
        return []
    rows = np.flatnonzero(profile > profile[peak] / 2)
    rows = rows[np.abs(rows - peak) <= _NEAR]
    thickness = float(len(rows))
    middle = first + float(rows.mean()) + 0.5
    along: Ink = band[rows.min() : rows.max() + 1].max(axis=0)
    return [
        PrintedLine(middle, start + a - _CORNER, start + b + _CORNER, thickness, side.upright)
        for a, b in _closed(intervals(along))
        if b - a >= _SHORTEST
    ]


def _closed(pieces: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join pieces with short gaps, as a scanned line has them."""
    result: list[tuple[int, int]] = []
    for a, b in pieces:
        if result and a - result[-1][1] <= _CORNER:
            result[-1] = result[-1][0], b
        else:
            result.append((a, b))
    return result


def _grown(ink: Ink) -> Ink:
    """Return the ink and what is at most two pixels beside it."""
    padded = np.pad(ink, 2)
    height, width = ink.shape
    result: NDArray[np.bool_] = np.zeros_like(ink)
    for dy in range(5):
        for dx in range(5):
            result |= padded[dy : dy + height, dx : dx + width]
    return result
