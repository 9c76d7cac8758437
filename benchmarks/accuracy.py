"""Measure how accurate the networks are, and how honest their confidence is.

    python benchmarks/accuracy.py [--seeds 5] [--networks default mlp-small best] [--ten-fold]

All figures are for rows that the network had not seen. The blocks were also used to choose the
recipe, so their figures are slightly too good; the tutorial's test rows were not used for any
choice.

- split: the tutorial's 540 test rows, once a seed, scored by the network that `train` publishes;
- blocks: errors on all 1,797 rows in five contiguous blocks, each predicted by a network trained on
  the other four. The file is ordered by writer, so a block holds people whom the others hardly
  contain;
- ten-fold: the share of all rows that is right in stratified ten-fold cross-validation, for seed 0
  only (with --ten-fold, because it takes as long as ten seeds of the split);
- calibration error: the expected calibration error over the rows of the blocks, before the
  temperature, and with each block at the temperature fitted on the other four;
- by chance: the calibration error that as many rows show when the confidence is exactly right,
  since some bins are lucky: labels are drawn 200 times by the probabilities at the temperature
  (Bröcker and Smith, "Increasing the reliability of reliability diagrams", 2007). The means over
  the seeds of the mean draw, and of the one that 95 % of the draws don't exceed.

No time is measured here, so it may run on a busy machine: `training.py` measures times.
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
MOST_BLOCK_ERRORS = {"default": 20, "mlp-small": 24, "best": 15}
MOST_CALIBRATION_ERROR = 0.006
DRAWS = 200

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Seed:
    """The results for one seed: shares of 1, and errors among all rows."""

    on_split: float
    block_errors: int
    error_before: float
    error_after: float
    by_chance: float
    by_chance_95: float


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = make_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="default: 5")
    parser.add_argument(
        "--networks", nargs="+", choices=NETWORKS, default=["default", "mlp-small", "best"]
    )
    parser.add_argument("--ten-fold", action="store_true", help="ten-fold cross-validation as well")
    arguments = parser.parse_args(argv)
    before = make_ready(0)
    prepare_frameworks()
    data = load_tutorial_digits()
    lines, figures = [], {}
    for name in arguments.networks:
        seeds = [_judge(data, name, seed) for seed in range(arguments.seeds)]
        folds = _ten_fold(data, name) if arguments.ten_fold else None
        lines.append(_line(name, seeds, folds))
        figures[name] = _figures(name, seeds, folds)
    header = ["", "split, mean %", "split, %", "block errors, mean", "block errors"]
    header += ["calibration error, %: before", "after", "by chance", "ten-fold, %"]
    print(table(header, lines))
    result = {"seeds": arguments.seeds, "networks": figures}
    finish("accuracy", result, save=arguments.save, load_before=before, timed=False)
    return 0


def _judge(data: Labelled, name: str, seed: int) -> Seed:
    show(f"{name}, seed {seed}")
    result = _train(name, seed)
    probabilities, block = _in_parts(data, _blocks(len(data.targets)), _settings(name, seed))
    after = at_other_folds_temperature(probabilities, data.targets, block)
    judged = Seed(
        result.contents.scores.accuracy,
        int((probabilities.argmax(axis=1) != data.targets).sum()),
        measure_reliability(probabilities, data.targets).calibration_error,
        measure_reliability(after, data.targets).calibration_error,
        *_by_chance(after, seed),
    )
    show(f"  {judged}")
    return judged


def _train(name: str, seed: int) -> TrainResult:
    """Run `train` with its defaults; its frameworks are already imported."""
    arch, recipe = NETWORKS[name]
    settings = {"arch": arch, "recipe": recipe, "seed": seed}
    with tempfile.TemporaryDirectory() as folder:
        output = str(Path(folder, f"{name}.bundle"))
        return train(TrainOptions(settings=settings, output=output))


def _ten_fold(data: Labelled, name: str) -> float:
    show(f"{name}, ten-fold")
    probabilities, _ = _in_parts(data, split_folds(data, 10, 0), _settings(name, 0))
    return float((probabilities.argmax(axis=1) == data.targets).mean())


def _settings(name: str, seed: int) -> Settings:
    arch, recipe = NETWORKS[name]
    return make_settings(arch=arch, recipe=recipe, seed=seed)


def _blocks(rows: int) -> Iterator[tuple[Rows, Rows]]:
    """Yield the training rows and the held-out rows of each contiguous block."""
    numbers = np.arange(rows)
    for held in np.array_split(numbers, BLOCKS):
        yield np.setdiff1d(numbers, held), held


def _in_parts(
    data: Labelled, parts: Iterator[tuple[Rows, Rows]], settings: Settings
) -> tuple[NDArray[np.float32], Rows]:
    """Return each row's probabilities (n, k) by the network that had not seen it, and its part."""
    probabilities = np.zeros((len(data.targets), data.classes), np.float32)
    part = np.zeros(len(data.targets), np.int64)
    for number, (known, held) in enumerate(parts):
        fitted = fit(data.pixels[known], data.targets[known], data.classes, settings)
        probabilities[held] = fitted.probabilities(data.pixels[held])
        part[held] = number
    return probabilities, part


