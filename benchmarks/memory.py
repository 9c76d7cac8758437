"""Check that memory does not grow with the file.

    python benchmarks/memory.py [--rows 2000000] [--times 10]

Peak resident memory of the whole process at `rows` rows and at ten times as many, for Parquet and
CSV, and for a Parquet file whose rows are all in one row group. Memory hardly varies between runs,
so each file is scored once; --pairs scores it more often.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from support.measure import (
    finish,
    make_data,
    make_parser,
    make_ready,
    ratios,
    run,
    score,
    show,
    spread,
    table,
    target,
)

TARGET = 1.05
ABSOLUTE_TARGET_MB = 300
HUGE_GROUP_ROWS = 5_000_000

ONE_GROUP = """
import sys, pyarrow.parquet as pq
pq.write_table(pq.read_table(sys.argv[1]), sys.argv[2], row_group_size=int(sys.argv[3]))
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = make_parser(__doc__, rows=2_000_000, pairs=1)
    parser.add_argument("--times", type=int, default=10, help="how many times the larger is larger")
    parser.add_argument("--kinds", nargs="+", default=["parquet", "csv"])
    parser.add_argument("--no-huge-group", action="store_true", help="leave that file out")
    parser.add_argument("--keep-data", action="store_true", help="keep the large inputs")
    arguments = parser.parse_args(argv)
    before = make_ready(arguments.wait)
    folder: Path = arguments.data_folder
    large_rows = arguments.rows * arguments.times
    peaks: dict[str, list[float]] = {}
    growth = {}
    for kind in arguments.kinds:
        small = _peaks(folder, arguments.rows, kind, arguments.pairs, keep=True)
        large = _peaks(folder, large_rows, kind, arguments.pairs, keep=arguments.keep_data)
        peaks |= {f"{kind}, {arguments.rows:,} rows": small, f"{kind}, {large_rows:,} rows": large}
        growth[kind] = ratios(large, small)
    if not arguments.no_huge_group:
        rows = min(HUGE_GROUP_ROWS, large_rows)
        path = _one_group(folder, rows)
        peaks[f"parquet, {rows:,} rows in one row group"] = _scored(path, arguments.pairs)
        path.unlink()
    lines = [[name, spread(values).text(0)] for name, values in peaks.items()]
    print(table(["", "peak MB"], lines) + "\n")
    for kind, ratio in growth.items():
        print(f"{kind}, {arguments.times} times the rows: {ratio.text(3)}, wanted <= {TARGET:g}")
    highest = max(value for values in peaks.values() for value in values)
    print(f"highest of all: {highest:.0f} MB, wanted <= {ABSOLUTE_TARGET_MB}")
    figures = {
        "rows": arguments.rows,
        "times": arguments.times,
        "pairs": arguments.pairs,
        "growth": {
            kind: {"ratio": ratio, **target(ratio.median, TARGET, at_most=True)}
            for kind, ratio in growth.items()
        },
        "highest_mb": round(highest, 1),
        **target(highest, ABSOLUTE_TARGET_MB, at_most=True),
        "peak_mb": {name: spread(values) for name, values in peaks.items()},
    }
    finish("memory", figures, save=arguments.save, load_before=before)
    return 0


def _peaks(folder: Path, rows: int, kind: str, times: int, *, keep: bool) -> list[float]:
    source = make_data(folder, rows, kind)
    peaks = _scored(source, times)
    if not keep:
        source.unlink()
    return peaks


def _scored(source: Path, times: int) -> list[float]:
    show(f"scoring {source.name}")
    output = source.with_name(f"memory{source.suffix}")
    peaks = [score(source, output).peak_mb for _ in range(times)]
    output.unlink()
    return peaks


def _one_group(folder: Path, rows: int) -> Path:
    plain = make_data(folder, rows, "parquet")
    path = folder / f"digits-{rows}-one-group.parquet"
    run([sys.executable, "-c", ONE_GROUP, str(plain), str(path), str(rows)])
    return path


if __name__ == "__main__":
    sys.exit(main())
