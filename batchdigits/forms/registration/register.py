"""Registration: the homography from the blank form to a page.

First a guess from the size, the resolution and the skew of the page, or from the corners of the
paper in a photo; then a shift, by correlation of small pictures; then the lines, marks or print
themselves, with an ever shorter reach. The guess under which most of them are found wins.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from batchdigits.forms.registration.form import Form
from batchdigits.forms.registration.geometry import (
    Matrix,
    apply,
    from_corners,
    resolution,
    similarity,
)
from batchdigits.forms.registration.paper import paper_corners
from batchdigits.forms.registration.patches import ALIKE, find
from batchdigits.forms.registration.sampling import Brightness, Grey, reduced
from batchdigits.forms.registration.segments import CLEAR, measure
from batchdigits.forms.registration.skew import skew_of

TRIED = 6
"""Guesses of a kind that are refined, those that fit best as small pictures first."""

LOST = 0.25
"""The score up to which a guess has nothing to do with the page."""

GOOD = 0.85
"""The score from which on no other guess is tried."""

TOLERANCE = 3.0
"""Pixels of a form of 300 dpi that a line may lie off and still count as found."""

REACHES = ((48, 6), (32, 6), (24, 8), (12, 8), (6, 8))
"""Pixels of a form of 300 dpi to look to either side, and the number of parameters of the
correction, step by step."""

_LEAST_PRINT = 6  # pieces of print
_READ = 0.45  # correlation with a piece of print that shows it is there
_KEYSTONES = (0.05, 0.1)
_SCALES = (1.0, 0.97, 1.03)


@dataclass(frozen=True, slots=True)
class Registration:
    """Where a form is on a page.

    matrix   takes points of the blank form to points of the page
    score    the share of the form's lines, marks and print that the page has in their places, of
             those that are not outside of it, 0..1
    visible  the share that is not outside of it, 0..1
    found    bool (n,): which of the form's segments are there
    print    the share of the form's print that is there, 0..1; None where too little is known of it
    """

    matrix: Matrix
    score: float
    visible: float
    found: NDArray[np.bool_]
    print: float | None = None

    @property
    def trust(self) -> float:
        """How sure it is, 0..1, to compare forms and turns of a page: half lines, half print."""
        return (
            self.score
            * min(1.0, 2 * self.visible)
            * (1.0 if self.print is None else (1 + self.print) / 2)
        )


_NOWHERE = Registration(np.eye(3), -1.0, 0.0, np.zeros(0, np.bool_))


@dataclass(frozen=True, slots=True)
class _Evidence:
    """What was seen of the form on a page: for m equations, a place, a direction, an offset.

    places   float64 (m, 2): on the blank form
    upright  bool (m,): whether the offset is one to the right, not down
    offsets  float64 (m,): pixels of the form
    seen     bool (m,)
    inside   bool (m,): whether the place is on the page
    """

    places: NDArray[np.float64]
    upright: NDArray[np.bool_]
    offsets: NDArray[np.float64]
    seen: NDArray[np.bool_]
    inside: NDArray[np.bool_]


def register(
    page: Brightness, dark: Grey, form: Form, scale: float | None, *, thorough: bool = True
) -> Registration:
    """Find the form on a page.

    dark      the page's darkness beside its paper
    scale     the pixels of the page for one of the form, if the file tells
    thorough  also try what takes seconds: pages that lean, and shifts by rows of boxes
    """
    best = _NOWHERE
    for guesses in _guesses(page, dark, form, scale):
        best = max(best, _best(dark, form, guesses), key=_score)
        if best.score > GOOD:
            break
    if thorough and best.score <= GOOD:
        best = _shifted(dark, form, best)
    if thorough and best.score <= GOOD:
        for flat in _flat(dark, form, scale):
            best = max(best, _best(dark, form, _leaning(flat, form), shifted=True), key=_score)
    return replace(best, print=_printed(dark, form, best.matrix))


def _printed(dark: Grey, form: Form, matrix: Matrix) -> float | None:
    """Return the share of the form's print that is in its place, None with little to look for."""
    if len(form.witnesses) < _LEAST_PRINT:
        return None
    _, alike = find(dark, matrix, form.witnesses, max(4, round(12 * form.dpi / 300)))
    return float((alike >= _READ).mean())


def _guesses(
    page: Brightness, dark: Grey, form: Form, scale: float | None
) -> Iterator[list[Matrix]]:
    """Yield where the form may lie, but for a shift: the most likely kind of guess first."""
    corners = paper_corners(page)
    if corners is not None:
        w, h = form.width, form.height
        sheet = from_corners(np.array([[0.0, 0], [w, 0], [w, h], [0, h]]), corners)
        yield [sheet, *_leaning([sheet], form)]
    first, *others = _flat(dark, form, scale)
    yield first[:1]  # nearly always right
    yield first[1:]
    yield from others


def _flat(dark: Grey, form: Form, scale: float | None) -> list[list[Matrix]]:
    """Return the form as a scanner sees it, turned by the skew of the page: guesses by size.

    What a file tells of its resolution is often wrong, and the page is often not all of the glass.
    """
    height, width = dark.shape
    skew = skew_of(reduced(dark, max(1, round(max(dark.shape) / 800))))
    middles = np.array([form.width / 2, form.height / 2]), np.array([width / 2, height / 2])
    scales: list[float] = []
    result = []
    for size in [*([scale] if scale else []), height / form.height, width / form.width]:
        new = [
            size * part
            for part in _SCALES
            if all(abs(size * part / other - 1) > 0.01 for other in scales)
        ]
        scales += new
        if new:
            result.append([similarity(each, skew, *middles) for each in new])
    return result


