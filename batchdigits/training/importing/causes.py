"""The likely cause of a low accuracy: each usual mistake is undone, and the rows judge.

A model that answers badly behind the given scaler, and well behind another, was trained behind the
other. The same holds for the order of its outputs and for how the images lie.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from batchdigits.images import DARKEST, PIXELS, SIDE
from batchdigits.training.data import Labelled
from batchdigits.training.importing.labels import shown
from batchdigits.training.importing.parts import Parts
from batchdigits.training.importing.scalers import UNSCALED, Affine, dividing_by

MOST_ROWS = 1000

Pixels = NDArray[np.float64]
Predict = Callable[[Affine, Pixels], NDArray[np.int64]]
"""The place of the most probable class for each row of pixels, behind a scaler."""

_DIVISORS = {
    1.0: "the pixels as they are, 0..16",
    16.0: "pixels divided by 16",
    255.0: "pixels divided by 255",
    16 / 255: "pixels of 0..255",
}


@dataclass(frozen=True, slots=True)
class _Mistake:
    """A usual mistake, undone: `cause` in words, with the fix."""

    cause: str
    affine: Affine
    look: Callable[[Pixels], Pixels] = lambda pixels: pixels


def better_order(data: Labelled, predicted: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """The classes (k,) that the outputs fit better than those that they are given; None if none.

    It is the assignment with the most rows right: Kuhn, "The Hungarian method for the assignment
    problem", 1955.
    """
    from scipy.optimize import linear_sum_assignment

    counts = np.zeros((data.classes, data.classes), np.int64)
    np.add.at(counts, (predicted, data.targets), 1)
    outputs, classes = linear_sum_assignment(-counts)
    if counts[outputs, classes].sum() <= np.trace(counts):
        return None
    fitting: NDArray[np.int64] = classes
    return fitting


def order_cause(data: Labelled, order: NDArray[np.int64], parts: Parts) -> str:
    """The cause in words, where the outputs fit the classes in another order."""
    classes = data.binarizer.classes_
    given = np.searchsorted(classes, parts.labels)
    return (
        f"the outputs are in another order than the labels of {parts.labels_from}: the rows fit "
        f"--labels {shown(classes[order[given]])}"
    )


def likely_cause(parts: Parts, data: Labelled, predict: Predict, least: float) -> str:
    """Say which mistake, undone, gives an accuracy of at least `least`; say so if none does."""
    rows = data
    if len(data.targets) > MOST_ROWS:
        chosen = np.random.default_rng(0).permutation(len(data.targets))[:MOST_ROWS]
        rows = data.part(np.sort(chosen))

    def accuracy(mistake: _Mistake) -> float:
        predicted = predict(mistake.affine, mistake.look(rows.pixels))
        return float((predicted == rows.targets).mean())

    best, found = 0.0, None
    for mistake in _mistakes(parts):
        measured = accuracy(mistake)
        if measured > best:
            best, found = measured, mistake
    if found is not None and best >= least:
        return f"likely cause: {found.cause} ({100 * best:.4g} % of the rows are right that way)"
    own = _Mistake(
        "the scaler is missing, or is that of another model (behind the mean and the deviation of "
        "these rows",
        _standardizing(rows.pixels),
    )
    measured = accuracy(own)
    if measured >= least:
        return f"likely cause: {own.cause}, {100 * measured:.4g} % are right); give --scaler"
    return (
        "no usual cause explains it: the outputs in another order, the pixels divided by 16 or "
        "255, or not, another scaler, rows and columns swapped, the ink inverted; check that the "
        "rows and the model belong together"
    )


def _mistakes(parts: Parts) -> Iterator[_Mistake]:
    scalings = list(_scalings(parts))
    yield from scalings
    for scaling in [_Mistake("", parts.affine), *scalings]:
        also = f", and {scaling.cause}" if scaling.cause else ""
        yield _Mistake(
            "rows and columns of the images are swapped: write the pixels row by row, as the model "
            f"learned them{also}",
            scaling.affine,
            _transposed,
        )
        yield _Mistake(
            "the model learned 0 for ink and the largest value for paper: train it on 0 for paper "
            f"and 16 for ink{also}",
            scaling.affine,
            lambda pixels: DARKEST - pixels,
        )


def _scalings(parts: Parts) -> Iterator[_Mistake]:
    """Every way to scale the pixels but the given one."""
    for divisor, words in _DIVISORS.items():
        flag = "no --scaler-divide" if divisor == 1 else f"--scaler-divide {divisor:.8g}"
        if parts.scaler is not None:
            if divisor != parts.divide:
                yield _Mistake(
                    f"its scaler was fitted on {words}: give {flag} and --scaler",
                    dividing_by(divisor).then(parts.scaler),
                )
            yield _Mistake(
                f"the model learned from {words}: give {flag} and no --scaler", dividing_by(divisor)
            )
        elif divisor != parts.divide:
            yield _Mistake(f"the model learned from {words}: give {flag}", dividing_by(divisor))


def _transposed(pixels: Pixels) -> Pixels:
    return pixels.reshape(-1, SIDE, SIDE).transpose(0, 2, 1).reshape(-1, PIXELS)


def _standardizing(pixels: Pixels) -> Affine:
    deviation = pixels.std(axis=0)
    return Affine(pixels.mean(axis=0), np.where(deviation > 0, deviation, UNSCALED.scale))
