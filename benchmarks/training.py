"""Compare `train` with the tutorial's script, for the same network.

    python benchmarks/training.py [--pairs 5]

Each seed is one round: the tutorial's script as printed; `python -m batchdigits.train --arch mlp`
with few changed copies of each digit and no calibration, which is already more accurate than the
tutorial; `train` with its defaults, for the last half percent and an honest confidence; and `train
--arch best`. All learn from load_digits with the tutorial's split and are judged on its 540 test
rows. `fit` is the time of training alone, and `process` from start to exit: all import TensorFlow,
and `train` also compiles, proves and packs its bundle. `besides imports` is the time of that whole
process less that of a process of the same round which only imports what `train` imports.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from support.measure import (
    SCRIPTS,
    Spread,
    Usage,
    finish,
    in_turn,
    make_parser,
    make_ready,
    ratios,
    run,
    spread,
    table,
    target,
)

TARGET = 10.0
TUTORIAL, QUICK, DEFAULT = "tutorial's script", "batchdigits.train, quick", "batchdigits.train"
BEST = "batchdigits.train, best"
MOST_SECONDS = {DEFAULT: 8, BEST: 30}
IMPORTS = """
import batchdigits.train, sklearn.datasets
from batchdigits.packing.frameworks import prepare_frameworks
prepare_frameworks()
"""
QUICK_FLAGS = ("--copies", "10", "--calibration-folds", "0")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    arguments = make_parser(__doc__).parse_args(argv)
    before = make_ready(arguments.wait)
    folder: Path = arguments.data_folder
    folder.mkdir(parents=True, exist_ok=True)
    sides = {
        TUTORIAL: _counting(_tutorial),
        QUICK: _counting(lambda seed: _train(seed, folder, QUICK_FLAGS)),
        DEFAULT: _counting(lambda seed: _train(seed, folder)),
        BEST: _counting(lambda seed: _train(seed, folder, arch="best")),
    }
    only_imports = "imports"
    sides[only_imports] = lambda: run([sys.executable, "-c", IMPORTS])
    usages_of = in_turn(arguments.pairs, sides)
    imports = [usage.seconds for usage in usages_of.pop(only_imports)]
    rows = {
        name: [_facts(*both) for both in zip(usages, imports, strict=True)]
        for name, usages in usages_of.items()
    }
    faster = {
        name: {
            what: ratios([row[what] for row in rows[TUTORIAL]], [row[what] for row in rows[name]])
            for what in ("fit", "process")
        }
        for name in (QUICK, DEFAULT, BEST)
    }
    lines = []
    for name, runs in rows.items():
        spreads = [spread(row[what] for row in runs).text(1) for what in ("fit", "process")]
        times = (
            [faster[name][what].text(1) for what in ("fit", "process")] if name in faster else []
        )
        accuracy = spread(100 * row["accuracy"] for row in runs).text(2)
        job = spread(row["job"] for row in runs).text(1)
        lines.append([name, *spreads, job, *(times or ["", ""]), accuracy, f"{_mean(runs):.2f}"])
    header = [
        "",
        "fit, s",
        "process, s",
        "besides imports, s",
        "fit, times as fast",
        "process",
        "accuracy, %",
        "mean, %",
    ]
    print(table(header, lines))
    figures = {
        "pairs": arguments.pairs,
        "quick_flags": " ".join(QUICK_FLAGS),
        "quick": {**_sides(faster[QUICK]), **target(faster[QUICK]["fit"].median, TARGET)},
        "default": {**_sides(faster[DEFAULT]), **target(faster[DEFAULT]["fit"].median, TARGET)},
        "job_seconds": {
            name: {
                "ratio": spread(row["job"] for row in rows[name]),
                **target(spread(row["job"] for row in rows[name]).median, most, at_most=True),
            }
            for name, most in MOST_SECONDS.items()
        },
        "fit_seconds": {name: spread(row["fit"] for row in rows[name]) for name in rows},
        "process_seconds": {name: spread(row["process"] for row in rows[name]) for name in rows},
        "accuracy": {name: spread(row["accuracy"] for row in rows[name]) for name in rows},
        "mean_accuracy": {name: round(_mean(rows[name]) / 100, 5) for name in rows},
        "accuracy_no_worse": all(_mean(rows[name]) >= _mean(rows[TUTORIAL]) for name in faster),
    }
    finish("training", figures, save=arguments.save, load_before=before)
    return 0


def _sides(faster: dict[str, Spread]) -> dict[str, Spread]:
    return {"ratio": faster["fit"], "process_ratio": faster["process"]}


def _counting(side: Callable[[int], Usage]) -> Callable[[], Usage]:
    """Return the side with seed 0, 1, 2, …: one more each time it is called."""
    seeds = iter(range(1_000_000))
    return lambda: side(next(seeds))


def _tutorial(seed: int) -> Usage:
    return run([sys.executable, SCRIPTS / "tutorial_train.py", "--seed", str(seed)])


def _train(seed: int, folder: Path, flags: Sequence[str] = (), arch: str = "mlp") -> Usage:
    command = [sys.executable, "-m", "batchdigits.train", "--arch", arch, "--seed", str(seed)]
    return run([*command, "--output", str(folder / "trained.bundle"), "--overwrite", *flags])


def _facts(usage: Usage, imports: float) -> dict[str, float]:
    summary: dict[str, Any] = json.loads(usage.output.splitlines()[-1])
    return {
        "fit": float(summary["fit_seconds"]),
        "job": usage.seconds - imports,
        "process": usage.seconds,
        "accuracy": float(summary["accuracy"]),
    }


def _mean(rows: Sequence[dict[str, float]]) -> float:
    return 100 * sum(row["accuracy"] for row in rows) / len(rows)


if __name__ == "__main__":
    sys.exit(main())
