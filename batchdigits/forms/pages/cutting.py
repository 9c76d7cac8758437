"""A field's ink cut into a known number of characters.

Connected parts are cut where a seam from top to bottom crosses little ink, which gives more pieces
than there are characters; then the cheapest way to join neighbours into as many as the template
says is searched. What a join, a cut, a width and a height cost stands in `_Costs`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from batchdigits.forms.pages.components import boxes, label

Ink = NDArray[np.bool_]


LOW = 0.6
"""The part of a character's height below which a part of the ink is no character of its own."""


@dataclass(frozen=True, slots=True)
class Hand:
    """The hand of a page: what its characters have in common, in pixels of the form.

    slant   pixels that a stroke moves to the right for one pixel up
    stroke  width of a stroke
    height  height of a character
    width   width of a character that is no 1, along the slant
    """

    slant: float
    stroke: float
    height: float
    width: float


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the ink that is not cut any further.

    rows, columns  int64 (n,): its pixels
    part           the number of the connected part that it comes from
    cut            what it costs to cut it off the piece before it, 0 for the first of a part
    left, right    the columns that it covers once the slant is taken out, float
    top, bottom    its rows
    """

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    part: int
    cut: float
    left: float
    right: float
    top: int
    bottom: int

    @property
    def middle(self) -> float:
        return (self.left + self.right) / 2


@dataclass(frozen=True, slots=True)
class Cut:
    """The characters of a field, from left to right: the pixels of each, and what it all cost."""

    characters: list[tuple[NDArray[np.int64], NDArray[np.int64]]]
    cost: float
    pieces: int = 0


def parts_of(ink: Ink, box: tuple[int, int, int, int], dust: float):
    """Return the numbered parts of ink that lie in the box, and their boxes.

    Printing above the box, dust, and what is left of lines are taken out.
    """
    labels, count = label(ink)
    if not count:
        return labels, np.zeros((0, 5), np.int64)
    found = boxes(labels, count)
    left, top, right, bottom = box
    inside = np.bincount(labels[top : bottom + 1, left : right + 1].reshape(-1), minlength=count + 1)[1:]
    kept = (found[:, 4] >= dust) & (inside >= 0.4 * found[:, 4])
    # A sliver along a side of the box is what is left of its line.
    wide, high = found[:, 2] - found[:, 0], found[:, 3] - found[:, 1]
    near = (found[:, 3] <= top + 14) | (found[:, 1] >= bottom - 13)
    kept &= ~(near & (high <= 9))
    beside = (found[:, 2] <= left + 14) | (found[:, 0] >= right - 13)
    kept &= ~(beside & (wide <= 9))
    numbers = np.zeros(count + 1, np.int32)
    numbers[1:][kept] = np.arange(1, kept.sum() + 1)
    return numbers[labels], found[kept]


def hand_of(pictures: list[tuple[NDArray[np.int32], NDArray[np.int64]]], box_height: float) -> Hand:
    """Return the hand that wrote the parts of a page's fields: `(labels, boxes)` of each field."""
    rows, columns, owners, area, edge = [], [], [], 0, 0
    heights = []
    for number, (labels, found) in enumerate(pictures):
        ink = labels > 0
        y, x = np.nonzero(ink)
        rows.append(y), columns.append(x), owners.append(np.full(len(y), number))
        area += len(y)
        # Each pixel of a stroke's outline stands for a half of the stroke's length.
        padded = np.pad(ink, 1)
        inner = padded[1:-1, :-2] & padded[1:-1, 2:] & padded[:-2, 1:-1] & padded[2:, 1:-1]
        edge += int((ink & ~inner).sum())
        heights += (found[:, 3] - found[:, 1]).tolist()
    tall = [h for h in heights if h > 0.25 * box_height]
    if not tall:
        return Hand(0.0, box_height / 12, box_height / 2, box_height / 3)
    height = float(np.median(tall))
    stroke = 2.0 * area / max(edge, 1)
    y, x, owner = np.concatenate(rows), np.concatenate(columns), np.concatenate(owners)
    slant = _slant(y, x, owner)
    widths = []
    for labels, found in pictures:
        for k, (_, top, _, bottom, _) in enumerate(found, 1):
            if bottom - top > 0.6 * height:
                py, px = np.nonzero(labels[top:bottom] == k)
                upright = px + slant * py
                widths.append(upright.max() - upright.min() + 1)
    wide = [w for w in widths if 0.3 * height < w < 1.2 * height]
    return Hand(slant, stroke, height, float(np.median(wide)) if wide else 0.6 * height)


