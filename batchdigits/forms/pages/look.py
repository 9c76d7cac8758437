"""`forms template` and `forms show`: a template made from a blank form, a page drawn to look at."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from batchdigits.errors import UnusableInputError, UsageError
from batchdigits.files.atomic import check_output, refuse_existing, remove_file, write_output
from batchdigits.files.commit import as_json
from batchdigits.files.targets import refuse_overwriting
from batchdigits.forms.pages.documents import PAGE_SUFFIXES, Scan, count_pages, read_scan
from batchdigits.forms.pages.drawing import draw_page, draw_refused, draw_template
from batchdigits.forms.pages.finder import find_fields
from batchdigits.forms.pages.known import (
    known_form,
    open_templates,
    template_files,
    templates_for,
)
from batchdigits.forms.pages.page import LEAST_DPI, read_page
from batchdigits.forms.pictures import Picture, PictureError, expand_pictures, pillow
from batchdigits.forms.registration.ink import darkness, threshold
from batchdigits.forms.registration.register import register
from batchdigits.forms.registration.sampling import reduced
from batchdigits.forms.registration.skew import skew_of
from batchdigits.rows.template import MOST_DPI, Template
from batchdigits.text import listing

DEFAULT_DPI = 300

_STRAIGHT = 0.4  # degrees that a blank form may be turned by


@dataclass(frozen=True, slots=True)
class MadeTemplate:
    """A template that was made, and the files that were written."""

    template: Template
    files: tuple[Path, ...]

    def facts(self) -> dict[str, Any]:
        """Return the summary that the command prints."""
        template = self.template
        return {
            "template": str(template.path),
            "blank": str(template.blank),
            "picture": str(self.files[-1]),
            "page": template.facts()["page"],
            "fields": len(template.fields),
            "cells": sum(len(field.cells) for field in template.fields),
            "marks": len(template.marks),
        }


def make_template(
    blank: str, output: str, *, page: int = 1, dpi: int | None = None, overwrite: bool = False
) -> MadeTemplate:
    """Find the fields of a blank form and write its template, its picture, and one to look at.

    blank   a picture or a PDF of the blank form
    output  NAME.json; NAME.blank.png and NAME.fields.png are written beside it
    page    its number in the document, from 1
    dpi     pixels to an inch: those that a PDF is drawn with, and in place of what a picture tells

    Raises NoInputError, UsageError, OutputError, UnusableInputError.
    """
    if dpi is not None and not LEAST_DPI <= dpi <= MOST_DPI:
        raise UsageError(f"--dpi {dpi}: expected {LEAST_DPI} to {MOST_DPI} pixels to an inch")
    path = check_output(output, overwrite=overwrite, suffix=".json")
    pictures = [path.with_suffix(".blank.png"), path.with_suffix(".fields.png")]
    if not overwrite:
        for each in pictures:
            refuse_existing(each)
    document, scan = _scan(blank, page, dpi or DEFAULT_DPI)
    refuse_overwriting((path, *pictures), [document.path])
    known = round(dpi or scan.dpi or 0)
    if not known:
        raise UsageError(f"{document.name}: does not tell its resolution; give it with --dpi")
    if not LEAST_DPI <= known <= MOST_DPI:  # no page of such a form could be read
        raise UnusableInputError(
            f"{document.name}: says that it has {known} pixels to an inch, expected {LEAST_DPI} to "
            f"{MOST_DPI}; give the resolution of the form with --dpi"
        )
    dark = darkness(scan.page)
    _refuse_turned(document.name, dark)
    found = find_fields(dark >= threshold(dark), known)
    if not found.fields:
        raise UnusableInputError(
            f"{document.name}: no box or comb of straight lines is on it; write the template by "
            "hand, or scan the blank form again"
        )
    height, width = scan.page.shape
    template = Template(
        width, height, known, tuple(found.fields), pictures[0], tuple(found.marks), path
    )
    problems = template.problems()
    if problems:
        raise UnusableInputError(
            f"{document.name}: what was found with {known} pixels to an inch is not a usable "
            f"template: {listing(problems)}; give the resolution of the form with --dpi"
        )
    contents = {
        pictures[0]: _png(scan.page, known),
        pictures[1]: _png_of(draw_template(scan.page, template)),
        path: as_json(template.facts(), indent=1),
    }
    with ExitStack() as undo:
        for each, data in contents.items():
            write_output(each, data, overwrite=overwrite)
            if not overwrite:  # after a full disk the same command finds its names free
                undo.callback(remove_file, each)
        undo.pop_all()
    return MadeTemplate(template, (path, *pictures))


def show_page(
    document: str, templates: Sequence[str], output: str, *, page: int = 1, overwrite: bool = False
) -> dict[str, Any]:
    """Draw what was found on a page to the PNG `output`; return a summary.

    A page that is refused is drawn too, with the reason and the best guess where its fields are.
    Raises NoInputError, UsageError, OutputError, and UnusableInputError for a page that can't be
    decoded.
    """
    path = check_output(output, overwrite=overwrite, suffix=".png")
    forms = open_templates(templates)
    largest = max(forms, key=lambda form: max(form.width, form.height))
    picture, scan = _scan(document, page, largest.dpi, max(largest.width, largest.height))
    refuse_overwriting([path], [picture.path, *template_files(forms)])
    known = [known_form(template) for template in templates_for(picture, forms)]
    facts: dict[str, Any] = {"file": picture.name, "page": page, "picture": str(path)}
    try:
        result = read_page(scan.page, known, scan.dpi)
    except PictureError as error:
        found = register(scan.page, darkness(scan.page), known[0].form, None)
        reason = f"{error.reason}: {error.detail}"
        image = draw_refused(scan.page, known[0], found.matrix, reason)
        facts |= {"refused": error.reason, "detail": error.detail, "registration": found.score}
    else:
        image = draw_page(scan.page, result)
        facts |= {
            "template": result.known.template.name,
            "registration": round(result.registration.score, 4),
            "fields": {
                field.printed.field.name: field.reason or sum(cell.ink > 0 for cell in field.cells)
                for field in result.fields
            },
        }
    write_output(path, _png_of(image), overwrite=overwrite)
    return facts


def _scan(name: str, page: int, dpi: int, longest: int | None = None) -> tuple[Picture, Scan]:
    """Return one page of a document that the user named."""
    documents = expand_pictures([name], PAGE_SUFFIXES)
    if len(documents) != 1:
        raise UsageError(f"{name}: names {len(documents)} files; name one")
    document = documents[0]
    try:
        pages = count_pages(document)
        if not 1 <= page <= pages:
            raise UsageError(f"--page {page}: {document.name} has {pages}")
        return document, read_scan(document, page - 1, dpi, longest)
    except PictureError as error:
        raise UnusableInputError(f"{document.name}: {error.detail}") from error


def _refuse_turned(name: str, dark: Any) -> None:
    degrees = float(np.rad2deg(skew_of(reduced(dark, max(1, round(max(dark.shape) / 800))))))
    if abs(degrees) > _STRAIGHT:
        raise UnusableInputError(
            f"{name}: the form is turned by {degrees:.1f} degrees; boxes are found on a straight "
            "one: scan it again, or use the PDF that it is printed from"
        )


def _png(page: Any, dpi: int) -> bytes:
    buffer = io.BytesIO()
    image = pillow().fromarray(page)
    image.save(buffer, "PNG", dpi=(dpi, dpi))
    return buffer.getvalue()


def _png_of(image: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
