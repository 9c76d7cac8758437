"""One page: registered, its fields found and cut, or refused with a reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from batchdigits.forms.cutting.hand import Hand, hand_of
from batchdigits.forms.cutting.parts import Part, parts_of
from batchdigits.forms.pages.field_cells import Cell, FieldError, blank_cell, cells_of
from batchdigits.forms.pages.field_picture import FieldPicture, corners_of, picture_of
from batchdigits.forms.pages.printed import PrintedField, printed_fields
from batchdigits.forms.pictures import PictureError
from batchdigits.forms.registration.form import Form
from batchdigits.forms.registration.geometry import resolution
from batchdigits.forms.registration.ink import darkness, strengthened, threshold
from batchdigits.forms.registration.register import Registration, register
from batchdigits.forms.registration.sampling import Brightness, Grey
from batchdigits.rows.rejects import written_name
from batchdigits.rows.template import Template

PAGE_REASONS: dict[str, str] = {
    "encrypted": "the PDF is encrypted",
    "no-pages": "the document has no page",
    "blank-page": "there is no ink on the page",
    "black-page": "the page is nearly all ink",
    "upside-down": "the form is upside down",
    "sideways": "the form lies on its side",
    "other-form": "the lines, marks or print of the form are not on the page",
    "cut-off": "a part of the form is outside of the page",
    "low-resolution": "the form has fewer than 100 pixels to an inch",
}
"""The reasons why a page is refused besides those of pictures, with their meanings."""

LEAST_SCORE = 0.6
"""The least share of the form's lines, marks and print that must be found."""

SURE = 0.85
"""The share of the form's lines from which on its print need not be there."""

STRANGE = 0.15
"""The share of the form's print up to which a page is taken for one of another form."""

LEAST_DPI = 100
"""The least pixels to an inch of the form on the page."""

_BLANK = 0.0005  # of a page's pixels are ink, at most
_LEAST_SIDE = 100  # pixels
_BLACK = 0.6  # of a page's pixels are ink, at least


@dataclass(frozen=True, slots=True)
class KnownForm:
    """A template with all that can be prepared before the first page."""

    template: Template
    form: Form
    printed: list[PrintedField]

    @classmethod
    def of(cls, template: Template, blank: Brightness | None) -> KnownForm:
        """Prepare a template. `blank` is the brightness of the blank form."""
        dark = None if blank is None else darkness(blank)
        return cls(template, Form(template, dark), printed_fields(template, dark))


@dataclass(frozen=True, slots=True)
class FieldResult:
    """A field of a page: its cells, none if it is blank; or the reason why it was refused."""

    printed: PrintedField
    picture: FieldPicture
    parts: list[Part]
    cells: list[Cell]
    reason: str | None = None
    detail: str | None = None

    def blank_cell(self) -> Cell:
        """Return the one cell that stands for a blank field."""
        return blank_cell(self.printed.box, 1)


@dataclass(frozen=True, slots=True)
class PageResult:
    """A page that was read."""

    known: KnownForm
    registration: Registration
    hand: Hand
    fields: list[FieldResult]


def read_page(page: Brightness, forms: Sequence[KnownForm], dpi: float | None) -> PageResult:
    """Find the form on a page and cut its fields.

    forms  the forms that it may be; the one of which most is found is taken
    dpi    its pixels to an inch, if the file tells

    Raises PictureError with a reason of PAGE_REASONS.
    """
    _refuse_tiny(page)
    dark = strengthened(darkness(page))
    level = threshold(dark)
    _refuse_extremes(dark, level)
    known, found = _register(page, dark, forms, dpi, thorough=False)
    if not _is_sure(found):
        _refuse_turned(page, dark, forms, dpi, found)
        known, found = _register(page, dark, forms, dpi, thorough=True)
    is_strange = found.print is not None and found.print < STRANGE
    if found.score < (SURE if is_strange else LEAST_SCORE):
        _refuse_low(max(dark.shape) / max(known.form.width, known.form.height), known)
        raise PictureError(
            "other-form",
            f"{found.score:.0%} of the lines of {written_name(known.template.path.name)} are found"
            + ("" if found.print is None else f", and {found.print:.0%} of its print")
            + "; give the template of this form, or scan the page again",
        )
    _refuse_cut_off(known, found, dark)
    middle = np.array([known.form.width / 2, known.form.height / 2])
    _refuse_low(resolution(found.matrix, middle), known)
    return _cut_fields(known, found, dark, level)


