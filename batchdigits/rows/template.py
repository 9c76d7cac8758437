"""The template: where on a page the fields of a form are, as a JSON file that people edit."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from batchdigits.errors import NoInputError, UnusableInputError, UsageError
from batchdigits.files.digest import digest_bytes
from batchdigits.files.names import visible
from batchdigits.files.plain import read_small
from batchdigits.files.strict_json import parse_strict
from batchdigits.rows.rejects import written_name
from batchdigits.text import listing, one_line

TEMPLATE_FORMAT = 1

MOST_BYTES = 4 << 20
"""The most bytes of a template: ten thousand fields with their cells."""

LEAST_DPI, MOST_DPI = 50, 2400
"""The pixels to an inch that a blank form may have."""

Box = tuple[int, int, int, int]
"""Left, top, right and bottom, in pixels of the blank form, on the printed lines."""

_JSON = ".json"
_LARGEST = 40_000  # pixels along a side of a page
_LEAST_SIDE = 12  # pixels of a box


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a form.

    name    unique in its template
    box     its printed box
    digits  the number of its digits: exactly, or at most if `exact` is false
    cells   the printed box of each digit, from left to right; none where the field runs free
    """

    name: str
    box: Box
    digits: int
    exact: bool = True
    cells: tuple[Box, ...] = ()

    def facts(self) -> dict[str, Any]:
        """Return the field as the template's file holds it."""
        facts: dict[str, Any] = {"name": self.name, "box": list(self.box)}
        facts["digits" if self.exact else "digits_at_most"] = self.digits
        if self.cells:
            facts["cells"] = [list(cell) for cell in self.cells]
        return facts


@dataclass(frozen=True, slots=True)
class Template:
    """A form: the size of its page in pixels, and its fields in reading order.

    dpi    pixels of the blank form to an inch
    blank  the path of the picture of the blank form, if there is one
    marks  boxes of the marks that were printed for registration
    """

    width: int
    height: int
    dpi: int
    fields: tuple[Field, ...]
    blank: Path | None = None
    marks: tuple[Box, ...] = ()
    path: Path = Path()
    digest: str = ""

    @property
    def name(self) -> str:
        """The name that rows and receipts have for the template: its file's, without .json."""
        return written_name(self.path.stem)

    def facts(self) -> dict[str, Any]:
        """Return the template as its file holds it; `blank` is named as a file beside it."""
        facts: dict[str, Any] = {
            "format": TEMPLATE_FORMAT,
            "page": {"width": self.width, "height": self.height, "dpi": self.dpi},
        }
        if self.blank is not None:
            facts["blank"] = self.blank.name
        facts["fields"] = [field.facts() for field in self.fields]
        if self.marks:
            facts["marks"] = [list(mark) for mark in self.marks]
        return facts

    def problems(self) -> list[str]:
        """Return why `read` would refuse the template, a phrase each."""
        return list(_problems(self.facts()))

    @classmethod
    def read(cls, path: Path) -> Template:
        """Read a template.

        Raises NoInputError if it can't be read, UnusableInputError with all that is wrong in it.
        """
        try:
            data = read_small(path, MOST_BYTES, follow=True)
        except OSError as error:
            raise NoInputError(
                f"{path}: {error.strerror or error}; name the JSON that forms template wrote"
            ) from error
        try:
            document = parse_strict(data.removeprefix(BOM_UTF8))  # editors of Windows write one
        except ValueError as error:
            raise UnusableInputError(
                f"{path}: {error}; mend it, or name the JSON that forms template wrote"
            ) from error
        problems = list(_problems(document))
        if problems:
            raise UnusableInputError(
                f"{path}: not a usable template: {listing(problems)}; mend it, or make it again "
                "with forms template"
            )
        return _parsed(document, path, digest_bytes(data))


def read_templates(names: Sequence[str]) -> list[Template]:
    """Read templates: JSON files, and folders of them.

    Raises UsageError for two of one name, NoInputError for what is not there, UnusableInputError
    for one that can't be used.
    """
    paths: list[Path] = []
    for name in names:
        path = Path(name)
        found = visible(path, f"*{_JSON}") if path.is_dir() else [path]
        if not name or not found:
            raise NoInputError(f"--template {name!r}: no template there; expected a JSON file")
        paths += found
    templates = [Template.read(path) for path in paths]
    stems = [template.name for template in templates]
    doubled = next((stem for stem in stems if stems.count(stem) > 1), None)
    if doubled is not None:
        raise UsageError(f"--template: two templates are named {doubled}; rename one of them")
    return templates


def _parsed(document: Mapping[str, Any], path: Path, digest: str) -> Template:
    page = document["page"]
    return Template(
        width=page["width"],
        height=page["height"],
        dpi=page["dpi"],
        fields=tuple(_field(entry) for entry in document["fields"]),
        blank=path.parent / document["blank"] if "blank" in document else None,
        marks=tuple(_box(mark) for mark in document.get("marks", [])),
        path=path,
        digest=digest,
    )


def _field(entry: Mapping[str, Any]) -> Field:
    return Field(
        entry["name"],
        _box(entry["box"]),
        entry.get("digits", entry.get("digits_at_most")),
        "digits" in entry,
        tuple(_box(cell) for cell in entry.get("cells", [])),
    )


def _box(values: list[int]) -> Box:
    left, top, right, bottom = values
    return left, top, right, bottom


