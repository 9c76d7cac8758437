"""A field's ink cut into characters.

Parts of ink are cut along seams, which gives more pieces than there are characters; dynamic
programming then finds the cheapest way to join neighbours into as many characters as the template
says. A join costs for a gap, a cut for the ink that it crosses, a character for an odd shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from batchdigits.forms.cutting.hand import Hand
from batchdigits.forms.cutting.parts import Part
from batchdigits.forms.cutting.seams import seams_of

LOW = 0.6
"""A part of ink lower than this part of a character's height is not a character by itself."""

MOST_PIECES = 12
"""The most pieces of a character."""

_MOST_PARTS = 40  # of a character before they are joined; a pen that writes dots makes fewer


@dataclass(frozen=True, slots=True)
class Character:
    """The pixels of a character: int64 (n,) rows and columns of the field's picture."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Cut:
    """A way to cut a field: its characters from left to right, and what it costs."""

    characters: list[Character]
    cost: float


@dataclass(frozen=True, slots=True)
class _Piece:
    """A piece of ink that is cut no further.

    part         the number of the part that it is of
    cut          the cost of the seam between it and the piece of that part before it
    left, right  its first column and the one after its last, the slant taken out
    top, bottom  its first row and the one after its last
    """

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    part: int
    cut: float
    left: float
    right: float
    top: int
    bottom: int


def cut(parts: Sequence[Part], hand: Hand, most: int) -> dict[int, Cut]:
    """Return the cheapest cut into each number of characters that is possible, 1 to `most`."""
    if len(parts) > _MOST_PARTS * most:
        return {}
    pieces = [
        piece
        for number, part in enumerate(_whole(parts, hand))
        for piece in _pieces(part, number, hand)
    ]
    pieces.sort(key=lambda piece: piece.left + piece.right)
    return _cheapest(pieces, hand, most)


def _whole(parts: Sequence[Part], hand: Hand) -> list[Part]:
    """Return the parts, those of a broken character joined.

    A part that is too low for a character belongs to the one that it lies over or under.
    """
    result = [(part, *_span(part, hand)) for part in parts]
    while result:
        spans = np.array([span for _, *span in result])
        shares = _shares(spans, hand)
        shares[[part.height > LOW * hand.height for part, *_ in result]] = 0.0
        at = shares.size - 1 - int(shares[::-1, ::-1].argmax())  # the last of equal ones
        if shares.flat[at] < 0.55:
            break
        i, j = divmod(at, len(result))
        joined = result[i][0].joined(result[j][0])
        result = [each for k, each in enumerate(result) if k not in (i, j)]
        result.append((joined, *_span(joined, hand)))
    return [part for part, *_ in result]


def _span(part: Part, hand: Hand) -> tuple[float, float]:
    """Return the first column of a part and the one after its last, the slant taken out."""
    upright = part.columns + hand.slant * part.rows
    return float(upright.min()), float(upright.max()) + 1


def _shares(spans: NDArray[np.float64], hand: Hand) -> NDArray[np.float64]:
    """Return the share of the narrower part's width that lies over or under another's, (n, n).

    It is 0 if both together are too wide for a character, and of a part with itself.
    """
    left, right = spans.T
    widths = right - left
    together = np.maximum.outer(right, right) - np.minimum.outer(left, left)
    common = np.minimum.outer(right, right) - np.maximum.outer(left, left)
    shares: NDArray[np.float64] = common / np.minimum.outer(widths, widths)
    shares[together > 1.55 * hand.width] = 0.0
    np.fill_diagonal(shares, 0.0)
    return shares


def _pieces(part: Part, number: int, hand: Hand) -> list[_Piece]:
    """Cut a part along all its seams."""
    rows, columns = part.rows, part.columns
    upright = np.floor(columns + hand.slant * rows).astype(np.int64)
    first, top = int(upright.min()), part.top
    picture = np.zeros((part.height, int(upright.max()) - first + 1), np.bool_)
    picture[rows - top, upright - first] = True
    seams = seams_of(picture, hand)
    places = np.zeros(len(rows), np.int64)
    for seam in seams:
        places += upright - first >= seam.columns[rows - top]
    result: list[_Piece] = []
    dearest = 0.0
    for place, cost in enumerate([0.0, *(seam.cost for seam in seams)]):
        dearest = max(dearest, cost) if result else 0.0
        chosen = places == place
        if not chosen.any():
            continue
        y, u = rows[chosen], upright[chosen]
        edges = float(u.min()), float(u.max() + 1), int(y.min()), int(y.max() + 1)
        result.append(_Piece(y, columns[chosen], number, dearest, *edges))
        dearest = 0.0
    return result


def _cheapest(pieces: Sequence[_Piece], hand: Hand, most: int) -> dict[int, Cut]:
    """Join neighbours: the best cost of the first i pieces as j characters, for all i and j."""
    number = len(pieces)
    best = np.full((number + 1, most + 1), np.inf)
    best[0, 0] = 0.0
    came = np.zeros((number + 1, most + 1), np.int64)
    for start in range(number):
        apart = _apart(pieces[start - 1], pieces[start]) if start else 0.0
        for stop in range(start + 1, min(number, start + MOST_PIECES) + 1):
            cost = best[start, :-1] + apart + _odd(pieces[start:stop], hand)
            better = cost < best[stop, 1:]
            best[stop, 1:][better] = cost[better]
            came[stop, 1:][better] = start
    result = {}
    for count in range(1, most + 1):
        if np.isfinite(best[number, count]):
            result[count] = Cut(_joined(pieces, came, count), float(best[number, count]))
    return result


def _joined(pieces: Sequence[_Piece], came: NDArray[np.int64], count: int) -> list[Character]:
    characters = []
    stop = len(pieces)
    for left in range(count, 0, -1):
        start = int(came[stop, left])
        rows = np.concatenate([piece.rows for piece in pieces[start:stop]])
        columns = np.concatenate([piece.columns for piece in pieces[start:stop]])
        characters.append(Character(rows, columns))
        stop = start
    return characters[::-1]


def _apart(one: _Piece, other: _Piece) -> float:
    """Return what it costs to let two neighbours be of two characters."""
    if one.part == other.part:
        return 0.3 + 0.75 * other.cut
    overlap = min(one.right, other.right) - max(one.left, other.left)
    return 0.6 * max(0.0, overlap / min(one.right - one.left, other.right - other.left) - 0.2)


def _odd(pieces: Sequence[_Piece], hand: Hand) -> float:
    """Return what it costs to let pieces be one character: its gaps, its width, its height."""
    wide = (max(p.right for p in pieces) - min(p.left for p in pieces)) / hand.width
    high = (max(p.bottom for p in pieces) - min(p.top for p in pieces)) / hand.height
    cost = 2.5 * max(0.0, wide - 1.1) ** 2 + 0.9 * max(0.0, wide - 1.7)
    cost += 4.0 * max(0.0, LOW + 0.05 - high) + max(0.0, high - 1.6)
    cost += 0.3 * (len({piece.part for piece in pieces}) - 1)
    reach = min(piece.left for piece in pieces)
    for piece in sorted(pieces, key=lambda piece: piece.left):
        cost += 5.0 * max(0.0, piece.left - reach) / hand.height
        reach = max(reach, piece.right)
    return cost
