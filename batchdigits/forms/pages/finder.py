"""Boxes, combs and marks found on a blank form: the fields of a new template.

A box is paper that straight lines enclose. Equal boxes side by side, and the teeth of a comb in a
box, are the cells of one field.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from batchdigits.bitmaps.recipe import Ink
from batchdigits.forms.components import label_pieces
from batchdigits.forms.pages.lines import intervals
from batchdigits.rows.template import Box, Field

_LINE = 0.13  # inches: a shorter run of ink is no line
_LEAST, _MOST = 0.12, 0.9  # inches that a box is high; it is as wide at least
_FULL = 0.85  # of a box's rectangle that its paper fills
_DIGIT = 0.62  # of a box's height that a digit needs from left to right
_SQUARE = 1.3  # of its height that a printed cell is wide, at most
_GAP = 0.7  # of its width between printed cells, at most
_TOOTH = 0.2  # of a comb's height that its teeth are high, at least
_MARK = (0.08, 0.6)  # inches that a mark is wide and high
_SOLID = 0.7  # of a mark's rectangle that is ink: a disc fills 0.79


@dataclass(frozen=True, slots=True)
class Found:
    """What a blank form has: fields in reading order, and marks."""

    fields: list[Field]
    marks: list[Box]


def find_fields(ink: Ink, dpi: int) -> Found:
    """Find the boxes, combs and marks of a blank form: ink, bool (height, width)."""
    boxes = [_with_lines(ink, box) for box in _enclosed(ink, dpi)]
    groups = _grouped(boxes)
    fields = [
        _field(f"field_{number:02d}", group, ink)
        for number, group in enumerate(_in_reading_order(groups), 1)
    ]
    return Found(fields, _marks(ink, dpi))


def _enclosed(ink: Ink, dpi: int) -> list[Box]:
    """Return the rectangles of paper that lines enclose."""
    length = round(_LINE * dpi)
    walls = _long_runs(ink, length) | _long_runs(ink.T, length).T
    padded = np.pad(walls, 1)  # walls grow by a pixel, so that paper does not leak through corners
    for axis in (0, 1):
        walls = walls | np.roll(padded, 1, axis)[1:-1, 1:-1] | np.roll(padded, -1, axis)[1:-1, 1:-1]
    labels, count = label_pieces(~walls)
    rows, columns = np.nonzero(labels)
    owners = labels[rows, columns] - 1
    edges = np.empty((4, count), np.int64)
    edges[:2] = max(ink.shape)
    edges[2:] = 0
    np.minimum.at(edges[0], owners, columns)
    np.minimum.at(edges[1], owners, rows)
    np.maximum.at(edges[2], owners, columns + 1)
    np.maximum.at(edges[3], owners, rows + 1)
    sizes = np.bincount(owners, minlength=count)
    result = []
    for (left, top, right, bottom), size in zip(edges.T.tolist(), sizes.tolist(), strict=True):
        wide, high = right - left, bottom - top
        if not _LEAST * dpi <= high <= _MOST * dpi or wide < _LEAST * dpi:
            continue
        if size >= _FULL * wide * high and wide < 0.95 * ink.shape[1]:
            result.append((left, top, right, bottom))
    return result


def _long_runs(ink: Ink, length: int) -> Ink:
    """Return the ink in runs along rows of at least `length` pixels."""
    height, width = ink.shape
    flat = np.zeros((height, width + 1), np.int8)
    flat[:, :width] = ink
    edges = np.diff(flat.reshape(-1), prepend=np.int8(0))
    starts, stops = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    long = stops - starts >= length
    change = np.zeros(height * (width + 1), np.int8)
    change[starts[long]] = 1
    change[stops[long]] = -1
    result: Ink = np.cumsum(change, dtype=np.int8).reshape(height, width + 1)[:, :width] > 0
    return result


def _with_lines(ink: Ink, paper: Box) -> Box:
    """Return the box through the middles of the lines around a rectangle of paper."""
    left, top, right, bottom = paper
    middle_rows = slice(top + (bottom - top) // 4, bottom - (bottom - top) // 4)
    middle_columns = slice(left + (right - left) // 4, right - (right - left) // 4)
    reach = max(8, (bottom - top) // 4)
    sides = (
        ink[middle_rows, max(0, left - reach) : left + 3][:, ::-1].mean(axis=0),
        ink[max(0, top - reach) : top + 3, middle_columns][::-1].mean(axis=1),
        ink[middle_rows, right - 3 : right + reach].mean(axis=0),
        ink[bottom - 3 : bottom + reach, middle_columns].mean(axis=1),
    )
    outward = [_middle_of_first(profile > 0.5) - 3 for profile in sides]
    return (
        round(left - 1 - outward[0]),
        round(top - 1 - outward[1]),
        round(right + outward[2]),
        round(bottom + outward[3]),
    )


def _middle_of_first(flags: NDArray[np.bool_]) -> float:
    runs = intervals(flags)
    return 3.0 if not runs else (runs[0][0] + runs[0][1] - 1) / 2


def _grouped(boxes: Sequence[Box]) -> list[list[Box]]:
    """Return the boxes, equal narrow ones side by side in one group."""
    groups: list[list[Box]] = []
    for box in sorted(boxes, key=lambda box: box[0]):
        for group in groups:
            if _continues(group, box):
                group.append(box)
                break
        else:
            groups.append([box])
    return groups


def _continues(group: Sequence[Box], box: Box) -> bool:
    """Tell whether a box is the next cell of a group."""
    last = group[-1]
    wide, high = last[2] - last[0], last[3] - last[1]
    gap = box[0] - last[2]
    slack = max(4, high // 12)
    return (
        wide <= _SQUARE * high
        and abs((box[2] - box[0]) - wide) <= max(slack, wide // 8)
        and abs(box[1] - last[1]) <= slack
        and abs(box[3] - last[3]) <= slack
        and -slack <= gap <= _GAP * wide
        and (len(group) == 1 or abs(gap - (last[0] - group[-2][2])) <= slack)
    )


def _in_reading_order(groups: Sequence[list[Box]]) -> list[list[Box]]:
    """Return the groups row by row. Boxes are in one row if their middles are at like heights."""
    rest = sorted(groups, key=lambda group: group[0][1] + group[0][3])
    result: list[list[Box]] = []
    while rest:
        first = rest[0][0]
        row = [
            group
            for group in rest
            if group[0][1] + group[0][3] <= first[1] + first[3] + (first[3] - first[1])
        ]
        result += sorted(row, key=lambda group: group[0][0])
        rest = [group for group in rest if group not in row]
    return result


def _field(name: str, group: Sequence[Box], ink: Ink) -> Field:
    edges = np.array(group)
    left, top = (int(each) for each in edges[:, :2].min(axis=0))
    right, bottom = (int(each) for each in edges[:, 2:].max(axis=0))
    box = left, top, right, bottom
    cells = tuple(group) if len(group) > 1 else _comb(ink, box)
    if cells:
        return Field(name, box, len(cells), cells=cells)
    digits = max(1, min(100, int((right - left) / (_DIGIT * (bottom - top)))))
    return Field(name, box, digits, exact=digits == 1)


def _comb(ink: Ink, box: Box) -> tuple[Box, ...]:
    """Return the cells between the teeth of a comb: short lines at equal distances in a box."""
    left, top, right, bottom = box
    high = bottom - top
    inset, tooth = max(6, high // 12), max(8, round(_TOOTH * high))
    low = ink[bottom - inset - tooth : bottom - inset, left + inset : right - inset]
    teeth = [
        left + inset + (start + stop - 1) // 2
        for start, stop in intervals(low.mean(axis=0) > 0.9)
        if stop - start <= inset
    ]
    walls = np.array([left, *teeth, right])
    widths = np.diff(walls)
    if not teeth or widths.max() - widths.min() > max(6, 0.15 * widths.mean()):
        return ()
    return tuple((int(a), top, int(b), bottom) for a, b in itertools.pairwise(walls))


def _marks(ink: Ink, dpi: int) -> list[Box]:
    """Return solid squares or discs of one size near the edges of the page, three at least."""
    height, width = ink.shape
    least, most = (round(inches * dpi) for inches in _MARK)
    core = ink
    for axis in (0, 1):  # what is thinner than a mark goes, and with it what a mark may touch
        core = _eroded(core, axis, least // 2)
    labels, count = label_pieces(core)
    found = []
    for number in range(1, min(count, 500) + 1):
        rows, columns = np.nonzero(labels == number)
        grown = least // 2
        top, left = int(rows.min()), int(columns.min())
        bottom, right = int(rows.max()) + grown, int(columns.max()) + grown
        wide, high = right - left, bottom - top
        if not (least <= wide <= most and least <= high <= most and 0.8 < wide / high < 1.25):
            continue
        at_edge = min(left / width, 1 - right / width) < 0.2
        at_edge = at_edge and min(top / height, 1 - bottom / height) < 0.2
        if at_edge and ink[top:bottom, left:right].mean() >= _SOLID:
            found.append((left, top, right, bottom))
    sizes = [mark[2] - mark[0] for mark in found]
    usual = float(np.median(sizes)) if sizes else 0.0
    alike = [mark for mark, size in zip(found, sizes, strict=True) if abs(size / usual - 1) < 0.2]
    return sorted(alike, key=lambda mark: (mark[1], mark[0])) if len(alike) >= 3 else []


def _eroded(ink: Ink, axis: int, length: int) -> Ink:
    """Return the first pixels of runs of `length` along an axis, so that blocks shrink by it."""
    sums = np.cumsum(ink, axis=axis, dtype=np.int32)
    sums = np.concatenate([np.zeros_like(np.take(sums, [0], axis)), sums], axis=axis)
    size = ink.shape[axis] - length + 1
    first, last = np.arange(size), np.arange(length, length + size)
    result: Ink = np.take(sums, last, axis) - np.take(sums, first, axis) == length
    return result
