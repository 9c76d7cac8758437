"""The cells of a field: its characters, one after another or in printed cells, or why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from batchdigits.bitmaps.recipe import Ink
from batchdigits.forms.cell import Grey, normalise
from batchdigits.forms.components import label_pieces
from batchdigits.forms.cutting.characters import Character, cut
from batchdigits.forms.cutting.hand import Hand
from batchdigits.forms.cutting.parts import DUST, Part
from batchdigits.forms.pages.field_picture import FieldPicture
from batchdigits.forms.pages.printed import PrintedField
from batchdigits.rows.template import Box

FIELD_REASONS: dict[str, str] = {
    "no-box": "the printed box of the field is not where the form has it",
    "more-marks": "the field has more marks than digits",
    "fewer-marks": "the field has fewer marks than digits",
    "crossed-out": "a digit is crossed out, or blacked out",
}
"""The reasons why a field of a page that was read is refused, with their meanings."""

_LEAST_FOUND = 0.3  # of a field's lines
_SPARE = 2  # numbers of characters beyond the template's that are tried
_CLEARLY_MORE, _CLEARLY_FEWER = 1.2, 2.0  # how much less another number of characters costs
_MOST_HOLES = 2
_LEAST_HOLE = 0.15  # of a stroke's width squared; pinholes are smaller
_MOST_STROKES = 4.3  # times a character's height; an 8 has 3.8 at most
_BLOT = 0.8  # of a character's rectangle that is ink; a 1 has that too, but is narrow
_WHOLE = 0.75  # of a part's ink in one printed cell: then all of it is that cell's
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
            f"{picture.found:.0%} of its lines are there; scan the page again, or mend the box",
        )
    if not parts:
        return []
    if printed.cells:
        return _in_cells(picture, parts, printed, hand)
    characters = _characters(parts, printed, hand)
    return [
        _cell(picture, character, printed, position, hand)
        for position, character in enumerate(characters, 1)
    ]


def _characters(parts: Sequence[Part], printed: PrintedField, hand: Hand) -> list[Character]:
    """Cut a field into as many characters as its template says. Raises FieldError."""
    field = printed.field
    cuts = cut(parts, hand, field.digits + _SPARE)
    if not cuts:
        raise FieldError(
            "more-marks",
            f"it looks like writing, the template says {field.digits}; look at it with forms show",
        )
    allowed = range(field.digits if field.exact else 1, field.digits + 1)
    possible = {count: cuts[count] for count in allowed if count in cuts}
    natural = min(cuts, key=lambda count: cuts[count].cost)
    best = min(possible, key=lambda count: possible[count].cost, default=None)
    limit = _CLEARLY_MORE if natural > field.digits else _CLEARLY_FEWER
    if best is None or possible[best].cost > cuts[natural].cost + limit:
        wanted = f"{'' if field.exact else 'at most '}{field.digits}"
        raise FieldError(
            "more-marks" if natural > field.digits else "fewer-marks",
            f"it looks like {natural}, the template says {wanted}; look at it with forms show",
        )
    return possible[best].characters


def _refuse_crossed_out(ink: Ink, hand: Hand) -> None:
    """Raise FieldError for a character with more holes, strokes or ink than a digit has."""
    height, width = ink.shape
    count = int(np.count_nonzero(ink))
    labels, pieces = label_pieces(np.pad(~ink, 1, constant_values=True))
    sizes = np.bincount(labels.reshape(-1), minlength=pieces + 1)[1:]
    holes = int((sizes >= max(4.0, _LEAST_HOLE * hand.stroke**2)).sum()) - 1
    strokes = count / (hand.stroke * hand.height)
    is_blot = width > 0.55 * hand.width and count > _BLOT * height * width
    if holes > _MOST_HOLES or strokes > _MOST_STROKES or is_blot:
        raise FieldError(
            "crossed-out", "a mark looks crossed out or blacked out; key the field by hand"
        )


def _in_cells(
    picture: FieldPicture, parts: Sequence[Part], printed: PrintedField, hand: Hand
) -> list[Cell]:
    """Return the ink of each printed cell. A part that reaches into a neighbour's cell is whole.

    Only a part that lies in two cells with more than a quarter of its ink is cut between them.
    """
    centres = np.array([(cell[0] + cell[2]) / 2 for cell in printed.cells])
    walls = (centres[1:] + centres[:-1]) / 2
    inks: list[list[tuple[NDArray[np.int64], NDArray[np.int64]]]] = [[] for _ in centres]
    for part in parts:
        owners = np.searchsorted(walls, part.columns)
        shares = np.bincount(owners, minlength=len(centres)) / len(owners)
        if shares.max() >= _WHOLE:
            inks[int(shares.argmax())].append((part.rows, part.columns))
            continue
        for place in np.flatnonzero(shares > 1 - _WHOLE).tolist():
            own = owners == place
            inks[place].append((part.rows[own], part.columns[own]))
    result = []
    for number, (pieces, cell) in enumerate(zip(inks, printed.cells, strict=True)):
        rows = np.concatenate([r for r, _ in pieces] or [np.zeros(0, np.int64)])
        columns = np.concatenate([c for _, c in pieces] or [np.zeros(0, np.int64)])
        high = int(np.ptp(rows)) + 1 if len(rows) else 0
        if len(rows) < DUST or high < _SMALL * (cell[3] - cell[1]):
            result.append(blank_cell(printed.on_form(cell), number + 1))
        else:
            result.append(_cell(picture, Character(rows, columns), printed, number + 1, hand))
    return [] if all(cell.ink == 0 for cell in result) else result


def _cell(
    picture: FieldPicture, character: Character, printed: PrintedField, position: int, hand: Hand
) -> Cell:
    rows, columns = character.rows, character.columns
    top, left = int(rows.min()), int(columns.min())
    height, width = int(rows.max()) - top + 1, int(columns.max()) - left + 1
    ink = np.zeros((height, width), np.bool_)
    ink[rows - top, columns - left] = True
    _refuse_crossed_out(ink, hand)
    box = printed.on_form((left, top, left + width, top + height))
    return Cell(position, box, _drawn(picture.grey, ink, top, left), len(rows), normalise(ink))


def blank_cell(box: Box, position: int) -> Cell:
    """Return a cell without a character; its picture is a bit of paper."""
    return Cell(position, box, np.full((8, 8), 255, np.uint8), 0, np.zeros(64, np.uint8))


def _drawn(grey: Grey, ink: NDArray[np.bool_], top: int, left: int) -> Grey:
    """Return a character on white with a margin, its edges soft: what is darker than 128 is ink."""
    margin = 3
    padded = np.pad(ink, margin)
    near = padded.copy()
    for axis in (0, 1):
        near |= np.roll(near, 1, axis) | np.roll(near, -1, axis)
    source = np.pad(grey, margin)[top : top + padded.shape[0], left : left + padded.shape[1]]
    light = np.uint8(255) - source
    shown = np.where(padded, np.minimum(light, 127), np.maximum(light, 128))
    result: Grey = np.where(near, shown, np.uint8(255))
    return result
