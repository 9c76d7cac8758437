"""Measure what drift reports for changed data, and how right the estimated accuracy is.

    python benchmarks/drift.py [--seed 0]

A network learns from half of scikit-learn's digits, with the default recipe, and sees the other
half: unchanged, changed in ways that scanners and pens change it, and with its classes in other
shares. The halves are

- other writers: the first 900 rows and the rest, because the file is ordered by writer;
- the same writers: a random half.

The columns are the distances beyond chance, the largest of which is `drift.value` of `predict`; the
accuracy by the labels; and the accuracy that `predict` estimates without them. It takes a minute or
two.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from support.measure import finish, make_parser, make_ready, show, table

from batchdigits.archive.classes import Classes
from batchdigits.archive.reference import Reference, Unseen
from batchdigits.monitoring.counts import DriftEvidence, count_predictions
from batchdigits.monitoring.drift import Drift, DriftMeter
from batchdigits.monitoring.evidence import Evidence
from batchdigits.monitoring.judge import ODD_SHARE
from batchdigits.monitoring.sample import RowSample
from batchdigits.packing.frameworks import prepare_frameworks
from batchdigits.training.calibration import fold_in
from batchdigits.training.cross_validation import cross_validate, fit_rows
from batchdigits.training.data import Labelled, load_tutorial_digits
from batchdigits.training.fit import Fitted
from batchdigits.training.options import TrainOptions
from batchdigits.training.settings import make_settings

HALF = 900
FOLDS = 5
MIXED_ROWS = 3_000
LABELS = Classes("int64", tuple(range(10)))
MIXES = {
    "no 9": [1] * 9 + [0],
    "0 twice as often": [2] + [1] * 9,
    "0 nine times as often": [9] + [1] * 9,
    "five classes": [1] * 5 + [0] * 5,
    "one class": [0, 1] + [0] * 8,
}

Pixels = NDArray[np.float64]
Places = NDArray[np.int64]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = make_parser(__doc__)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(argv)
    before = make_ready()
    prepare_frameworks()
    data = load_tutorial_digits()
    order = np.random.default_rng(arguments.seed).permutation(len(data.targets))
    figures = {}
    for name, rows in (("other writers", np.arange(len(order))), ("the same writers", order)):
        show(name)
        drifts = dict(_judge(data, rows[:HALF], rows[HALF:], arguments.seed))
        figures[name] = {kind: _figures(*one) for kind, one in drifts.items()}
        header = [name, "pixels", "classes", "confidence", "accuracy, %", "estimated, %"]
        print(table(header, [_line(kind, one) for kind, one in figures[name].items()]))
    finish(
        "drift",
        {"seed": arguments.seed, **figures},
        save=arguments.save,
        load_before=before,
        timed=False,
    )
    return 0


def _judge(
    data: Labelled, learnt: Places, seen: Places, seed: int
) -> Iterator[tuple[str, tuple[Drift, float]]]:
    """Yield the drift of each kind of rows, and the accuracy on them."""
    part = data.part(learnt)
    settings = make_settings(seed=seed)
    options = TrainOptions(folds=FOLDS)
    _, calibration, folds = cross_validate(part, settings, options, lambda _: None)
    if calibration is None or folds is None:
        raise RuntimeError("expected the default recipe to calibrate")
    fitted = fit_rows(data, learnt, settings, lambda _: None)
    fitted = fold_in(fitted, calibration.temperature)
    unseen = Unseen.measure(folds.probabilities, folds.targets)
    reference = Reference.measure(part.pixels, part.targets, len(LABELS), unseen)
    yield "the rows that it learnt from", _measure(reference, fitted, part.pixels, part.targets)
    targets = data.targets[seen]
    for kind, pixels in changed(data.pixels[seen], seed):
        yield kind, _measure(reference, fitted, pixels, targets)
    for kind, weights in MIXES.items():
        chance = np.array(weights, float)[targets]
        drawn = np.random.default_rng(seed).choice(seen, MIXED_ROWS, p=chance / chance.sum())
        yield kind, _measure(reference, fitted, data.pixels[drawn], data.targets[drawn])


def _measure(
    reference: Reference, fitted: Fitted, pixels: Pixels, targets: Places
) -> tuple[Drift, float]:
    probabilities = fitted.probabilities(pixels)
    best, confidence = (
        probabilities.argmax(axis=1),
        np.minimum(probabilities.max(axis=1), np.float32(1)),
    )
    evidence, sample = DriftEvidence(10), RowSample()
    evidence.add(count_predictions(best, confidence, 10))
    sample.add(pixels.astype(np.float32), np.arange(len(pixels)))
    meter = DriftMeter(reference, [str(n) for n in range(10)], ODD_SHARE)
    return meter.measure(evidence.counts(sample), Evidence()), float((best == targets).mean())


def changed(pixels: Pixels, seed: int) -> Iterator[tuple[str, Pixels]]:
    """Yield the digits (n, 64) unchanged and changed, each with the name of the change."""
    images, random = pixels.reshape(-1, 8, 8), np.random.default_rng(seed)
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    around = [padded[:, i : i + 8, j : j + 8] for i in range(3) for j in range(3)]
    cross = np.stack([around[1], around[3], around[4], around[5], around[7]])
    yield "as they stand", pixels
    yield "every pixel of ink one more, less or the same", _jitter(pixels, random)
    yield "15 % fainter", 0.85 * pixels
    yield "30 % fainter", 0.7 * pixels
    for share in (0.3, 0.5):
        yield f"thinner by {share}", _flat((1 - share) * images + share * cross.min(axis=0))
        yield f"thicker by {share}", _flat((1 - share) * images + share * cross.max(axis=0))
    yield "half a pixel to the right", _flat(0.5 * images + 0.5 * around[3])
    yield "a pixel to the right", _flat(around[3])
    yield "a pixel down", _flat(around[1])
    yield "blurred", _flat(np.mean(around, axis=0))
    yield "noise of 2", np.clip(pixels + random.normal(0, 2, pixels.shape), 0, 16)
    yield "black and white", np.where(pixels >= 8, 16.0, 0.0)
    yield "paper is 1", np.maximum(pixels, 1)
    yield "upside down", pixels[:, ::-1]
    yield "transposed", _flat(images.transpose(0, 2, 1))
    yield "inverted", 16 - pixels


def _jitter(pixels: Pixels, random: np.random.Generator) -> Pixels:
    moved = np.clip(pixels + random.integers(-1, 2, pixels.shape), 0, 16)
    return np.where(pixels > 0, moved, pixels)


def _flat(images: NDArray[np.float64]) -> Pixels:
    return images.reshape(-1, 64)


def _figures(drift: Drift, accuracy: float) -> dict[str, float | None]:
    facts = drift.facts or {}
    parts = {name: facts[name] for name in ("pixels", "classes", "confidence")}
    beyond = {
        name: max(0.0, part["distance"] ** 2 - part["by_chance"] ** 2) ** 0.5
        for name, part in parts.items()
    }
    return {**beyond, "accuracy": accuracy, "estimated_accuracy": drift.estimated_accuracy}


def _line(kind: str, figures: dict[str, float | None]) -> list[str]:
    *beyond, accuracy, estimated = [value or 0.0 for value in figures.values()]
    return [
        kind,
        *(f"{distance:.2f}" for distance in beyond),
        f"{accuracy:.1%}"[:-1],
        f"{estimated:.1%}"[:-1],
    ]


if __name__ == "__main__":
    sys.exit(main())