def _problems(document: object) -> Iterator[str]:
    """Yield all that is wrong with a template, a phrase each."""
    match document:
        case {"format": int(number)} if number is True or number != TEMPLATE_FORMAT:
            yield f"format is {number}, this batchdigits reads {TEMPLATE_FORMAT}"
        case {
            "format": int(),
            "page": {"width": int(width), "height": int(height), "dpi": int(dpi), **page},
            "fields": list(fields),
            **others,
        }:
            yield from _unknown(others, {"blank", "marks"}, "template")
            yield from _unknown(page, set(), "page")
            if not (100 <= width <= _LARGEST and 100 <= height <= _LARGEST):
                yield f"page is {width}x{height} pixels, expected 100 to {_LARGEST} a side"
                return
            if not LEAST_DPI <= dpi <= MOST_DPI:
                yield f"page has dpi {dpi}, expected {LEAST_DPI} to {MOST_DPI}"
            if "blank" in others:
                yield from _blank_problems(others["blank"])
            yield from _fields_problems(fields, (width, height))
            marks = others.get("marks", [])
            if not isinstance(marks, list):
                yield "marks is not a list of boxes"
                return
            for number, mark in enumerate(marks, 1):
                yield from _box_problems(mark, (0, 0, width, height), f"mark {number}")
        case _:
            yield (
                "expected an object with format 1, page {width, height, dpi} in whole pixels, and "
                "fields, a list"
            )


def _blank_problems(blank: object) -> Iterator[str]:
    if (
        not isinstance(blank, str)
        or blank in ("", ".", "..")
        or not {"/", "\0"}.isdisjoint(blank)
        or not _is_encodable(blank, "surrogateescape")  # as a file's name may be
    ):
        yield f"blank is {blank!r}, expected the name of a file beside the template"


def _is_encodable(text: str, errors: str = "strict") -> bool:
    """Return whether a text can be written as UTF-8: JSON may hold halves of characters."""
    try:
        text.encode("utf-8", errors)
    except UnicodeEncodeError:
        return False
    return True


def _fields_problems(fields: list[object], size: tuple[int, int]) -> Iterator[str]:
    if not fields:
        yield "there is no field"
    names = Counter(
        entry["name"]
        for entry in fields
        if isinstance(entry, dict) and isinstance(entry.get("name"), str)
    )
    for name, count in names.items():
        if count > 1:
            yield f"{count} fields are named {name!r}"
    for number, entry in enumerate(fields, 1):
        match entry:
            case {"name": str(name)} if not _is_encodable(name):
                yield f"field {number} has the name {name!r}, which is not text"
            case {"name": str(name), "box": box, **others} if name:
                label = one_line(name)
                yield from _unknown(others, {"digits", "digits_at_most", "cells"}, label)
                yield from _box_problems(box, (0, 0, *size), label)
                yield from _digits_problems(others, label)
                yield from _cells_problems(others, box, label)
            case _:
                yield f"field {number} has no name and box"


def _digits_problems(entry: Mapping[Any, Any], label: str) -> Iterator[str]:
    given = [entry[key] for key in ("digits", "digits_at_most") if key in entry]
    if len(given) != 1:
        yield f"{label} has {len(given)} of digits and digits_at_most, expected one of them"
    elif type(given[0]) is not int or not 1 <= given[0] <= 100:
        yield f"{label} has digits {given[0]!r}, expected a whole number, 1 to 100"


def _cells_problems(entry: Mapping[Any, Any], box: object, label: str) -> Iterator[str]:
    cells = entry.get("cells", [])
    if not isinstance(cells, list):
        yield f"{label}: cells is not a list of boxes"
        return
    digits = entry.get("digits", entry.get("digits_at_most"))
    if cells and type(digits) is int and len(cells) != digits:
        yield f"{label} has {len(cells)} cells and {digits} digits, expected as many"
    outer = box if _is_box(box) else None
    for number, cell in enumerate(cells, 1):
        # Lines are drawn by hand or scanned: a cell may stand out by a few pixels.
        limits = None if outer is None else _grown(outer)
        yield from _box_problems(cell, limits, f"{label}, cell {number}")
    if all(map(_is_box, cells)):
        yield from _order_problems(cells, label)


def _order_problems(cells: list[Any], label: str) -> Iterator[str]:
    wrong = [
        str(number)
        for number, (one, other) in enumerate(pairwise(cells), 2)
        # They share a printed line, and boxes drawn by hand are not exact.
        if one[2] - other[0] > min(one[2] - one[0], other[2] - other[0]) / 4
    ]
    if wrong:
        yield (
            f"{label}: cells go from left to right, side by side, and cell {listing(wrong)} "
            "begins before the end of the one before it"
        )


def _grown(box: Any) -> Box:
    left, top, right, bottom = box
    return left - 8, top - 8, right + 8, bottom + 8


def _is_box(value: object) -> bool:
    return isinstance(value, list) and len(value) == 4 and all(type(v) is int for v in value)


def _box_problems(value: Any, limits: tuple[int, ...] | None, label: str) -> Iterator[str]:
    if not _is_box(value):
        yield f"{label} has box {value!r}, expected four whole numbers: left, top, right, bottom"
        return
    left, top, right, bottom = value
    if right - left < _LEAST_SIDE or bottom - top < _LEAST_SIDE:
        yield f"{label} has box {value}, less than {_LEAST_SIDE} pixels wide or high"
    elif limits and (
        left < limits[0] or top < limits[1] or right > limits[2] or bottom > limits[3]
    ):
        outside = "the page" if limits[:2] == (0, 0) else "its field"
        yield f"{label} has box {value}, outside of {outside} {list(limits)}"


def _unknown(entry: Mapping[Any, Any], known: set[str], label: str) -> Iterator[str]:
    for key in sorted(set(entry) - known, key=str):
        yield f"{label} has the unknown key {one_line(str(key))!r}"