def _slant(rows, columns, owners) -> float:
    """Return the slant under which the sums of ink along columns are sharpest."""
    if len(rows) > 40_000:
        chosen = np.random.default_rng(0).choice(len(rows), 40_000, replace=False)
        rows, columns, owners = rows[chosen], columns[chosen], owners[chosen]
    best, most = 0.0, -1.0
    for slant in np.arange(-0.5, 1.01, 0.05):
        places = (columns + slant * rows + 600).astype(np.int64) + owners * 4096
        sums = np.bincount(places).astype(np.float64)
        sharp = float((sums * sums).sum())
        if sharp > most:
            best, most = float(slant), sharp
    return best


def cut(labels: NDArray[np.int32], found: NDArray[np.int64], hand: Hand, counts: range) -> Cut | None:
    """Cut the parts of a field into as many characters as one of `counts`; None if there are none."""
    pieces = []
    for part, (rows, columns) in enumerate(_merged(labels, found, hand)):
        pieces += _pieces(rows, columns, part, hand)
    if not pieces:
        return None
    pieces.sort(key=lambda piece: piece.middle)
    return _cheapest(pieces, hand, counts)


def _merged(labels, found, hand: Hand):
    """Return the pixels of each connected part; what is a part of a broken character is joined.

    A part that is too low for a character, and that lies over or under another, belongs to it.
    """
    parts = []
    for part, (left, top, right, bottom, _) in enumerate(found, 1):
        rows, columns = np.nonzero(labels[top:bottom, left:right] == part)
        rows, columns = rows + top, columns + left
        upright = columns + hand.slant * rows
        parts.append([rows, columns, upright.min(), upright.max() + 1, top, bottom])
    while True:
        joins = []
        for i, one in enumerate(parts):
            for j, other in enumerate(parts):
                if i == j or one[5] - one[4] > LOW * hand.height:
                    continue
                overlap = min(one[3], other[3]) - max(one[2], other[2])
                width = max(one[3], other[3]) - min(one[2], other[2])
                share = overlap / min(one[3] - one[2], other[3] - other[2])
                if share >= 0.55 and width <= 1.55 * hand.width:
                    joins.append((share, i, j))
        if not joins:
            return [(part[0], part[1]) for part in parts]
        _, i, j = max(joins)
        one, other = parts[i], parts[j]
        joined = [
            np.concatenate([one[0], other[0]]), np.concatenate([one[1], other[1]]),
            min(one[2], other[2]), max(one[3], other[3]), min(one[4], other[4]), max(one[5], other[5]),
        ]
        parts = [part for k, part in enumerate(parts) if k not in (i, j)] + [joined]


def _pieces(rows, columns, part: int, hand: Hand) -> list[Piece]:
    """Cut a connected part along all the seams that may part two characters."""
    upright = np.floor(columns + hand.slant * rows).astype(np.int64)
    first, top = int(upright.min()), int(rows.min())
    picture = np.zeros((int(rows.max()) - top + 1, int(upright.max()) - first + 1), bool)
    picture[rows - top, upright - first] = True
    seams = _seams(picture, hand)
    side = np.zeros(len(rows), np.int64)
    for seam, _ in seams:
        side += (upright - first) >= seam[rows - top]
    result = []
    costs = [0.0, *(cost for _, cost in seams)]
    pending = 0.0
    for k, cost in enumerate(costs):
        pending = max(pending, cost) if result else 0.0
        chosen = side == k
        if not chosen.any():
            continue
        y, u = rows[chosen], upright[chosen]
        result.append(Piece(y, columns[chosen], part, pending, float(u.min()), float(u.max() + 1), int(y.min()), int(y.max() + 1)))
        pending = 0.0
    return result


