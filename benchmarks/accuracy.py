"""How accurate are the networks, and is their confidence honest?

    python benchmarks/accuracy.py [--seeds 5] [--networks default mlp-small best] [--ten-fold]

All figures are of rows that the network had not seen. The blocks also chose the recipe, so
theirs are a little too good; the tutorial's test rows chose nothing.

- split: the tutorial's 540 test rows, once a seed, by what `train` publishes;
- blocks: errors of all 1,797 rows in five contiguous blocks, each predicted by a network trained on
  the other four. Writers sit together in the file, so a block holds people that the others hardly
  show;
- ten-fold: the part of all rows that is right in stratified ten-fold cross-validation, by seed 0
  alone (only with --ten-fold: it takes as long as ten seeds of the split);
- calibration error: expected calibration error over the rows of the blocks before the temperature,
  and with each block at the temperature fitted on the other four.

`train` is the seconds of all that `train` does besides imports: temperature, fit, judging,
compiling, packing; `fit` those of fitting alone, on the tutorial's 1,257 training rows.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from support.measure import finish, make_parser, make_ready, show, spread, table, target

from batchdigits.packing.frameworks import prepare_frameworks
from batchdigits.training.calibration import measure_reliability
from batchdigits.training.cross_validation import at_other_folds_temperature
from batchdigits.training.data import Labelled, load_tutorial_digits
from batchdigits.training.fit import fit
from batchdigits.training.job import TrainResult, train
from batchdigits.training.options import TrainOptions
from batchdigits.training.settings import Settings, make_settings
from batchdigits.training.split import split_folds

BLOCKS = 5
NETWORKS = {
    "default": ("mlp", "default"),
    "mlp-small": ("mlp-small", "default"),
    "best": ("best", "default"),
    "article": ("mlp", "article"),
    "mlp2": ("mlp2", "default"),
    "cnn": ("cnn", "default"),
}
LEAST_ON_SPLIT = 0.996
MOST_BLOCK_ERRORS = {"default": 22, "mlp-small": 28, "best": 17}
MOST_SECONDS = 15
MOST_CALIBRATION_ERROR = 0.01

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Seed:
    """What one seed gave: parts of 1, errors of all rows, seconds."""

    on_split: float
    fit_seconds: float
    train_seconds: float
    block_errors: int
    error_before: float
    error_after: float


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = make_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="default: 5")
    parser.add_argument(
        "--networks", nargs="+", choices=NETWORKS, default=["default", "mlp-small", "best"]
    )
    parser.add_argument("--ten-fold", action="store_true", help="ten-fold cross-validation as well")
    arguments = parser.parse_args(argv)
    before = make_ready()
    prepare_frameworks()
    data = load_tutorial_digits()
    lines, figures = [], {}
    for name in arguments.networks:
        found = [_judge(data, name, seed) for seed in range(arguments.seeds)]
        folds = _ten_fold(data, name) if arguments.ten_fold else None
        lines.append(_line(name, found, folds))
        figures[name] = _figures(name, found, folds)
    header = ["", "split, mean %", "split, %", "block errors, mean", "block errors"]
    header += ["calibration error, %: before", "after", "ten-fold, %", "fit, s", "train, s"]
    print(table(header, lines))
    result = {"seeds": arguments.seeds, "networks": figures}
    finish("accuracy", result, save=arguments.save, load_before=before)
    return 0


def _judge(data: Labelled, name: str, seed: int) -> Seed:
    show(f"{name}, seed {seed}")
    result = _train(name, seed)
    found, block = _in_parts(data, _blocks(len(data.targets)), _settings(name, seed))
    after = at_other_folds_temperature(found, data.targets, block)
    judged = Seed(
        result.trained.scores.accuracy,
        result.trained.fitted.seconds,
        result.seconds,
        int((found.argmax(axis=1) != data.targets).sum()),
        measure_reliability(found, data.targets).calibration_error,
        measure_reliability(after, data.targets).calibration_error,
    )
    show(f"  {judged}")
    return judged


def _train(name: str, seed: int) -> TrainResult:
    """What `train` does by default, with its frameworks already imported."""
    arch, recipe = NETWORKS[name]
    settings = {"arch": arch, "recipe": recipe, "seed": seed}
    with tempfile.TemporaryDirectory() as folder:
        output = str(Path(folder, f"{name}.bundle"))
        return train(TrainOptions(settings=settings, output=output))


def _ten_fold(data: Labelled, name: str) -> float:
    show(f"{name}, ten-fold")
    found, _ = _in_parts(data, split_folds(data, 10, 0), _settings(name, 0))
    return float((found.argmax(axis=1) == data.targets).mean())


def _settings(name: str, seed: int) -> Settings:
    arch, recipe = NETWORKS[name]
    return make_settings(arch=arch, recipe=recipe, seed=seed)


def _blocks(rows: int) -> Iterator[tuple[Rows, Rows]]:
    """Train and held-out rows of each contiguous block."""
    numbers = np.arange(rows)
    for held in np.array_split(numbers, BLOCKS):
        yield np.setdiff1d(numbers, held), held


def _in_parts(
    data: Labelled, parts: Iterator[tuple[Rows, Rows]], settings: Settings
) -> tuple[NDArray[np.float32], Rows]:
    """Probabilities (n, k) of each row by the network that had not seen it, and which that was."""
    found = np.zeros((len(data.targets), data.classes), np.float32)
    part = np.zeros(len(data.targets), np.int64)
    for number, (known, held) in enumerate(parts):
        fitted = fit(data.pixels[known], data.targets[known], data.classes, settings)
        found[held] = fitted.probabilities(data.pixels[held])
        part[held] = number
    return found, part


def _line(name: str, found: Sequence[Seed], folds: float | None) -> list[str]:
    return [
        name,
        f"{100 * np.mean([one.on_split for one in found]):.2f}",
        spread(100 * one.on_split for one in found).text(2),
        f"{np.mean([one.block_errors for one in found]):.1f}",
        spread(one.block_errors for one in found).text(0),
        spread(100 * one.error_before for one in found).text(2),
        spread(100 * one.error_after for one in found).text(2),
        "not run" if folds is None else f"{100 * folds:.2f}",
        spread(one.fit_seconds for one in found).text(1),
        spread(one.train_seconds for one in found).text(1),
    ]


def _figures(name: str, found: Sequence[Seed], folds: float | None) -> dict[str, object]:
    errors = float(np.mean([one.block_errors for one in found]))
    on_split = float(np.mean([one.on_split for one in found]))
    after = spread(one.error_after for one in found)
    seconds = spread(one.train_seconds for one in found)
    figures: dict[str, object] = {
        "split_mean": round(on_split, 5),
        "split": spread(one.on_split for one in found),
        "block_errors_mean": errors,
        "block_errors": spread(float(one.block_errors) for one in found),
        "calibration_error_before": spread(one.error_before for one in found),
        "calibration_error_after": after,
        "ten_fold": folds,
        "fit_seconds": spread(one.fit_seconds for one in found),
        "train_seconds": seconds,
    }
    if name in MOST_BLOCK_ERRORS:
        figures["block_errors_target"] = target(errors, MOST_BLOCK_ERRORS[name], at_most=True)
        figures["calibration_target"] = target(after.high, MOST_CALIBRATION_ERROR, at_most=True)
    if name == "default":
        figures["split_target"] = target(on_split, LEAST_ON_SPLIT)
        figures["seconds_target"] = target(seconds.median, MOST_SECONDS, at_most=True)
    return figures


if __name__ == "__main__":
    sys.exit(main())
