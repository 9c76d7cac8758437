"""Measure what a file costs in addition to its rows.

    python benchmarks/small_files.py [--files 1000] [--pairs 5]

Whole processes run in turn: a folder of files of 1,000 rows each, and one file with as many rows.
Each file has a lock, counts, a receipt and a commit of its own; it is on the disk before the next
is committed.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from support.measure import (
    Usage,
    finish,
    in_turn,
    make_data,
    make_parser,
    make_ready,
    run,
    score,
    spread,
    table,
    target,
)

ROWS = 1000
TARGET_MS = 6


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = make_parser(__doc__, pairs=5)
    parser.add_argument("--files", type=int, default=1000, help="default: 1000")
    arguments = parser.parse_args(argv)
    before = make_ready(arguments.wait)
    folder: Path = arguments.data_folder
    one_file = make_data(folder, ROWS * arguments.files, "parquet")
    many = _copies(make_data(folder, ROWS, "parquet"), folder / "small-files", arguments.files)
    output = folder / "small-files-scored"
    sides = {
        f"{arguments.files} files": lambda: _score(many, output),
        "one file": lambda: score(one_file, folder / "small-files.parquet"),
    }
    runs = in_turn(arguments.pairs, sides)
    seconds = {name: [usage.seconds for usage in usages] for name, usages in runs.items()}
    extra = spread(
        1000 * (several - single) / (arguments.files - 1)
        for several, single in zip(*seconds.values(), strict=True)
    )
    print(table(["", "seconds"], [[name, spread(v).text()] for name, v in seconds.items()]))
    print(f"\nmilliseconds a file besides its rows: {extra.text(1)}, wanted <= {TARGET_MS}")
    figures = {
        "files": arguments.files,
        "rows_a_file": ROWS,
        "pairs": arguments.pairs,
        "seconds": {name: spread(values) for name, values in seconds.items()},
        "ms_a_file": extra,
        **target(extra.median, TARGET_MS, at_most=True),
    }
    finish("small_files", figures, save=arguments.save, load_before=before)
    return 0


def _copies(source: Path, folder: Path, count: int) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for number in range(count):
        shutil.copy(source, folder / f"{number:05}.parquet")
    return folder


def _score(folder: Path, output: Path) -> Usage:
    shutil.rmtree(output, ignore_errors=True)
    return run([sys.executable, "-m", "batchdigits.predict", str(folder), "--output", f"{output}/"])


if __name__ == "__main__":
    sys.exit(main())
