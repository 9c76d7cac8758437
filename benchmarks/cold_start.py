"""Measure the time from nothing to done, for a small file and for --help.

    python benchmarks/cold_start.py [--pairs 15]

Whole processes run in turn: predict on the 1,797 rows of sample_data against the imports that every
scoring needs, and `--help` against bare Python with argparse. A Keras script written by hand scores
the same rows for comparison.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from support.measure import (
    PACKAGED_BUNDLE,
    SAMPLE,
    SCRIPTS,
    Usage,
    finish,
    in_turn,
    make_parser,
    make_ready,
    ratios,
    run,
    score,
    show,
    spread,
    table,
    target,
    unpack_bundle,
)

TARGET = 1.25
HELP_TARGET = 1.5
IMPORTS = "import numpy, pyarrow.parquet, onnxruntime"
ARGPARSE = "import argparse"
SCRIPT_ROUNDS = 3


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = make_parser(__doc__, pairs=15)
    parser.add_argument("--no-script", action="store_true", help="leave the Keras script out")
    arguments = parser.parse_args(argv)
    before = make_ready(arguments.wait)
    folder: Path = arguments.data_folder
    folder.mkdir(parents=True, exist_ok=True)
    sides = {
        "predict, 1,797 rows": lambda: score(SAMPLE, folder / "cold.parquet"),
        "imports alone": lambda: _python("-c", IMPORTS),
        "predict --help": lambda: _python("-m", "batchdigits.predict", "--help"),
        "argparse alone": lambda: _python("-c", ARGPARSE),
        "a usage error": lambda: _python("-c", _USAGE_ERROR),
    }
    runs = in_turn(arguments.pairs, sides)
    if not arguments.no_script:
        runs["Keras script, 1,797 rows"] = _script(folder)
    seconds = {name: [usage.seconds for usage in usages] for name, usages in runs.items()}
    cold = ratios(seconds["predict, 1,797 rows"], seconds["imports alone"])
    help_ = ratios(seconds["predict --help"], seconds["argparse alone"])
    lines = [
        [
            name,
            spread(1000 * usage.seconds for usage in usages).text(0),
            spread(usage.peak_mb for usage in usages).text(0),
        ]
        for name, usages in runs.items()
    ]
    print(table(["", "ms", "peak MB"], lines))
    print(f"\npredict over its imports: {cold.text()}, wanted <= {TARGET:g}")
    print(f"--help over argparse: {help_.text()}, wanted <= {HELP_TARGET:g}")
    figures = {
        "pairs": arguments.pairs,
        "ratio": cold,
        **target(cold.median, TARGET, at_most=True),
        "help_ratio": help_,
        "help": target(help_.median, HELP_TARGET, at_most=True),
        "seconds": {name: spread(values) for name, values in seconds.items()},
        "peak_mb": {name: spread(u.peak_mb for u in usages) for name, usages in runs.items()},
    }
    finish("cold_start", figures, save=arguments.save, load_before=before)
    return 0


# A usage error ends with 2, which would look like a failed benchmark.
_USAGE_ERROR = "from batchdigits.predict import main; assert main(['--workers', '-1', 'x']) == 2"


def _python(*arguments: str) -> Usage:
    return run([sys.executable, *arguments])


def _script(folder: Path) -> list[Usage]:
    model = unpack_bundle(PACKAGED_BUNDLE, folder)
    sample = _sample_of_script(folder)
    command = [SCRIPTS / "keras_script.py", sample, folder / "script.parquet", model]
    runs = []
    for number in range(1, SCRIPT_ROUNDS + 1):
        show(f"Keras script, {number} of {SCRIPT_ROUNDS}")
        runs.append(run([sys.executable, *command]))
    return runs


def _sample_of_script(folder: Path) -> Path:
    """Make rows with data.py, because the script expects the names of its columns."""
    from support.measure import make_data

    return make_data(folder, 1797, "parquet")


if __name__ == "__main__":
    sys.exit(main())
