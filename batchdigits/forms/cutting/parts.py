"""The parts of ink of a field: what hangs together, without dust, lines and print."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from batchdigits.bitmaps.recipe import Ink
from batchdigits.forms.components import label_pieces

DUST = 20
"""Pixels of ink at 300 dpi; a part with less is dust."""

_INSIDE = 0.4  # of a part's ink: what is less inside the box belongs to what is around it
_SLIVER = 9  # pixels that the rest of a printed line is thick, at most
_NEAR = 13  # pixels from the side of the box to the far edge of such a rest
_PRINTED = 0.8  # of a part's ink: what has more on the blank form's ink was printed


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a field's ink.

    rows, columns  int64 (n,): its pixels in the field's picture
    outline        how many of them touch paper
    """

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    outline: int

    @property
    def top(self) -> int:
        return int(self.rows.min())

    @property
    def bottom(self) -> int:
        return int(self.rows.max()) + 1

    @property
    def height(self) -> int:
        return self.bottom - self.top

    def width(self, slant: float) -> float:
        """Return the width in pixels once the slant is taken out."""
        upright = self.columns + slant * self.rows
        return float(upright.max() - upright.min()) + 1

    def joined(self, other: Part) -> Part:
        """Return both as one."""
        return Part(
            np.concatenate([self.rows, other.rows]),
            np.concatenate([self.columns, other.columns]),
            self.outline + other.outline,
        )


def parts_of(ink: Ink, box: Sequence[int], printed: Ink | None) -> list[Part]:
    """Return the parts of ink that were written in a box.

    ink      bool (height, width), the printed lines wiped off
    box      left, top, right, bottom of the box in the picture
    printed  where the blank form has ink, or a little beside it
    """
    labels, count = label_pieces(ink)
    if not count:
        return []
    left, top, right, bottom = box
    rows, columns = np.nonzero(labels)
    owners = labels[rows, columns]
    order = np.argsort(owners, kind="stable")
    rows, columns, owners = rows[order], columns[order], owners[order]
    inside = (rows >= top) & (rows <= bottom) & (columns >= left) & (columns <= right)
    on_print = np.zeros(len(rows), bool) if printed is None else printed[rows, columns]
    edge = _edge(ink)[rows, columns]
    starts = np.searchsorted(owners, np.arange(1, count + 2))
    result = []
    for start, stop in itertools.pairwise(starts):
        chosen = slice(start, stop)
        size = stop - start
        if size < DUST or inside[chosen].sum() < _INSIDE * size:
            continue
        if on_print[chosen].sum() > _PRINTED * size:
            continue
        if not _is_sliver(rows[chosen], columns[chosen], box):
            result.append(Part(rows[chosen], columns[chosen], int(edge[chosen].sum())))
    return result


def _edge(ink: Ink) -> Ink:
    padded = np.pad(ink, 1)
    around = padded[1:-1, :-2] & padded[1:-1, 2:] & padded[:-2, 1:-1] & padded[2:, 1:-1]
    return ink & ~around


def _is_sliver(rows: NDArray[np.int64], columns: NDArray[np.int64], box: Sequence[int]) -> bool:
    """Tell whether a part is what is left of a side of the box: thin, and along it."""
    for places, low, high in ((rows, box[1], box[3]), (columns, box[0], box[2])):
        first, last = int(places.min()), int(places.max()) + 1
        if last - first <= _SLIVER and (last <= low + _NEAR or first >= high - _NEAR):
            return True
    return False
