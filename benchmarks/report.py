"""Measure the page of a night: its size, its time from receipts, and what --report costs predict.

python benchmarks/report.py [--rows 20000000] [--pairs 5]
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from support.measure import (
    Usage,
    finish,
    in_turn,
    make_data,
    make_parser,
    make_ready,
    ratios,
    run,
    score,
    spread,
    table,
    target,
)

MOST_BYTES = 250_000


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    arguments = make_parser(__doc__, rows=20_000_000).parse_args(argv)
    before = make_ready(arguments.wait)
    folder = arguments.data_folder
    source, output = make_data(folder, arguments.rows, "parquet"), folder / "reported.parquet"
    page = folder / "report.html"

    def predict(*flags: str) -> Usage:
        return score(source, output, *flags)

    sides = {"plain": predict, "with a page": lambda: predict("--report", str(page))}
    runs = in_turn(arguments.pairs, sides)
    command = [sys.executable, "-m", "batchdigits.report", folder / "reported.receipt.json"]
    times = [run([*command, "--output", page]).seconds for _ in range(arguments.pairs)]
    cost = ratios(*([usage.seconds for usage in runs[side]] for side in reversed(sides)))
    seconds, size = spread(times), page.stat().st_size
    lines = [
        ["predict with a page over without", cost.text()],
        ["seconds from receipts, whole process", seconds.text()],
        ["bytes", f"{size:,}"],
    ]
    print(table(["", ""], lines))
    figures = {
        "rows": arguments.rows,
        "cost": cost,
        "cost_target": target(cost.median, 1.03, at_most=True),
        "seconds": seconds,
        "seconds_target": target(seconds.median, 1.0, at_most=True),
        "bytes": size,
        "bytes_target": target(size, MOST_BYTES, at_most=True),
    }
    finish("report", figures, save=arguments.save, load_before=before)
    return 0


if __name__ == "__main__":
    sys.exit(main())