def _register(
    page: Brightness,
    dark: Grey,
    forms: Sequence[KnownForm],
    dpi: float | None,
    *,
    thorough: bool,
) -> tuple[KnownForm, Registration]:
    """Return the form of which most is found, and where."""
    tried = []
    for known in forms:
        scale = dpi / known.template.dpi if dpi else None
        tried.append((known, register(page, dark, known.form, scale, thorough=thorough)))
    return max(tried, key=lambda pair: pair[1].trust)


def _is_sure(found: Registration) -> bool:
    return found.score >= SURE and (found.print is None or found.print >= STRANGE)


def _refuse_tiny(page: Brightness) -> None:
    if min(page.shape) < _LEAST_SIDE:
        height, width = page.shape
        raise PictureError("low-resolution", f"has {width}x{height} pixels; scan the whole page")


def _refuse_extremes(dark: Grey, level: int) -> None:
    ink = float((dark[::2, ::2] >= level).mean())
    brightest = int(dark[::4, ::4].min())
    if brightest > 200 or ink > _BLACK:
        raise PictureError("black-page", f"{ink:.0%} of it is ink; scan it again")
    if ink < _BLANK:
        raise PictureError("blank-page", "there is no ink on it; leave it out")


def _refuse_turned(
    page: Brightness,
    dark: Grey,
    forms: Sequence[KnownForm],
    dpi: float | None,
    found: Registration,
) -> None:
    """Raise PictureError if the form is found better once the page is turned."""
    best, fix = found.trust + 0.1, ""
    for turns, words in (
        (2, "by 180 degrees"),
        (1, "by 90 degrees to the left"),
        (3, "by 90 degrees to the right"),
    ):
        turned = np.rot90(page, turns), np.ascontiguousarray(np.rot90(dark, turns))
        _, other = _register(*turned, forms, dpi, thorough=False)
        if other.score >= LEAST_SCORE and other.trust > best:
            best, fix = other.trust, words
    if fix:
        reason = "upside-down" if "180" in fix else "sideways"
        raise PictureError(reason, f"turn it {fix}")


def _refuse_cut_off(known: KnownForm, found: Registration, dark: Grey) -> None:
    template = known.template
    height, width = dark.shape
    lost = []
    for field in template.fields:
        x, y = corners_of(found.matrix, field.box).T
        if x.min() < -2 or y.min() < -2 or x.max() > width + 2 or y.max() > height + 2:
            lost.append(field.name)
    if lost:
        raise PictureError(
            "cut-off",
            f"{len(lost)} of {len(template.fields)} fields are outside of it, such as {lost[0]}; "
            "scan the whole page",
        )


def _refuse_low(scale: float, known: KnownForm) -> None:
    """Raise PictureError for too few pixels; `scale` is those of the page for one of the form."""
    dpi = scale * known.template.dpi
    if dpi < LEAST_DPI:
        raise PictureError(
            "low-resolution",
            f"the form has {dpi:.0f} pixels to an inch; scan it with {LEAST_DPI} at least, better "
            "300",
        )


def _cut_fields(known: KnownForm, found: Registration, dark: Grey, level: int) -> PageResult:
    pictures = [picture_of(dark, known.form, found, each, level) for each in known.printed]
    parts = [
        parts_of(picture.ink, printed.inner, printed.print)
        for picture, printed in zip(pictures, known.printed, strict=True)
    ]
    heights = [printed.inner[3] - printed.inner[1] for printed in known.printed]
    hand = hand_of(parts, float(np.median(heights)))
    fields = []
    for printed, picture, own in zip(known.printed, pictures, parts, strict=True):
        try:
            cells = cells_of(picture, own, printed, hand)
            fields.append(FieldResult(printed, picture, own, cells))
        except FieldError as error:
            fields.append(FieldResult(printed, picture, own, [], error.reason, error.detail))
    return PageResult(known, found, hand, fields)