def _by_chance(probabilities: NDArray[np.float64], seed: int) -> tuple[float, float]:
    """Return the mean and the 95th percentile of calibration errors under drawn labels."""
    generator = np.random.default_rng(seed)
    likeliest, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    errors = []
    for _ in range(DRAWS):
        wrong = generator.random(len(confidence)) >= confidence
        labels = (likeliest + wrong) % probabilities.shape[1]  # which other label does not matter
        errors.append(measure_reliability(probabilities, labels).calibration_error)
    return float(np.mean(errors)), float(np.quantile(errors, 0.95))


def _line(name: str, seeds: Sequence[Seed], folds: float | None) -> list[str]:
    chance, chance_95 = _chances(seeds)
    return [
        name,
        f"{100 * np.mean([seed.on_split for seed in seeds]):.2f}",
        spread(100 * seed.on_split for seed in seeds).text(2),
        f"{np.mean([seed.block_errors for seed in seeds]):.1f}",
        spread(seed.block_errors for seed in seeds).text(0),
        spread(100 * seed.error_before for seed in seeds).text(2),
        spread(100 * seed.error_after for seed in seeds).text(2),
        f"{100 * chance:.2f}, 95 % below {100 * chance_95:.2f}",
        "not run" if folds is None else f"{100 * folds:.2f}",
    ]


def _chances(seeds: Sequence[Seed]) -> tuple[float, float]:
    mean = np.mean([seed.by_chance for seed in seeds])
    return float(mean), float(np.mean([seed.by_chance_95 for seed in seeds]))


def _figures(name: str, seeds: Sequence[Seed], folds: float | None) -> dict[str, object]:
    errors = float(np.mean([seed.block_errors for seed in seeds]))
    on_split = float(np.mean([seed.on_split for seed in seeds]))
    after = spread(seed.error_after for seed in seeds)
    chance, chance_95 = _chances(seeds)
    figures: dict[str, object] = {
        "split_mean": round(on_split, 5),
        "split": spread(seed.on_split for seed in seeds),
        "block_errors_mean": errors,
        "block_errors": spread(float(seed.block_errors) for seed in seeds),
        "calibration_error_before": spread(seed.error_before for seed in seeds),
        "calibration_error_after": after,
        "calibration_error_by_chance": chance,
        "calibration_error_by_chance_95": chance_95,
        "ten_fold": folds,
    }
    if name in MOST_BLOCK_ERRORS:
        figures["block_errors_target"] = target(errors, MOST_BLOCK_ERRORS[name], at_most=True)
        figures["calibration_target"] = target(after.high, MOST_CALIBRATION_ERROR, at_most=True)
    if name == "default":
        figures["split_target"] = target(on_split, LEAST_ON_SPLIT)
    return figures


if __name__ == "__main__":
    sys.exit(main())
