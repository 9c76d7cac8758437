"""The hand of a page: what the characters that one person wrote have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from batchdigits.forms.cutting.parts import Part

_SLANTS = np.arange(-0.5, 1.01, 0.05)
_FEW = 4  # characters of which the diagonals, of a 2 or a 7, look like a slant
_PIXELS = 40_000  # of ink, drawn at random, are enough


@dataclass(frozen=True, slots=True)
class Hand:
    """What a hand has in common, in pixels of a field's picture.

    slant   pixels to the right for each pixel up
    stroke  width of a stroke
    height  height of a character
    width   width of a character along the slant, a 1 left aside
    """

    slant: float
    stroke: float
    height: float
    width: float


def hand_of(fields: Sequence[Sequence[Part]], box_height: float) -> Hand:
    """Return the hand that wrote the parts of ink of a page's fields.

    box_height  the usual height of a field, for a page with hardly anything on it
    """
    parts = [(number, part) for number, field in enumerate(fields) for part in field]
    tall = [part.height for _, part in parts if part.height > 0.25 * box_height]
    if not tall:
        return Hand(0.0, box_height / 14, box_height / 2, box_height / 3)
    height = float(np.median(tall))
    # Each pixel of a stroke's outline stands for half a pixel of the stroke's length.
    ink = sum(len(part.rows) for _, part in parts)
    edge = sum(part.outline for _, part in parts)
    slant = _slant(parts) * len(tall) / (len(tall) + _FEW)
    widths = [part.width(slant) for _, part in parts if part.height > 0.6 * height]
    usual = [width for width in widths if 0.3 * height < width < 1.2 * height]
    width = float(np.median(usual)) if usual else 0.7 * height
    return Hand(slant, 2.0 * ink / max(edge, 1), height, width)


def _slant(parts: Sequence[tuple[int, Part]]) -> float:
    """Return the slant under which the sums of ink along columns are sharpest."""
    rows = np.concatenate([part.rows for _, part in parts])
    columns = np.concatenate([part.columns for _, part in parts])
    fields = np.repeat([number for number, _ in parts], [len(part.rows) for _, part in parts])
    if len(rows) > _PIXELS:
        chosen = np.random.default_rng(0).choice(len(rows), _PIXELS, replace=False)
        rows, columns, fields = rows[chosen], columns[chosen], fields[chosen]
    reach = int(rows.max()) + 1
    stride = int(columns.max()) + 3 * reach
    best: tuple[float, float] = (-1.0, 0.0)
    for slant in _SLANTS.tolist():
        places = (columns + slant * rows).astype(np.int64) + reach + fields * stride
        sums: NDArray[np.float64] = np.bincount(places).astype(np.float64)
        best = max(best, (float((sums * sums).sum()), slant))
    return best[1]
