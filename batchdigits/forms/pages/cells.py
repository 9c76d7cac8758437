"""The cells of a field: its characters, one after another or in printed cells, or why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from batchdigits.forms.cell import Grey, normalise
from batchdigits.forms.pages.cutting import Character, cut
from batchdigits.forms.pages.fields import FieldPicture
from batchdigits.forms.pages.hand import Hand
from batchdigits.forms.pages.parts import DUST, Part
from batchdigits.forms.pages.printed import PrintedField
from batchdigits.forms.template import Box

FIELD_REASONS: dict[str, str] = {
    "no-box": "the printed box of the field is not where the form has it",
    "more-marks": "the field has more marks than digits",
    "fewer-marks": "the field has fewer marks than digits",
    "crossed-out": "a digit is crossed out, or blacked out",
}
"""The reasons why a field of a page that was read is refused, with their meanings."""

_LEAST_FOUND = 0.3  # of a field's lines
_SPARE = 2  # numbers of characters beyond the template's that are tried
_CLEARLY = 2.0  # how much less another number of characters must cost
_SMALL = 0.3  # of a cell's height: a lower mark in a printed cell is a speck


class FieldError(Exception):
    """A field that can't be cut: its reason, a key of FIELD_REASONS, and the details."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell that was cut from a page.

    position  its place in its field, from 1
    box       left, top, right and bottom in pixels of the blank form
    picture   uint8 (height, width), black on white, nothing else in it
    ink       pixels of ink in it; 0 for a blank cell
    pixels    the row, uint8 (64,)
    """

    position: int
    box: Box
    picture: Grey
    ink: int
    pixels: NDArray[np.uint8]


def cells_of(
    picture: FieldPicture, parts: Sequence[Part], printed: PrintedField, hand: Hand
) -> list[Cell]:
    """Return the cells of a field, blank ones too where cells are printed; none of a blank field.

    Raises FieldError.
    """
    if picture.found < _LEAST_FOUND:
        raise FieldError(
            "no-box",
            f"{picture.found:.0%} of its lines are there; scan the page again, or mend the template",
        )
    if not parts:
        return []
    if printed.cells:
        return _in_cells(picture, parts, printed)
    _refuse_crossed_out(parts, hand)
    characters = _characters(parts, printed, hand)
    return [
        _cell(picture, character, printed, position)
        for position, character in enumerate(characters, 1)
    ]


def _characters(parts: Sequence[Part], printed: PrintedField, hand: Hand) -> list[Character]:
    """Cut a field into as many characters as its template says. Raises FieldError."""
    field = printed.field
    cuts = cut(parts, hand, field.digits + _SPARE)
    allowed = range(field.digits if field.exact else 1, field.digits + 1)
    possible = {count: cuts[count] for count in allowed if count in cuts}
    natural = min(cuts, key=lambda count: cuts[count].cost)
    best = min(possible, key=lambda count: possible[count].cost, default=None)
    if best is None or possible[best].cost > cuts[natural].cost + _CLEARLY:
        wanted = f"{'' if field.exact else 'at most '}{field.digits}"
        raise FieldError(
            "more-marks" if natural > field.digits else "fewer-marks",
            f"it looks like {natural}, the template says {wanted}; look at it with forms show",
        )
    return possible[best].characters


def _refuse_crossed_out(parts: Sequence[Part], hand: Hand) -> None:
    """Raise FieldError for a part with more strokes over each other than digits have."""
    for part in parts:
        if part.height < 0.6 * hand.height or part.width(hand.slant) < 0.6 * hand.width:
            continue
        if _strokes(part) > 3.6:
            raise FieldError("crossed-out", "a mark is crossed out; key the field by hand")


def _strokes(part: Part) -> float:
    """Return how many strokes lie over each other in the fullest third of a part's columns."""
    top, left = part.top, int(part.columns.min())
    image = np.zeros((part.height + 1, int(part.columns.max()) - left + 1), np.int8)
    image[part.rows - top + 1, part.columns - left] = 1
    strokes = (np.diff(image, axis=0) == 1).sum(axis=0)
    return float(np.sort(strokes)[-max(1, len(strokes) // 3) :].mean())


def _in_cells(picture: FieldPicture, parts: Sequence[Part], printed: PrintedField) -> list[Cell]:
    """Return the ink of each printed cell. A part that reaches into a neighbour's cell is whole.

    Only a part that lies in two cells with more than a quarter of its ink is cut between them.
    """
    centres = np.array([(cell[0] + cell[2]) / 2 for cell in printed.cells])
    walls = (centres[1:] + centres[:-1]) / 2
    inks: list[list[tuple[NDArray[np.int64], NDArray[np.int64]]]] = [[] for _ in centres]
    for part in parts:
        owners = np.searchsorted(walls, part.columns)
        shares = np.bincount(owners, minlength=len(centres)) / len(owners)
        for number in np.flatnonzero(shares > 0.25) if shares.max() < 0.75 else [shares.argmax()]:
            own = owners == number if shares.max() < 0.75 else slice(None)
            inks[number].append((part.rows[own], part.columns[own]))
    result = []
    for number, (pieces, cell) in enumerate(zip(inks, printed.cells, strict=True)):
        rows = np.concatenate([r for r, _ in pieces] or [np.zeros(0, np.int64)])
        columns = np.concatenate([c for _, c in pieces] or [np.zeros(0, np.int64)])
        high = int(np.ptp(rows)) + 1 if len(rows) else 0
        if len(rows) < DUST or high < _SMALL * (cell[3] - cell[1]):
            result.append(blank_cell(printed.on_form(cell), number + 1))
        else:
            result.append(_cell(picture, Character(rows, columns), printed, number + 1))
    return [] if all(cell.ink == 0 for cell in result) else result


def _cell(
    picture: FieldPicture, character: Character, printed: PrintedField, position: int
) -> Cell:
    rows, columns = character.rows, character.columns
    top, left = int(rows.min()), int(columns.min())
    height, width = int(rows.max()) - top + 1, int(columns.max()) - left + 1
    ink = np.zeros((height, width), np.bool_)
    ink[rows - top, columns - left] = True
    box = printed.on_form((left, top, left + width, top + height))
    return Cell(position, box, _drawn(picture.grey, ink, top, left), len(rows), normalise(ink))


def blank_cell(box: Box, position: int) -> Cell:
    """Return a cell without a character; its picture is a bit of paper."""
    return Cell(position, box, np.full((8, 8), 255, np.uint8), 0, np.zeros(64, np.uint8))


def _drawn(grey: Grey, ink: NDArray[np.bool_], top: int, left: int) -> Grey:
    """Return a character black on white with a margin, its edges as soft as the page's."""
    margin = 3
    padded = np.pad(ink, margin)
    near = padded.copy()
    for axis in (0, 1):
        near |= np.roll(near, 1, axis) | np.roll(near, -1, axis)
    source = np.pad(grey, margin)[
        top : top + padded.shape[0], left : left + padded.shape[1]
    ]
    result: Grey = np.where(near, 255 - source, np.uint8(255)).astype(np.uint8)
    return result


