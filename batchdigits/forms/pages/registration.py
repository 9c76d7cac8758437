"""Registration: the homography from the blank form to a page, found by the form's lines.

First a guess from the size, the resolution and the skew of the page, or from the corners of the
paper in a photo; then a shift by correlation of small pictures; then the lines themselves, with an
ever shorter reach. The guess under which most lines are found wins.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from batchdigits.forms.pages.geometry import (
    Matrix,
    Points,
    from_corners,
    resolution,
    similarity,
)
from batchdigits.forms.pages.ink import darkness
from batchdigits.forms.pages.paper import paper_corners
from batchdigits.forms.pages.sampling import Grey, grid, nearest, reduced
from batchdigits.forms.pages.segments import CLEAR, Segments, measure

COARSE = 16
"""Pixels of the form along the side of a pixel of the small pictures."""

TOLERANCE = 3.0
"""Pixels of the form that a line may lie off and still count as found."""


@dataclass(frozen=True, slots=True)
class Registration:
    """Where a form lies on a page.

    matrix   takes points of the blank form to points of the page
    found    bool (n,): which of the form's segments are there
    offsets  float64 (n,): how far each is off, in pixels of the form
    """

    matrix: Matrix
    found: NDArray[np.bool_]
    offsets: NDArray[np.float64]

    @property
    def score(self) -> float:
        """The share of the form's lines that the page has in their place, 0..1."""
        return float(self.found.mean())


