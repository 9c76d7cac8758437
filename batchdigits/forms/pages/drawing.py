"""Pictures to look at: what was found on a page, and the fields of a template."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.forms.pages.field_picture import corners_of
from batchdigits.forms.pages.page import FieldResult, KnownForm, PageResult
from batchdigits.forms.pictures import pillow
from batchdigits.forms.registration.geometry import Matrix, apply
from batchdigits.forms.registration.sampling import Brightness
from batchdigits.rows.rejects import written_name
from batchdigits.rows.template import Box, Template

if TYPE_CHECKING:
    from PIL.Image import Image

Colour = tuple[int, int, int]

CUT, BLANK, REFUSED = (0, 130, 0), (120, 120, 120), (210, 0, 0)
"""The colours of fields that were cut, that are blank, and that were refused."""

CELLS = ((0, 90, 220), (200, 90, 0))
"""The colours of cells, in turn."""

_PALE = 0.5  # of the page's darkness: what is drawn stands out


def draw_page(page: Brightness, result: PageResult) -> Image:
    """Return the page with its fields, its cells, the lines that were missed, and all reasons."""
    canvas = _Canvas(page, result.registration.matrix)
    canvas.draw_lost(result.known, result.registration.found)
    for field in result.fields:
        colour = REFUSED if field.reason else CUT if field.cells else BLANK
        canvas.outline(field.printed.box, colour, 2)
        for number, cell in enumerate(field.cells):
            canvas.outline(cell.box, CELLS[number % 2], 1)
        canvas.label(field.printed.box, _words(field), colour)
    canvas.headline(_summary(result), CUT)
    return canvas.image


def draw_refused(page: Brightness, known: KnownForm, matrix: Matrix, reason: str) -> Image:
    """Return a page that was refused, with the fields where they were looked for, and why."""
    canvas = _Canvas(page, matrix)
    for field in known.template.fields:
        canvas.outline(field.box, REFUSED, 1)
        canvas.label(field.box, field.name, REFUSED)
    canvas.headline(reason, REFUSED)
    return canvas.image


def draw_template(page: Brightness, template: Template) -> Image:
    """Return the blank form with its fields, their names and digits, its cells and its marks."""
    canvas = _Canvas(page, np.eye(3))
    for field in template.fields:
        for number, cell in enumerate(field.cells):
            canvas.outline(cell, CELLS[number % 2], 1)
        canvas.outline(field.box, CUT, 2)
        digits = f"{field.digits}" if field.exact else f"at most {field.digits}"
        canvas.label(field.box, f"{field.name}: {digits}", CUT)
    for mark in template.marks:
        canvas.outline(mark, CELLS[1], 2)
    return canvas.image


class _Canvas:
    """A page in pale colours to draw on; `matrix` takes points of the blank form to it."""

    def __init__(self, page: Brightness, matrix: Matrix) -> None:
        from PIL import ImageDraw

        grey = np.where(page, 255, 0) if page.dtype == np.bool_ else page
        pale = (255 - (255 - grey.astype(np.float32)) * _PALE).astype(np.uint8)
        self.image: Image = pillow().fromarray(pale).convert("RGB")
        self._draw = ImageDraw.Draw(self.image)
        self._matrix = matrix
        self._letter: float = max(10.0, max(page.shape) / 110)

    def outline(self, box: Box, colour: Colour, weight: int) -> None:
        """Draw a box of the form."""
        corners = [tuple(point) for point in corners_of(self._matrix, box).tolist()]
        self._draw.line([*corners, corners[0]], fill=colour, width=self._width(weight))

    def label(self, box: Box, text: str, colour: Colour) -> None:
        """Write below a box of the form."""
        left, bottom = corners_of(self._matrix, box)[3].tolist()
        where = left, bottom + self._letter / 6
        self._draw.text(where, text, fill=colour, font=_font(self._letter))

    def headline(self, text: str, colour: Colour) -> None:
        """Write at the top of the page, in as many lines as it takes."""
        size = 1.6 * self._letter
        text = "\n".join(textwrap.wrap(text, max(20, round(1.7 * self.image.width / size))))
        self._draw.text((self._letter, self._letter), text, fill=colour, font=_font(size))

    def draw_lost(self, known: KnownForm, found: NDArray[np.bool_]) -> None:
        """Draw the pieces of the form's lines that the page does not have."""
        segments = known.form.segments.part(~found)
        along = np.where(segments.vertical[:, None], [[0.0, 0.5]], [[0.5, 0.0]])
        along *= segments.lengths[:, None]
        starts = apply(self._matrix, segments.centres - along)
        stops = apply(self._matrix, segments.centres + along)
        for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
            self._draw.line([*start, *stop], fill=REFUSED, width=self._width(4))

    def _width(self, weight: int) -> int:
        return max(1, round(weight * self._letter / 20))


def _words(field: FieldResult) -> str:
    name = field.printed.field.name
    if field.reason:
        return f"{name}: {field.reason}"
    characters = sum(cell.ink > 0 for cell in field.cells)
    return f"{name}: {characters}" if characters else f"{name}: blank"


def _summary(result: PageResult) -> str:
    cut = sum(bool(field.cells) for field in result.fields)
    refused = sum(field.reason is not None for field in result.fields)
    name = written_name(result.known.template.path.name)
    return (
        f"{name}: registration {result.registration.score:.3f}; "
        f"{cut} fields cut, {len(result.fields) - cut - refused} blank, {refused} refused"
    )


def _font(size: float) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)
