"""Measure gzip-compressed CSV against `zcat` alone, which only decompresses.

    python benchmarks/gzip_csv.py [--rows 2000000] [--pairs 7]

In steady state (the time for a large file minus that for one with a tenth of its rows): the product
scores in a process that has imported everything, and `zcat` writes to /dev/null. gzip can't be
decompressed by two threads, so this bounds every reader. The product may decompress faster than
`zcat` does.
"""

from __future__ import annotations

import gzip
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from support.measure import (
    PACKAGED_BUNDLE,
    finish,
    in_turn,
    make_data,
    make_parser,
    make_ready,
    ratios,
    show,
    spread,
    table,
    target,
)

TARGET = 1.0
ZCAT = shutil.which("zcat") or "zcat"
LEVEL = 6
"""The default of gzip."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    arguments = make_parser(__doc__, rows=2_000_000, pairs=7).parse_args(argv)
    folder: Path = arguments.data_folder
    large, small = (_compressed(folder, rows) for rows in (arguments.rows, arguments.rows // 10))
    rows = arguments.rows - arguments.rows // 10
    before = make_ready(arguments.wait)

    # Imported late, so that --help answers at once.
    from support.bare import score_here, steady

    output = folder / "gzip-csv.parquet"
    score_here(small, output, PACKAGED_BUNDLE)

    def product() -> float:
        runs = (score_here(path, output, PACKAGED_BUNDLE) for path in (large, small))
        return steady(*runs, rows).seconds

    def zcat() -> float:
        return (_zcat(large) - _zcat(small)) / rows

    times = in_turn(arguments.pairs, {"batchdigits": product, "zcat": zcat})
    faster = ratios(times["zcat"], times["batchdigits"])
    lines = [[name, spread(1e-6 / v for v in values).text(3)] for name, values in times.items()]
    print(table(["", "million rows/s"], lines))
    print(f"\nscoring over zcat alone: {faster.text()}, wanted >= {TARGET:g}")
    figures = {
        "rows": arguments.rows,
        "pairs": arguments.pairs,
        "ratio": faster,
        **target(faster.median, TARGET),
        "rows_per_second": {name: spread(1 / v for v in values) for name, values in times.items()},
    }
    finish("gzip_csv", figures, save=arguments.save, load_before=before)
    return 0


def _compressed(folder: Path, rows: int) -> Path:
    plain = make_data(folder, rows, "csv")
    path = plain.with_name(f"{plain.name}.gz")
    if not path.exists():
        show(f"making {path}")
        made = path.with_name(f"making-{path.name}")
        with plain.open("rb") as source, gzip.open(made, "wb", LEVEL) as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
        made.rename(path)
    return path


def _zcat(path: Path) -> float:
    started = time.perf_counter()
    subprocess.run([ZCAT, path], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
