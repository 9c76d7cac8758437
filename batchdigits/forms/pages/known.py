"""The templates that pages are read with, and which of them a page may be of."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from batchdigits.errors import NoInputError, UnusableInputError
from batchdigits.files.digest import digest_file
from batchdigits.files.streams import Snapshot
from batchdigits.forms.pages.documents import count_pages, read_scan
from batchdigits.forms.pages.page import KnownForm
from batchdigits.forms.pictures import Picture, PictureError
from batchdigits.forms.registration.sampling import Brightness
from batchdigits.rows.template import Template, read_templates

_LEAST_HEIGHT = 2.0  # mm of the highest field of a form; nobody writes digits in lower ones


def open_templates(names: Sequence[str]) -> list[Template]:
    """Read templates and their blank forms.

    Raises as `read_templates`, and UnusableInputError for a resolution with which all that is
    written would be dust, and for a blank form that can't be used.
    """
    templates = read_templates(names)
    for template in templates:
        height = max(field.box[3] - field.box[1] for field in template.fields)
        if (high := 25.4 * height / template.dpi) < _LEAST_HEIGHT:
            raise UnusableInputError(
                f"{template.path}: with dpi {template.dpi} its highest field is {high:.1f} mm "
                "high, too low to write in; give its page the pixels to an inch of the blank form"
            )
        known_form(template)
    return templates


def template_files(templates: Sequence[Template]) -> list[Path]:
    """Return the paths of templates and of their blank forms, which no output may overwrite."""
    return [path for form in templates for path in (form.path, form.blank) if path is not None]


def template_facts(templates: Sequence[Template]) -> dict[str, dict[str, str | None]]:
    """Return what decides the rows of each template: its digest, and that of its blank form."""
    return {
        template.name: {
            "sha256": template.digest,
            "blank": None if template.blank is None else digest_file(template.blank),
        }
        for template in templates
    }


def templates_for(document: Picture, templates: Sequence[Template]) -> list[Template]:
    """Return the template that is named like the document's folder; all if there is none."""
    folder = document.folder or document.path.parent.name
    own = [template for template in templates if template.path.stem == folder]
    return own or list(templates)


def known_form(template: Template) -> KnownForm:
    """Prepare a template, once as long as its blank form stays the same.

    Raises UnusableInputError if its blank form can't be used.
    """
    snapshot = None
    if template.blank is not None:
        with contextlib.suppress(NoInputError):  # reading it says why
            snapshot = Snapshot.of(template.blank)
    return _known_form(template, snapshot)


@lru_cache(maxsize=64)
def _known_form(template: Template, _blank_was: Snapshot | None) -> KnownForm:
    return KnownForm.of(template, None if template.blank is None else _blank(template))


def _blank(template: Template) -> Brightness:
    path = template.blank or Path()
    document = Picture(str(path), path)
    try:
        count_pages(document)
        page = read_scan(document, 0, template.dpi).page
    except PictureError as error:
        raise UnusableInputError(
            f"{template.path}: its blank form {path.name} can't be used: {error.detail}"
        ) from error
    if page.shape != (template.height, template.width):
        raise UnusableInputError(
            f"{template.path}: its blank form {path.name} has {page.shape[1]}x{page.shape[0]} "
            f"pixels, the template's page {template.width}x{template.height}; make them one size"
        )
    return page
