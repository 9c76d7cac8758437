"""How much faster is `train` than the tutorial's script, for the same network?

    python benchmarks/training.py [--pairs 5]

One pair a seed: the tutorial's script as printed, then `python -m batchdigits.train --arch mlp`,
both on load_digits with the tutorial's split, both judged on its 540 test rows. `fit` is what the
two spend on training alone; `process` is from start to exit, in which both import TensorFlow and
`train` also compiles, proves and packs its bundle.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from measure import (
    SCRIPTS,
    Usage,
    finish,
    load,
    make_parser,
    ratios,
    run,
    spread,
    table,
    target,
)
from measure import in_turn_usage as in_turn

TARGET = 8.0
TUTORIAL, PRODUCT = "tutorial's script", "batchdigits.train"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = make_parser(__doc__)
    parser.add_argument(
        "--flags", default="", help="more flags for train, such as '--epochs 40', in one argument"
    )
    arguments = parser.parse_args(argv)
    before = load()
    folder: Path = arguments.data_folder
    folder.mkdir(parents=True, exist_ok=True)
    sides = {
        TUTORIAL: _counting(_tutorial),
        PRODUCT: _counting(lambda seed: _train(seed, folder, arguments.flags.split())),
    }
    found = in_turn(arguments.pairs, sides)
    rows = {name: [_facts(usage) for usage in usages] for name, usages in found.items()}
    fit = ratios(*([row["fit"] for row in rows[name]] for name in (TUTORIAL, PRODUCT)))
    process = ratios(*([row["process"] for row in rows[name]] for name in (TUTORIAL, PRODUCT)))
    lines = [
        [
            name,
            spread(row["fit"] for row in rows[name]).text(2),
            spread(row["process"] for row in rows[name]).text(1),
            spread(100 * row["accuracy"] for row in rows[name]).text(2),
            f"{_mean(rows[name]):.2f}",
        ]
        for name in (TUTORIAL, PRODUCT)
    ]
    lines.append(["times as fast", fit.text(1), process.text(1), "", ""])
    header = ["", "fit, s", "process, s", "accuracy, %", "mean, %"]
    print(table(header, lines))
    figures = {
        "pairs": arguments.pairs,
        "flags": arguments.flags,
        "fit_ratio": fit,
        "process_ratio": process,
        **target(fit.median, TARGET),
        "fit_seconds": {name: spread(row["fit"] for row in rows[name]) for name in rows},
        "process_seconds": {name: spread(row["process"] for row in rows[name]) for name in rows},
        "accuracy": {name: spread(row["accuracy"] for row in rows[name]) for name in rows},
        "mean_accuracy": {name: round(_mean(rows[name]) / 100, 5) for name in rows},
        "accuracy_no_worse": _mean(rows[PRODUCT]) >= _mean(rows[TUTORIAL]),
    }
    finish("training", figures, save=arguments.save, load_before=before)
    return 0


def _counting(side: Callable[[int], Usage]) -> Callable[[], Usage]:
    """The side with seed 0, 1, 2, …: one more each time it is called."""
    seeds = iter(range(1_000_000))
    return lambda: side(next(seeds))


def _tutorial(seed: int) -> Usage:
    return run([sys.executable, SCRIPTS / "tutorial_train.py", "--seed", str(seed)])


def _train(seed: int, folder: Path, flags: Sequence[str]) -> Usage:
    command = [sys.executable, "-m", "batchdigits.train", "--arch", "mlp", "--seed", str(seed)]
    return run([*command, "--output", str(folder / "trained.bundle"), "--overwrite", *flags])


def _facts(usage: Usage) -> dict[str, float]:
    told: dict[str, Any] = json.loads(usage.output.splitlines()[-1])
    return {
        "fit": float(told["fit_seconds"]),
        "process": usage.seconds,
        "accuracy": float(told["accuracy"]),
    }


def _mean(rows: Sequence[dict[str, float]]) -> float:
    return 100 * sum(row["accuracy"] for row in rows) / len(rows)


if __name__ == "__main__":
    sys.exit(main())