class Form:
    """The blank form as registration needs it: its size, its lines, and a small picture of them."""

    def __init__(self, width: int, height: int, segments: Segments) -> None:
        self.width, self.height = width, height
        self.segments = segments
        self.shape = _fast_size(2 * height // COARSE), _fast_size(2 * width // COARSE)
        picture = np.zeros(self.shape)
        rows, columns = _places(segments)
        np.add.at(picture, (rows, columns), 1.0)
        picture[: height // COARSE, : width // COARSE] -= len(rows) / (
            (height // COARSE) * (width // COARSE)
        )
        self.spectrum = np.conj(np.fft.rfft2(_blurred(picture)))

    def shift(self, level: Grey, factor: float, guess: Matrix) -> tuple[float, Matrix]:
        """Return how well the form's lines fit under the best shift of `guess`, and that."""
        rows, columns = self.height // COARSE, self.width // COARSE
        # Half a form more on each side, so that what was shifted out of the guess is seen.
        margin_x, margin_y = columns // 4, rows // 4
        size = (columns + 2 * margin_x, rows + 2 * margin_y)
        x, y = grid(guess, -margin_x * COARSE, -margin_y * COARSE, *size, COARSE)
        seen = nearest(level, x / factor, y / factor).astype(np.float32)
        seen = np.minimum(seen, 96.0)
        padded = np.zeros(self.shape, np.float32)
        padded[: size[1], : size[0]] = seen
        fit = np.fft.irfft2(np.fft.rfft2(padded) * self.spectrum, s=self.shape)
        fit = fit[: 2 * margin_y + 1, : 2 * margin_x + 1]
        best = np.unravel_index(np.argmax(fit), fit.shape)
        dx, dy = (best[1] - margin_x) * COARSE, (best[0] - margin_y) * COARSE
        move = np.array([[1.0, 0, dx], [0, 1.0, dy], [0, 0, 1.0]])
        return float(fit[best]) / (float(seen.std()) + 1e-6), guess @ move


def _places(segments: Segments) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    steps = (np.arange(8) + 0.5) / 8 - 0.5
    along = segments.lengths[:, None] * steps
    x = segments.centres[:, 0, None] + np.where(segments.vertical[:, None], 0, along)
    y = segments.centres[:, 1, None] + np.where(segments.vertical[:, None], along, 0)
    return (y.reshape(-1) // COARSE).astype(int), (x.reshape(-1) // COARSE).astype(int)


def _blurred(picture: NDArray[np.float64]) -> NDArray[np.float64]:
    for axis in (0, 1):
        picture = (np.roll(picture, 1, axis) + 2 * picture + np.roll(picture, -1, axis)) / 4
    return picture


def _fast_size(least: int) -> int:
    """Return the next number without prime factors above 5, for which the FFT is fast."""
    while True:
        rest = least
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return least
        least += 1


TRIED = 6
"""Guesses of a kind that are refined, those that fit best as small pictures first."""

LOST = 0.25
"""The score up to which a guess has nothing to do with the page."""

GOOD = 0.85
"""The score from which on no other guess is tried."""


def register(page: NDArray[np.uint8] | NDArray[np.bool_], form: Form, dpi_ratio: float | None) -> tuple[Registration, Grey]:
    """Find the form on a page, and return also the page's darkness.

    page       brightness, uint8 or bool (height, width)
    dpi_ratio  the pixels of the page for one of the form, if the file says so
    """
    dark = darkness(page)
    best = None
    for guesses in _guesses(page, dark, form, dpi_ratio):
        found = _best(dark, form, guesses)
        if best is None or found.score > best.score:
            best = found
        if best.score > GOOD:
            break
    assert best is not None
    return best, dark


def _best(dark: Grey, form: Form, guesses: list[Matrix]) -> Registration:
    """Try the guesses that fit best after a shift; `register` breaks off at a good one."""
    height, width = form.height, form.width
    factor = max(1, round(8 * resolution(guesses[0], np.array([width / 2, height / 2]))))
    level = reduced(dark, factor)
    ranked = sorted((form.shift(level, factor, guess) for guess in guesses), key=lambda p: -p[0])
    best = None
    for _, guess in ranked[:TRIED]:
        found = refine(dark, form, guess)
        if LOST < found.score < GOOD:
            # It may be right but for a shift by a row or a column of boxes.
            found = max(found, refine(dark, form, form.shift(level, factor, found.matrix)[1]), key=_score)
        if best is None or found.score > best.score:
            best = found
        if best.score > GOOD:
            break
    assert best is not None
    return best


def _score(registration: Registration) -> float:
    return registration.score


def _guesses(page: NDArray[np.uint8] | NDArray[np.bool_], dark: Grey, form: Form, dpi_ratio: float | None) -> Iterator[list[Matrix]]:
    height, width = dark.shape
    small = max(1, round(max(dark.shape) / 800))
    corners = None if page.dtype == bool else paper_corners(page)
    sheet = np.array([[0, 0], [form.width, 0], [form.width, form.height], [0, form.height]], float)
    if corners is not None:
        guess = from_corners(sheet, corners)
        yield [guess, *keystones(guess, form, 0.03)]
    skew = skew_of(reduced(dark, small))
    sizes = [height / form.height, width / form.width, *([dpi_ratio] if dpi_ratio else [])]
    scales = [size * part for size in sizes for part in (1.0, 0.97, 1.03)]
    scales = [s for i, s in enumerate(scales) if all(abs(s / t - 1) > 0.01 for t in scales[:i])]
    flat = list(scanner_guesses(dark, form, scales, skew))
    yield flat
    yield [lean for guess in flat for by in (0.05, 0.1) for lean in keystones(guess, form, by)]


def keystones(guess: Matrix, form: Form, by: float) -> list[Matrix]:
    """Return the guess as it looks when the page leans in each of eight directions."""
    centre = np.array([form.width / 2, form.height / 2])
    result = []
    for g in (-1, 0, 1):
        for h in (-1, 0, 1):
            if g or h:
                lean = np.eye(3)
                lean[2, :2] = g * by / form.width * 2, h * by / form.height * 2
                to = np.eye(3)
                to[:2, 2] = -centre
                result.append(guess @ np.linalg.inv(to) @ lean @ to)
    return result


REACHES = ((48, 6), (32, 6), (24, 8), (12, 8), (6, 8))
"""Pixels to look to either side, and the number of parameters of the correction, step by step."""


def refine(page: Grey, form: Form, matrix: Matrix) -> Registration:
    """Bring a guess that is off by up to 48 pixels of the form onto the page's lines."""
    segments = form.segments
    for reach, parameters in REACHES:
        offsets, contrast = measure(page, matrix, segments, reach)
        matrix = matrix @ _correction(segments, offsets, contrast >= CLEAR, form, parameters)
    offsets, contrast = measure(page, matrix, segments, 8)
    found = (contrast >= CLEAR) & (np.abs(offsets) <= TOLERANCE)
    return Registration(matrix, found, offsets)


def _correction(
    segments: Segments,
    offsets: NDArray[np.float64],
    seen: NDArray[np.bool_],
    form: Form,
    parameters: int,
) -> Matrix:
    """Return the small homography of the form's plane that explains most of the offsets.

    Least squares over the terms of first order, with Tukey's weights against outliers.
    """
    if seen.sum() < parameters:
        return np.eye(3)
    size = max(form.width, form.height) / 2
    centre = np.array([form.width / 2, form.height / 2])
    x, y = ((segments.centres[seen] - centre) / size).T
    target, upright = offsets[seen] / size, segments.vertical[seen]
    zero, one = np.zeros_like(x), np.ones_like(x)
    right = np.stack([one, x, y, zero, zero, zero, x * x, x * y], axis=1)
    down = np.stack([zero, zero, zero, one, x, y, x * y, y * y], axis=1)
    terms = np.where(upright[:, None], right, down)[:, :parameters]
    weights = np.ones_like(target)
    solution = np.zeros(parameters)
    for _ in range(12):
        root = np.sqrt(weights)[:, None]
        solution = np.linalg.lstsq(terms * root, target * root[:, 0], rcond=None)[0]
        residual = np.abs(target - terms @ solution)
        scale = 4.685 * max(1.4826 * float(np.median(residual)), 0.75 / size)
        weights = np.where(residual < scale, (1 - (residual / scale) ** 2) ** 2, 1e-9)
    a, b, c, d, e, f, g, h = np.append(solution, np.zeros(8 - parameters))
    change = np.array([[1 + b, c, a], [e, 1 + f, d], [-g, -h, 1.0]])
    normal = np.array([[1 / size, 0, -centre[0] / size], [0, 1 / size, -centre[1] / size], [0, 0, 1]])
    return np.linalg.inv(normal) @ change @ normal


def scanner_guesses(page: Grey, form: Form, scales: list[float], skew: float) -> Iterator[Matrix]:
    """Yield guesses for a flat scan: the middles lie on each other, turned by the skew."""
    middle: Points = np.array([form.width / 2, form.height / 2])
    centre = np.array([page.shape[1] / 2, page.shape[0] / 2])
    for scale in scales:
        yield similarity(scale, skew, middle, centre)


def skew_of(level: Grey) -> float:
    """Return the angle of a page's lines, radians, clockwise, within 12 degrees.

    The lines are horizontal where the sums along rows differ most from each to the next.
    """
    rows, columns = np.nonzero(level > 64)
    if len(rows) < 50:
        return 0.0
    if len(rows) > 30_000:
        chosen = np.random.default_rng(0).choice(len(rows), 30_000, replace=False)
        rows, columns = rows[chosen], columns[chosen]
    columns = columns - level.shape[1] / 2
    best = 0.0
    for width, step in ((12.0, 0.5), (0.5, 0.1), (0.1, 0.02)):
        angles = best + np.deg2rad(np.arange(-width, width + step / 2, step))
        best = angles[np.argmax([_sharpness(rows, columns, angle) for angle in angles])]
    return float(best)


def _sharpness(rows, columns, angle: float) -> float:
    places = (rows - columns * np.tan(angle)).astype(np.int32)
    sums = np.bincount(places - places.min())
    return float((np.diff(sums).astype(np.float64) ** 2).sum())
