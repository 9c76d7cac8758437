"""Measure what a shard costs, and what Spark costs, besides the rows.

    python benchmarks/many_machines.py [--rows 2000000] [--files 10000] [--pairs 5] [--no-spark]

A shard looks through all files of the folder before it takes its own: two folders are looked
through in turn, by a shard that takes no file of them; one of them has `--files` files. Spark's
rows mode scores a small and a large DataFrame in turn with predict on the same rows, each in a
process of its own, on all cores: the difference gives the rate, the rest is what starting costs.
It needs the extra spark and a Java.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from support.measure import (
    Usage,
    cores,
    finish,
    in_turn,
    make_data,
    make_parser,
    make_ready,
    run,
    score,
    spread,
    table,
)

SMALL = 20_000  # rows

SPARK = """
import sys
from pyspark.sql import SparkSession
from batchdigits import spark
source, target, slots = sys.argv[1:]
session = SparkSession.builder.master(f"local[{slots}]").config(
    "spark.sql.files.maxPartitionBytes", "16m"
).config("spark.ui.enabled", "false").getOrCreate()
spark.write(spark.score(session.read.parquet(source)), target, overwrite=True)
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = make_parser(__doc__, rows=2_000_000, pairs=5)
    parser.add_argument("--files", type=int, default=10_000, help="default: 10000")
    parser.add_argument("--no-spark", action="store_true", help="measure shards alone")
    arguments = parser.parse_args(argv)
    before = make_ready(arguments.wait)
    folder: Path = arguments.data_folder
    figures: dict[str, Any] = {"pairs": arguments.pairs, "shard": _shard(folder, arguments)}
    if not arguments.no_spark:
        figures["spark"] = _spark(folder, arguments)
    finish("many_machines", figures, save=arguments.save, load_before=before)
    return 0


def _shard(folder: Path, arguments: Any) -> dict[str, Any]:
    one, many = (_empty_files(folder / f"{files}-files", files) for files in (1, arguments.files))
    sides = {str(path): lambda path=path: _look(path) for path in (one, many)}
    runs = in_turn(arguments.pairs, sides)
    few, most = ([usage.seconds for usage in usages] for usages in runs.values())
    each = spread(1e6 * (b - a) / (arguments.files - 1) for a, b in zip(few, most, strict=True))
    rows = [["start of a shard", f"{spread(few).text()} s"], ["a file", f"{each.text(0)} µs"]]
    print(table(["looked through", "cost"], rows))
    return {"files": arguments.files, "start_seconds": spread(few), "us_a_file": each}


def _empty_files(folder: Path, files: int) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number in range(files):
        (folder / f"{number:06}.parquet").touch()
    return folder


def _look(folder: Path) -> Usage:
    """Time one of 999,999 shards, to which none of these names hashes."""
    shard = ["--shard", "0/999999", "--output", f"{folder}-scored/"]
    return run([sys.executable, "-m", "batchdigits.predict", str(folder), *shard])


def _spark(folder: Path, arguments: Any) -> dict[str, Any]:
    sizes = SMALL, arguments.rows
    sources = [make_data(folder, rows, "parquet") for rows in sizes]
    output = folder / "spark-scored"
    sides = {
        f"{name} {rows}": lambda source=source, how=how: how(source, output)
        for rows, source in zip(sizes, sources, strict=True)
        for name, how in (("spark", _spark_run), ("predict", _predict_run))
    }
    runs = in_turn(arguments.pairs, sides)
    result: dict[str, Any] = {"rows": list(sizes), "cores": cores()}
    lines = []
    for name in ("spark", "predict"):
        few, most = ([u.seconds for u in runs[f"{name} {rows}"]] for rows in sizes)
        rate = spread((sizes[1] - sizes[0]) / (b - a) for a, b in zip(few, most, strict=True))
        start = spread(a - sizes[0] / rate.median for a in few)
        result[name] = {"start_seconds": start, "rows_per_second": rate}
        lines.append([name, f"{start.text()} s", f"{rate.text(0)} rows/s"])
    print(table(["", "start", "then"], lines))
    return result


def _spark_run(source: Path, output: Path) -> Usage:
    shutil.rmtree(output, ignore_errors=True)
    return run([sys.executable, "-c", SPARK, str(source), str(output), str(cores())])


def _predict_run(source: Path, output: Path) -> Usage:
    shutil.rmtree(output, ignore_errors=True)
    return score(source, output / "scored.parquet")


if __name__ == "__main__":
    sys.exit(main())
