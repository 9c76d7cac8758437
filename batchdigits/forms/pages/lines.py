"""The printed lines of a box wiped off its picture, without the strokes that cross them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ink = NDArray[np.bool_]

SLACK = 2
"""Pixels that an edge of a printed line is rough by."""


@dataclass(frozen=True, slots=True)
class Line:
    """A horizontal line of a picture: the row of its middle, and its first and last column."""

    middle: float
    start: int
    stop: int


def wipe(ink: Ink, lines: list[Line], thickness: float) -> Ink:
    """Return the picture without its horizontal lines.

    ink        bool (height, width)
    thickness  pixels, as measured on the blank form

    In each column what is as thin as the line goes. Where strokes come to the line from above and
    from below, they are joined again across it.
    """
    result = ink.copy()
    for line in lines:
        _wipe(result, line, thickness)
    return result


def wipe_upright(ink: Ink, lines: list[Line], thickness: float) -> Ink:
    """Return the picture without its vertical lines, as `wipe` does; rows are columns here."""
    return wipe(ink.T, lines, thickness).T


def _wipe(ink: Ink, line: Line, thickness: float) -> None:
    """Wipe one line off the picture, in place."""
    height, width = ink.shape
    start, stop = max(line.start, 0), min(line.stop, width)
    reach = round(thickness) + 4
    first = max(0, round(line.middle - 0.5) - reach)
    last = min(height, round(line.middle - 0.5) + reach + 1)
    band = ink[first:last, start:stop]
    if band.size == 0:
        return
    top, bottom, hit = _runs_through(band, line.middle - first, thickness)
    thin = hit & (bottom - top <= thickness + 2 * SLACK)
    if thin.sum() < 8:
        return
    # Where strokes hide the edges of the line, they are where they are nearby.
    centre = _followed((top + bottom) / 2, thin)
    size = float(np.median((bottom - top)[thin]))
    above = np.floor(centre - size / 2 - 0.5).astype(int)
    below = np.ceil(centre + size / 2 + 0.5).astype(int)
    above, below = np.where(thin, np.minimum(top, above), above), np.where(thin, np.maximum(bottom, below), below)
    rows = np.arange(last - first)[:, None]
    line_part = (rows >= above) & (rows < below)
    bridges = _bridges(band, above, below)
    band &= ~line_part | bridges


def _runs_through(
    band: Ink, middle: float, thickness: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Return where the run of ink through the line starts and stops in each column, and if any."""
    height = band.shape[0]
    places = np.arange(height)[:, None]
    core = np.clip(np.array([middle, middle - thickness / 4, middle + thickness / 4]).astype(int), 0, height - 1)
    hits = band[core]
    seed = np.where(hits.any(0), core[hits.argmax(0)], core[0])
    paper_before = np.where(~band & (places < seed), places, -1).max(0)
    paper_after = np.where(~band & (places > seed), places, height).min(0)
    return paper_before + 1, paper_after, hits.any(0)


def _followed(centre: NDArray[np.float64], thin: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the middle of the line in each column: a median of its thin parts nearby."""
    columns = np.flatnonzero(thin)
    known = centre[columns]
    result = np.empty(len(centre))
    for begin in range(0, len(centre), 24):
        near = known[(columns >= begin - 24) & (columns < begin + 48)]
        result[begin : begin + 24] = np.median(near if len(near) >= 6 else known)
    return result


def _bridges(band: Ink, above: NDArray[np.int64], below: NDArray[np.int64]) -> Ink:
    """Return what of the line joins a stroke above it with one below."""
    height, width = band.shape
    columns = np.arange(width)
    result = np.zeros_like(band)
    over = (above >= 2) & band[np.clip(above - 1, 0, height - 1), columns]
    over &= band[np.clip(above - 2, 0, height - 1), columns]
    under = (below <= height - 2) & band[np.clip(below, 0, height - 1), columns]
    under &= band[np.clip(below + 1, 0, height - 1), columns]
    for a_start, a_stop in intervals(over):
        for b_start, b_stop in intervals(under):
            gap = max(b_start - a_stop, a_start - b_stop)
            row, end = int(above[a_start]), int(below[b_start])
            if gap > 1.5 * (end - row) or min(a_stop - a_start, b_stop - b_start) < 2:
                continue
            for k in range(row, end):
                part = (k - row + 0.5) / (end - row)
                left = round(a_start + (b_start - a_start) * part)
                right = round(a_stop + (b_stop - a_stop) * part)
                result[max(0, k), left:right] = True
    return result & band


def intervals(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return start and stop of every run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], flags.view(np.int8), [0]))))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
