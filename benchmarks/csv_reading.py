"""Measure how close scoring CSV comes to the hardware's limit, with every check on.

    python benchmarks/csv_reading.py [--rows 2000000] [--pairs 7]

As limit.py, with the rows as CSV: the reading part of the bound is `pyarrow.csv.read_csv` with the
columns' types given, at its best settings, which checks nothing and counts no lines. The
predictions are written as CSV, which is the default (`--output-kind parquet` for Parquet). polars
and DuckDB read the same file for comparison, each in an environment of its own.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from support.environments import add_folder_option, python_of
from support.measure import (
    PACKAGED_BUNDLE,
    SCRIPTS,
    cores,
    finish,
    make_data,
    make_parser,
    make_ready,
    run,
    show,
    spread,
    table,
)

TARGET = 1.1
READERS = ("polars", "duckdb")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = make_parser(__doc__, rows=2_000_000, pairs=7)
    parser.add_argument("--bundle", type=Path, default=PACKAGED_BUNDLE)
    parser.add_argument("--workers", type=int, default=cores())
    parser.add_argument("--output-kind", choices=("csv", "parquet"), default="csv")
    parser.add_argument("--no-readers", action="store_true", help="leave polars and DuckDB out")
    add_folder_option(parser)
    arguments = parser.parse_args(argv)
    before = make_ready(arguments.wait)
    folder: Path = arguments.data_folder
    large = make_data(folder, arguments.rows, "csv")
    small = make_data(folder, arguments.rows // 10, "csv")
    # polars and DuckDB first: they are processes of their own.
    readers = {} if arguments.no_readers else _readers(large, arguments.peers_folder)

    # Imported late, so that --help answers at once.
    from support.against import against_bound
    from support.bare import csv_reading, csv_writing, parquet_writing

    output = folder / f"csv-reading.{arguments.output_kind}"
    write = csv_writing if arguments.output_kind == "csv" else parquet_writing
    reading = csv_reading(large)
    figures = against_bound(arguments, (large, small), reading, write, output=output, wanted=TARGET)
    if readers:
        print("\n" + _table(readers))
    name = "csv_reading" if arguments.output_kind == "csv" else "csv_to_parquet"
    result = {**figures, "readers": readers}
    finish(name, result, save=arguments.save, load_before=before)
    return 0


def _readers(source: Path, folder: Path) -> dict[str, Any]:
    """Measure each reader on the same file, 3 rounds in turn: rows/s and CPU time a row."""
    python = python_of("readers", folder)
    if python is None:
        return dict.fromkeys(READERS, "won't install here")
    timings: dict[str, list[dict[str, float]]] = {name: [] for name in READERS}
    for _ in range(3):
        for name in READERS:
            show(f"{name} reads")
            usage = run([python, SCRIPTS / "read_csv.py", name, source])
            timings[name].append(json.loads(usage.output))
    return {
        name: {
            "rows_per_second": spread(run["rows"] / run["seconds"] for run in runs),
            "cpu_ns_a_row": spread(1e9 * run["cpu_seconds"] / run["rows"] for run in runs),
        }
        for name, runs in timings.items()
    }


def _table(readers: dict[str, Any]) -> str:
    lines = []
    for name, figures in readers.items():
        if isinstance(figures, str):
            lines.append([name, figures, ""])
            continue
        rate, cpu = figures["rows_per_second"], figures["cpu_ns_a_row"]
        millions = spread(value / 1e6 for value in (rate.median, rate.low, rate.high))
        lines.append([name, millions.text(3), cpu.text(0)])
    return table(["reading alone", "million rows/s", "CPU ns a row"], lines)


if __name__ == "__main__":
    sys.exit(main())