def _seams(picture: Ink, hand: Hand) -> list[tuple[NDArray[np.int64], float]]:
    """Return seams from left to right: the column in each row, and what the seam costs.

    A seam goes one row down at a time and at most one column aside. It costs the ink that it
    crosses, in widths of a stroke, and a little for each step aside.
    """
    height, width = picture.shape
    least = 0.15 * hand.height
    if width < 0.55 * hand.height or width < 2.2 * least:
        return []
    price = picture / hand.stroke
    down, from_above = _walk(price)
    up, from_below = _walk(price[::-1])
    up, from_below = up[::-1], from_below[::-1]
    total = down + up - price
    # The seams through each column, at the row where the cheapest one through it passes.
    row = height // 2
    cost = total[row]
    result = []
    taken: list[int] = []
    for column in np.argsort(cost, kind="stable"):
        if cost[column] > 3.5 or len(result) >= 10:
            break
        if column < least or column > width - least:
            continue
        if any(abs(column - other) < 0.1 * hand.height for other in taken):
            continue
        taken.append(int(column))
        seam = np.zeros(height, np.int64)
        seam[row] = column
        for y in range(row, 0, -1):
            seam[y - 1] = seam[y] + from_above[y, seam[y]]
        for y in range(row, height - 1):
            seam[y + 1] = seam[y] + from_below[y, seam[y]]
        result.append((seam, float(cost[column])))
    result.sort(key=lambda pair: float(pair[0].mean()))
    return _ordered(result)


def _ordered(seams):
    """Make seams that cross each other run side by side."""
    for (before, _), (after, _) in zip(seams, seams[1:], strict=False):
        np.maximum(before, after, out=after)
    return seams


ASIDE = 0.06
"""Cost of a step aside."""


def _walk(price: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the cost of the cheapest way down to each pixel, and the last step's column change."""
    height, width = price.shape
    total = np.empty_like(price)
    steps = np.zeros((height, width), np.int64)
    total[0] = price[0]
    for y in range(1, height):
        above = np.pad(total[y - 1], 1, constant_values=np.inf)
        choices = np.stack([above[1:-1], above[:-2] + ASIDE, above[2:] + ASIDE])
        best = choices.argmin(axis=0)
        total[y] = choices[best, np.arange(width)] + price[y]
        steps[y] = np.array([0, -1, 1])[best]
    return total, steps


def _cheapest(pieces: list[Piece], hand: Hand, counts: range) -> Cut:
    """Join neighbouring pieces into characters: dynamic programming over pieces and characters."""
    number = len(pieces)
    most = counts[-1]
    best = np.full((number + 1, most + 1), np.inf)
    came = np.zeros((number + 1, most + 1), np.int64)
    best[0, 0] = 0.0
    apart = [0.0, *(_apart(pieces[i - 1], pieces[i], hand) for i in range(1, number))]
    for start in range(number):
        if not np.isfinite(best[start]).any():
            continue
        for stop in range(start + 1, min(number, start + 12) + 1):
            cost = _character(pieces[start:stop], hand) + apart[start]
            reached = best[start, :-1] + cost
            better = reached < best[stop, 1:]
            best[stop, 1:][better] = reached[better]
            came[stop, 1:][better] = start
    ends = [(float(best[number, count]), count) for count in counts if count > 0]
    cost, count = min(ends)
    if not np.isfinite(cost):
        return Cut([], np.inf, number)
    characters = []
    stop = number
    for left in range(count, 0, -1):
        start = int(came[stop, left])
        chosen = pieces[start:stop]
        characters.append((np.concatenate([p.rows for p in chosen]), np.concatenate([p.columns for p in chosen])))
        stop = start
    return Cut(characters[::-1], cost, number)


def _apart(one: Piece, other: Piece, hand: Hand) -> float:
    """Return what it costs to let two neighbours be of two characters."""
    if one.part == other.part:
        return 0.35 + other.cut * 0.65
    overlap = min(one.right, other.right) - max(one.left, other.left)
    narrow = min(one.right - one.left, other.right - other.left)
    return 0.8 * max(0.0, overlap / narrow - 0.2)


def _character(pieces: list[Piece], hand: Hand) -> float:
    """Return what it costs to let pieces be one character."""
    left, right = min(p.left for p in pieces), max(p.right for p in pieces)
    top, bottom = min(p.top for p in pieces), max(p.bottom for p in pieces)
    wide, high = (right - left) / hand.width, (bottom - top) / hand.height
    cost = 2.0 * max(0.0, wide - 1.35) ** 2 + 1.0 * max(0.0, wide - 1.7)
    cost += 5.0 * max(0.0, 0.65 - high) + 1.0 * max(0.0, high - 1.6)
    cost += 0.3 * (len({piece.part for piece in pieces}) - 1)
    reach = pieces[0].right
    for piece in sorted(pieces, key=lambda piece: piece.left):
        cost += 5.0 * max(0.0, piece.left - reach) / hand.height
        reach = max(reach, piece.right)
    return cost
