"""Pictures to look at: what was found on a page, and the fields of a template."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.forms.pages.fields import corners_of
from batchdigits.forms.pages.page import Brightness, FieldResult, KnownForm, PageResult
from batchdigits.forms.pictures import pillow
from batchdigits.forms.registration.geometry import Matrix, apply
from batchdigits.forms.template import Box, Template

if TYPE_CHECKING:
    from PIL.Image import Image

CUT, BLANK, REFUSED, LOST = (0, 130, 0), (120, 120, 120), (210, 0, 0), (210, 0, 0)
"""The colours of fields that were cut, are blank, or were refused, and of lines that are missing."""

CELLS = ((0, 90, 220), (200, 90, 0))
"""The colours of cells, in turn."""

_PALE = 0.5  # of the page's darkness: what is drawn stands out


def draw_page(page: Brightness, result: PageResult) -> Image:
    """Return the page with its fields, its cells, the lines that were missed, and all reasons."""
    image, draw, size = _canvas(page)
    matrix, unit = result.registration.matrix, size / 40
    _draw_lost(draw, result.known, matrix, result.registration.found, unit)
    for field in result.fields:
        colour = REFUSED if field.reason else CUT if field.cells else BLANK
        _polygon(draw, matrix, field.printed.box, colour, round(unit))
        for number, cell in enumerate(field.cells):
            _polygon(draw, matrix, cell.box, CELLS[number % 2], max(1, round(unit / 2)))
        _label(draw, matrix, field.printed.box, _words(field), colour, size)
    draw.text((size, size), _headline(result), fill=CUT, font=_font(2 * size))
    return image


def draw_refused(page: Brightness, known: KnownForm, matrix: Matrix, reason: str) -> Image:
    """Return a page that was refused, with the fields where they were looked for, and why."""
    image, draw, size = _canvas(page)
    for field in known.template.fields:
        _polygon(draw, matrix, field.box, REFUSED, max(1, round(size / 40)))
        _label(draw, matrix, field.box, field.name, REFUSED, size)
    draw.text((size, size), reason, fill=REFUSED, font=_font(2 * size))
    return image


def draw_template(page: Brightness, template: Template) -> Image:
    """Return the blank form with its fields, their names and digits, its cells and its marks."""
    image, draw, size = _canvas(page)
    still = np.eye(3)
    for field in template.fields:
        for cell in field.cells:
            _polygon(draw, still, cell, CELLS[0], max(1, round(size / 60)))
        _polygon(draw, still, field.box, CUT, max(1, round(size / 40)))
        digits = f"{field.digits}" if field.exact else f"at most {field.digits}"
        _label(draw, still, field.box, f"{field.name}: {digits}", CUT, size)
    for mark in template.marks:
        _polygon(draw, still, mark, CELLS[1], max(1, round(size / 40)))
    return image


def _canvas(page: Brightness) -> tuple[Image, Any, float]:
    """Return the page in pale colours, something to draw with, and the height of letters."""
    from PIL import ImageDraw

    grey = page.astype(np.uint8) * 255 if page.dtype == bool else page
    pale = (255 - (255 - grey.astype(np.uint16)) * _PALE).astype(np.uint8)
    image = pillow().fromarray(pale).convert("RGB")
    return image, ImageDraw.Draw(image), max(10.0, max(page.shape) / 110)


def _polygon(draw: Any, matrix: Matrix, box: Box, colour: tuple[int, ...], width: int) -> None:
    corners = [tuple(point) for point in corners_of(matrix, box).tolist()]
    draw.line([*corners, corners[0]], fill=colour, width=max(1, width), joint="curve")


def _label(
    draw: Any, matrix: Matrix, box: Box, text: str, colour: tuple[int, ...], size: float
) -> None:
    left, bottom = corners_of(matrix, box)[3].tolist()
    draw.text((left, bottom + size / 6), text, fill=colour, font=_font(size))


def _draw_lost(
    draw: Any, known: KnownForm, matrix: Matrix, found: NDArray[np.bool_], unit: float
) -> None:
    segments = known.form.segments.part(~found)
    along = np.where(segments.vertical[:, None], [[0.0, 0.5]], [[0.5, 0.0]])
    along = along * segments.lengths[:, None]
    starts, stops = apply(matrix, segments.centres - along), apply(matrix, segments.centres + along)
    for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
        draw.line([*start, *stop], fill=LOST, width=max(2, round(2 * unit)))


def _words(field: FieldResult) -> str:
    name = field.printed.field.name
    if field.reason:
        return f"{name}: {field.reason}"
    characters = sum(cell.ink > 0 for cell in field.cells)
    return f"{name}: {characters}" if characters else f"{name}: blank"


def _headline(result: PageResult) -> str:
    cut = sum(bool(field.cells) for field in result.fields)
    refused = sum(field.reason is not None for field in result.fields)
    return (
        f"{result.known.template.path.name}: registration {result.registration.score:.3f}; "
        f"{cut} fields cut, {len(result.fields) - cut - refused} blank, {refused} refused"
    )


def _font(size: float) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)
