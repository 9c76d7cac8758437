"""The blank form as registration needs it: its size, its lines, marks and print."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from batchdigits.forms.registration.geometry import Matrix
from batchdigits.forms.registration.patches import (
    Patches,
    no_patches,
    patches_of,
    printed_places,
)
from batchdigits.forms.registration.sampling import Grey, Grid, nearest, reduced
from batchdigits.forms.registration.segments import CLEAR, Segments, measure, segments_of
from batchdigits.rows.template import Template

COARSE = 16
"""Pixels of the form along the side of a pixel of the small pictures."""

PEAKS = 3
"""Shifts of a guess that are kept: a form with rows of like boxes fits a page in many ways."""

MOST = 96
"""The most darkness of a pixel of the small pictures: a line does not fill one."""

HIDDEN = 0.35
"""How much worse a form fits that is wholly outside of a page than one that is wholly on it."""

NEAR = 4
"""Pixels of the small pictures between two shifts."""

ENOUGH = 24
"""Pieces of lines from which on a form's print is not looked at."""

_LINE_INCHES = 0.017  # thickness of a printed line, where no blank form shows it


class Form:
    """A blank form to find on pages.

    template  its size and its fields
    blank     its darkness, uint8 (height, width), if there is a picture of it
    """

    def __init__(self, template: Template, blank: Grey | None) -> None:
        self.width, self.height, self.dpi = template.width, template.height, template.dpi
        self.segments = _segments(template, blank)
        self.marks = patches_of(template.marks, blank)
        self.witnesses = _print(template, blank)
        self.print = self.witnesses if len(self.segments) < ENOUGH else no_patches()
        self.shape = _fast(2 * self.height // COARSE), _fast(2 * self.width // COARSE)
        picture = self._picture(blank)
        self._spectrum = np.conj(np.fft.rfft2(picture, self.shape))
        weight = np.maximum(picture, 0) / np.maximum(picture, 0).sum()
        self._weight = np.conj(np.fft.rfft2(weight, self.shape))

    def _picture(self, blank: Grey | None) -> NDArray[np.float64]:
        """Return the small picture of the form: its lines if there are enough, else all its ink."""
        rows, columns = self.height // COARSE, self.width // COARSE
        picture = np.zeros((rows, columns))
        if blank is not None and len(self.segments) < ENOUGH:
            seen = np.minimum(reduced(blank, COARSE)[:rows, :columns], MOST)
            picture = _without_areas(seen.astype(np.float64))
        else:
            y, x = _places(self.segments)
            np.add.at(picture, (np.clip(y, 0, rows - 1), np.clip(x, 0, columns - 1)), 1.0)
        picture = _blurred(picture)
        result: NDArray[np.float64] = picture - picture.mean()
        return result

    def shifts(self, level: Grey, factor: float, guess: Matrix) -> list[tuple[float, Matrix]]:
        """Return the shifts of `guess` under which the form fits a page, and how well it does.

        level  the page's darkness, reduced by `factor`
        """
        rows, columns = self.height // COARSE, self.width // COARSE
        margins = rows // 2, columns // 2  # so that what was shifted out of the guess is seen
        size = columns + 2 * margins[1], rows + 2 * margins[0]
        x, y = Grid(-margins[1] * COARSE, -margins[0] * COARSE, *size, COARSE).on(guess)
        x, y = x / factor, y / factor
        seen = _without_areas(np.minimum(nearest(level, x, y), MOST).astype(np.float64))
        padded = np.zeros(self.shape, np.float32)
        padded[: size[1], : size[0]] = seen
        on_page = np.zeros(self.shape, np.float32)
        on_page[: size[1], : size[0]] = (
            (x >= 0) & (y >= 0) & (x < level.shape[1]) & (y < level.shape[0])
        )
        fit = np.fft.irfft2(np.fft.rfft2(padded) * self._spectrum, s=self.shape)
        visible = np.fft.irfft2(np.fft.rfft2(on_page) * self._weight, s=self.shape)
        # What is outside of the page can't be missed there.
        fit /= HIDDEN + (1 - HIDDEN) * np.clip(visible, 0, 1)
        fit = fit[: 2 * margins[0] + 1, : 2 * margins[1] + 1]
        spread = float(seen.std()) + 1e-6
        result = []
        for _ in range(PEAKS):
            row, column = np.unravel_index(np.argmax(fit), fit.shape)
            move = np.eye(3)
            move[:2, 2] = (column - margins[1]) * COARSE, (row - margins[0]) * COARSE
            result.append((float(fit[row, column]) / spread, guess @ move))
            fit[
                max(0, row - NEAR) : row + NEAR + 1, max(0, column - NEAR) : column + NEAR + 1
            ] = -np.inf
        return result


def _without_areas(picture: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what is darker than the 5 x 5 pixels around: a table or a black border is no line."""
    rows, columns = picture.shape
    sums = np.cumsum(np.cumsum(np.pad(picture, ((3, 2), (3, 2)), mode="edge"), 0), 1)
    around = sums[5:, 5:] - sums[:-5, 5:] - sums[5:, :-5] + sums[:-5, :-5]
    result: NDArray[np.float64] = np.maximum(picture - around[:rows, :columns] / 25, 0)
    return result


def _print(template: Template, blank: Grey | None) -> Patches:
    """Return pieces of the form's print. It tells the form from others with like boxes."""
    if blank is None:
        return no_patches()
    return patches_of(printed_places(blank, [field.box for field in template.fields]), blank)


def _segments(template: Template, blank: Grey | None) -> Segments:
    """Return the pieces of the fields' lines, in the places where the blank form has them."""
    boxes, owners = [], []
    for number, field in enumerate(template.fields):
        for box in (field.box, *field.cells):
            boxes.append([edge + 0.5 for edge in box])
            owners.append(number)
    thickness = max(2.0, _LINE_INCHES * template.dpi)
    segments = segments_of(boxes, thickness)
    segments = replace(segments, boxes=np.array(owners)[segments.boxes])
    if blank is None:
        return segments
    offsets, contrast = measure(blank, np.eye(3), segments, 8)
    centres = segments.centres.copy()
    centres[segments.vertical, 0] += offsets[segments.vertical]
    centres[~segments.vertical, 1] += offsets[~segments.vertical]
    # The teeth of a comb, and boxes in a colour that the scanner drops, are no full lines.
    return replace(segments, centres=centres).part(contrast >= CLEAR)


def _places(segments: Segments) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows and columns of the small picture along the pieces."""
    steps = (np.arange(8) + 0.5) / 8 - 0.5
    along = segments.lengths[:, None] * steps
    x = segments.centres[:, 0, None] + np.where(segments.vertical[:, None], 0, along)
    y = segments.centres[:, 1, None] + np.where(segments.vertical[:, None], along, 0)
    return (y.reshape(-1) // COARSE).astype(int), (x.reshape(-1) // COARSE).astype(int)


def _blurred(picture: NDArray[np.float64]) -> NDArray[np.float64]:
    for axis in (0, 1):
        picture = (np.roll(picture, 1, axis) + 2 * picture + np.roll(picture, -1, axis)) / 4
    return picture


def _fast(least: int) -> int:
    """Return the next number without prime factors above 5, for which the FFT is fast."""
    while True:
        rest = least
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return least
        least += 1
