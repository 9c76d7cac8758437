"""Measure what a second core gains.

    python benchmarks/cores.py [--rows 2000000] [--pairs 7]

Rows per second in steady state (the time for a large file minus that for one with a tenth of its
rows, in a process that has imported everything), with one worker and with one for each core.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from support.measure import (
    PACKAGED_BUNDLE,
    cores,
    finish,
    in_turn,
    make_data,
    make_parser,
    make_ready,
    ratios,
    spread,
    table,
    target,
)

TARGET_A_CORE = 0.925


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = make_parser(__doc__, rows=2_000_000, pairs=7)
    parser.add_argument("--kinds", nargs="+", default=["parquet", "csv"])
    arguments = parser.parse_args(argv)
    before = make_ready(arguments.wait)
    figures = {
        kind: _compare(arguments.data_folder, arguments.rows, kind, arguments.pairs)
        for kind in arguments.kinds
    }
    result = {"rows": arguments.rows, "pairs": arguments.pairs, "workers": cores(), **figures}
    finish("cores", result, save=arguments.save, load_before=before)
    return 0


def _compare(folder: Path, rows: int, kind: str, pairs: int) -> dict[str, object]:
    from support import bare

    large, small = make_data(folder, rows, kind), make_data(folder, rows // 10, kind)
    output = folder / f"cores.{kind}"
    bare.score_here(small, output, PACKAGED_BUNDLE)

    def rate(workers: int) -> float:
        long = bare.score_here(large, output, PACKAGED_BUNDLE, workers=workers)
        short = bare.score_here(small, output, PACKAGED_BUNDLE, workers=workers)
        return 1 / bare.steady(long, short, rows - rows // 10).seconds

    every = cores()
    rates = in_turn(pairs, {f"{every} workers": lambda: rate(every), "1 worker": lambda: rate(1)})
    many, single = rates.values()
    gain = ratios(many, single)
    lines = [
        [f"{kind}, {name}", spread(v / 1e6 for v in values).text(3)]
        for name, values in rates.items()
    ]
    print(table(["", "million rows/s"], lines))
    wanted = TARGET_A_CORE * every
    print(f"\n{kind}: {every} workers over 1: {gain.text()}, wanted >= {wanted:g}\n")
    return {
        "ratio": gain,
        **target(gain.median, wanted),
        "rows_per_second": {name: spread(values) for name, values in rates.items()},
    }


if __name__ == "__main__":
    sys.exit(main())