def _leaning(guesses: list[Matrix], form: Form) -> list[Matrix]:
    """Return the guesses as they look when the page leans in each of eight directions."""
    centre = np.eye(3)
    centre[:2, 2] = -form.width / 2, -form.height / 2
    result = []
    for by in _KEYSTONES:
        for g, h in ((g, h) for g in (-1, 0, 1) for h in (-1, 0, 1) if g or h):
            lean = np.eye(3)
            lean[2, :2] = 2 * g * by / form.width, 2 * h * by / form.height
            change = np.linalg.inv(centre) @ lean @ centre
            result += [guess @ change for guess in guesses]
    return result


def _best(dark: Grey, form: Form, guesses: list[Matrix], *, shifted: bool = False) -> Registration:
    """Shift all guesses, and refine those that then fit best; with `shifted`, in other rows too."""
    level, factor = _level(dark, form, guesses[0])
    shifts = [shift for guess in guesses for shift in form.shifts(level, factor, guess)]
    best = _NOWHERE
    for _, guess in sorted(shifts, key=lambda shift: -shift[0])[:TRIED]:
        found = refine(dark, form, guess)
        best = max(best, _shifted(dark, form, found) if shifted else found, key=_score)
        if best.score > GOOD:
            break
    return best


def _shifted(dark: Grey, form: Form, found: Registration) -> Registration:
    """Return the best of a registration and its shifts: it may be off by a row of like boxes."""
    if not LOST < found.score <= GOOD:
        return found
    level, factor = _level(dark, form, found.matrix)
    shifts = form.shifts(level, factor, found.matrix)
    return max([found, *(refine(dark, form, guess) for _, guess in shifts)], key=_score)


def _level(dark: Grey, form: Form, guess: Matrix) -> tuple[Grey, int]:
    """Return the page reduced to about an eighth of the form's size, and by how much."""
    middle = np.array([form.width / 2, form.height / 2])
    factor = max(1, round(8 * resolution(guess, middle)))
    return reduced(dark, factor), factor


def _score(registration: Registration) -> float:
    return registration.score * (
        min(1.0, 2 * registration.visible) if registration.score > 0 else 1
    )


def refine(dark: Grey, form: Form, matrix: Matrix) -> Registration:
    """Bring a guess that is off by up to 48 pixels, at 300 dpi, onto what the page shows."""
    unit = form.dpi / 300
    for reach, parameters in REACHES:
        evidence = _look(dark, form, matrix, max(4, round(reach * unit)))
        matrix = matrix @ _correction(evidence, form, parameters)
    evidence = _look(dark, form, matrix, max(4, round(8 * unit)))
    close = np.abs(evidence.offsets) <= max(1.5, TOLERANCE * unit)
    found = evidence.seen & close & evidence.inside
    inside = int(evidence.inside.sum())
    return Registration(
        matrix,
        float(found.sum() / inside) if inside else 0.0,
        float(evidence.inside.mean()) if len(evidence.inside) else 0.0,
        found[: len(form.segments)],
    )


def _look(dark: Grey, form: Form, matrix: Matrix, reach: int) -> _Evidence:
    """Look for the form's segments, then for its marks and print, around their places."""
    segments = form.segments
    offsets, contrast = measure(dark, matrix, segments, reach)
    places, upright = [segments.centres], [segments.vertical]
    shifts, seen = [offsets], [contrast >= CLEAR]
    for patches in (form.marks, form.print):
        moved, alike = find(dark, matrix, patches, reach)
        for axis in (0, 1):
            places.append(patches.centres)
            upright.append(np.full(len(patches), axis == 0))
            shifts.append(moved[:, axis])
            seen.append(alike >= ALIKE)
    where = np.concatenate(places)
    x, y = apply(matrix, where).T
    inside = (x >= 0) & (y >= 0) & (x < dark.shape[1]) & (y < dark.shape[0])
    return _Evidence(
        where, np.concatenate(upright), np.concatenate(shifts), np.concatenate(seen), inside
    )


def _correction(evidence: _Evidence, form: Form, parameters: int) -> Matrix:
    """Return the small homography of the form's plane that explains most of the offsets.

    Least squares over its terms of first order, with Tukey's weights against outliers (Beaton and
    Tukey, Technometrics 16, 1974).
    """
    seen = evidence.seen & evidence.inside
    if seen.sum() < parameters:
        return np.eye(3)
    size = max(form.width, form.height) / 2
    centre = np.array([form.width / 2, form.height / 2])
    x, y = ((evidence.places[seen] - centre) / size).T
    target, upright = evidence.offsets[seen] / size, evidence.upright[seen]
    none, one = np.zeros_like(x), np.ones_like(x)
    right = np.stack([one, x, y, none, none, none, x * x, x * y], axis=1)
    down = np.stack([none, none, none, one, x, y, x * y, y * y], axis=1)
    terms = np.where(upright[:, None], right, down)[:, :parameters]
    weights = np.ones_like(target)
    solution = np.zeros(parameters)
    for _ in range(12):
        root = np.sqrt(weights)
        solution = np.linalg.lstsq(terms * root[:, None], target * root, rcond=None)[0]
        residual = np.abs(target - terms @ solution)
        limit = 4.685 * max(1.4826 * float(np.median(residual)), 0.75 / size)
        weights = np.where(residual < limit, (1 - (residual / limit) ** 2) ** 2, 1e-9)
    a, b, c, d, e, f, g, h = np.append(solution, np.zeros(8 - parameters))
    change = np.array([[1 + b, c, a], [e, 1 + f, d], [-g, -h, 1.0]])
    scaled = np.diag([1 / size, 1 / size, 1.0])
    scaled[:2, 2] = -centre / size
    result: Matrix = np.linalg.inv(scaled) @ change @ scaled
    return result
