"""Small pictures of a form, its marks or pieces of its print, and where a page has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from batchdigits.forms.registration.geometry import Matrix
from batchdigits.forms.registration.sampling import Grey, Grid, bilinear

SIDE = 24
"""Samples along each side of a patch."""

ALIKE = 0.6
"""The least correlation with the form's own picture that counts as found."""

PRINTED = 40
"""The most pieces of print that are looked for."""


@dataclass(frozen=True, slots=True)
class Patches:
    """Pictures of places of the form: n of them.

    centres   float64 (n, 2): their middles on the blank form
    steps     float64 (n,): pixels of the form between two samples
    pictures  float32 (n, SIDE, SIDE): the darkness, with mean 0 and length 1
    """

    centres: NDArray[np.float64]
    steps: NDArray[np.float64]
    pictures: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.steps)


def no_patches() -> Patches:
    """Return none."""
    return Patches(np.zeros((0, 2)), np.zeros(0), np.zeros((0, SIDE, SIDE), np.float32))


def patches_of(boxes: Sequence[Sequence[int]], blank: Grey | None) -> Patches:
    """Return the pictures around boxes of the blank form; without it they are solid squares."""
    centres, steps, pictures = [], [], []
    for left, top, right, bottom in boxes:
        step = 1.5 * max(right - left, bottom - top) / SIDE
        middle = (left + right) / 2, (top + bottom) / 2
        start = middle[0] - step * SIDE / 2, middle[1] - step * SIDE / 2
        x, y = Grid(*start, SIDE, SIDE, step).on(np.eye(3))
        if blank is None:
            inside = (x >= left) & (x < right) & (y >= top) & (y < bottom)
            picture = np.where(inside, 255, 0).astype(np.float32)
        else:
            picture = bilinear(blank, x, y)
        centred = _centred(picture)
        if centred is not None:
            centres.append(middle)
            steps.append(step)
            pictures.append(centred)
    if not centres:
        return no_patches()
    return Patches(np.array(centres), np.array(steps), np.stack(pictures))


def printed_places(blank: Grey, taboo: Sequence[Sequence[int]]) -> list[tuple[int, int, int, int]]:
    """Return boxes of print on the blank form, the fullest ones, away from the boxes in `taboo`."""
    side = max(32, round(min(blank.shape) / 30))
    rows, columns = blank.shape[0] // side, blank.shape[1] // side
    ink = blank[: rows * side, : columns * side] > 127
    share = ink.reshape(rows, side, columns, side).mean(axis=(1, 3))
    for left, top, right, bottom in taboo:  # what is written there differs from page to page
        share[
            max(0, top // side - 1) : bottom // side + 1, max(0, left // side) : right // side + 1
        ] = 0
    order = np.argsort(-np.minimum(share, 0.4), axis=None, kind="stable")[:PRINTED]
    places = [(int(i // columns), int(i % columns)) for i in order if share.flat[i] > 0.03]
    return [(c * side, r * side, (c + 1) * side, (r + 1) * side) for r, c in places]


def find(
    page: Grey, matrix: Matrix, patches: Patches, reach: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find the place most like each patch, at most `reach` pixels of the form to each side.

    Returns how far it is from where `matrix` puts it, right and down, in pixels of the form,
    float64 (n, 2), and the correlation of both pictures, float64 (n,).
    """
    offsets, alike = np.zeros((len(patches), 2)), np.zeros(len(patches))
    for i in range(len(patches)):
        step = float(patches.steps[i])
        margin = max(1, int(np.ceil(reach / step)))
        size = SIDE + 2 * margin
        left, top = (patches.centres[i] - step * size / 2).tolist()
        x, y = Grid(left, top, size, size, step).on(matrix)
        window = bilinear(page, x, y)
        fit = _correlation(window, patches.pictures[i])
        row, column = np.unravel_index(np.argmax(fit), fit.shape)
        alike[i] = fit[row, column]
        down = row - margin + _peak(fit[:, column], int(row))
        right = column - margin + _peak(fit[row], int(column))
        offsets[i] = right * step, down * step
    return offsets, alike


def _correlation(window: NDArray[np.float32], picture: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the normalised correlation at every shift of the picture inside the window."""
    shape = window.shape
    spectrum = np.fft.rfft2(window) * np.conj(np.fft.rfft2(picture, shape))
    size = shape[0] - SIDE + 1, shape[1] - SIDE + 1
    product = np.fft.irfft2(spectrum, shape)[: size[0], : size[1]]
    sums, squares = _sums(window), _sums(window * window)
    spread = np.maximum(squares - sums * sums / SIDE**2, 1.0)
    result: NDArray[np.float64] = product / np.sqrt(spread)
    return result


def _sums(window: NDArray[np.float32]) -> NDArray[np.float64]:
    total = np.cumsum(np.cumsum(np.pad(window, ((1, 0), (1, 0))), 0, np.float64), 1)
    result: NDArray[np.float64] = (
        total[SIDE:, SIDE:] - total[:-SIDE, SIDE:] - total[SIDE:, :-SIDE] + total[:-SIDE, :-SIDE]
    )
    return result


def _peak(values: NDArray[np.float64], at: int) -> float:
    """Return how far from `at` the top of a parabola through three values is, -0.5..0.5."""
    if not 0 < at < len(values) - 1:
        return 0.0
    before, here, after = values[at - 1 : at + 2]
    bend = before - 2 * here + after
    return float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5)) if bend < -1e-9 else 0.0


def _centred(picture: NDArray[np.float32]) -> NDArray[np.float32] | None:
    centred = picture - picture.mean()
    length = float(np.sqrt((centred * centred).sum()))
    return None if length < 255 else centred / length
