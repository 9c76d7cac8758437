"""The templates that pages are read with, and which of them a page may be of."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from batchdigits.errors import NoInputError, UnusableInputError, UsageError
from batchdigits.files.digest import digest_file
from batchdigits.forms.pages.documents import count_pages, read_scan
from batchdigits.forms.pages.page import KnownForm
from batchdigits.forms.pictures import Picture, PictureError
from batchdigits.forms.registration.sampling import Brightness
from batchdigits.rows.template import Template

_JSON = ".json"


def read_templates(names: Sequence[str]) -> list[Template]:
    """Read templates: JSON files, and folders of them.

    Raises UsageError for two of one name, NoInputError for what is not there, UnusableInputError
    for one that can't be used, or whose blank form can't.
    """
    paths: list[Path] = []
    for name in names:
        path = Path(name)
        found = sorted(path.glob(f"*{_JSON}")) if path.is_dir() else [path]
        if not name or not found:
            raise NoInputError(f"--template {name!r}: no template there; expected a JSON file")
        paths += found
    templates = [Template.read(path) for path in paths]
    stems = [path.stem for path in paths]
    doubled = next((stem for stem in stems if stems.count(stem) > 1), None)
    if doubled is not None:
        raise UsageError(f"--template: two templates are named {doubled}; rename one of them")
    for template in templates:
        known_form(template)
    return templates


def template_facts(templates: Sequence[Template]) -> dict[str, dict[str, str | None]]:
    """Return what decides the rows of each template: its digest, and that of its blank form."""
    return {
        template.path.stem: {
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
    mark = None
    if template.blank is not None:
        with contextlib.suppress(OSError):  # reading it says why
            facts = template.blank.stat()
            mark = facts.st_mtime_ns, facts.st_size
    return _known_form(template, mark)


@lru_cache(maxsize=64)
def _known_form(template: Template, _mark: tuple[int, int] | None) -> KnownForm:
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
