"""Work out what a billion rows cost, from the figures that other benchmarks saved.

    python benchmarks/scaling.py

It fills the tables of docs/scaling.md from results/ (limit, csv_reading, cold_start, small_files,
many_machines). Every line names the figures that it comes from. Where many_machines was not saved
yet, or without Spark, its tables say so.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from support.measure import ROOT, fill, load_results, table

PAGE = ROOT / "docs" / "scaling.md"
BILLION = 1e9
HOUR = 3600
NEEDED = ("limit", "csv_reading", "cold_start", "small_files")
MANY = "many_machines"
BYTES_A_ROW = {"Parquet": 36.6, "CSV": 168.3}
"""Of the files that data.py makes: 64 pixels, an id and a form."""

START_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Costs:
    """The measured costs, in seconds and bytes a row."""

    name: str
    cpu: float
    rate: float
    workers: int
    bytes: float

    @property
    def rate_a_core(self) -> float:
        """Rows per second that one core scores when all are busy."""
        return self.rate / self.workers


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args(argv)
    results = load_results()
    missing = [name for name in NEEDED if name not in results]
    if missing:
        raise SystemExit(f"no figures of {', '.join(missing)}: run them with --save")
    fill(PAGE, parts(results))
    return 0


def parts(results: dict[str, Any]) -> dict[str, str]:
    """Return the generated parts of the page by their marks."""
    return {
        "cost": _cost(results),
        "limits": _limits(results),
        "shards": _shards(results),
        "spark": _spark(results),
        "from": _source(results),
    }


def _costs(results: dict[str, Any]) -> list[Costs]:
    costs = []
    for name, kind in (("limit", "Parquet"), ("csv_reading", "CSV")):
        figures = results[name]
        costs.append(
            Costs(
                kind,
                figures["cpu_ns_a_row"]["median"] / 1e9,
                figures["rows_per_second"]["median"],
                figures["workers"],
                BYTES_A_ROW[kind],
            )
        )
    return costs


def _cost(results: dict[str, Any]) -> str:
    parquet, csv = _costs(results)
    start = results["cold_start"]["seconds"]["predict, 1,797 rows"]["median"]
    cluster = 100

    def line(what: str, value: Any, source: str) -> list[str]:
        return [what, value(parquet), value(csv), source]

    lines = [
        line("CPU time a row", lambda c: f"{1e9 * c.cpu:,.0f} ns", "`limit`, `csv_reading`"),
        line("CPU time", lambda c: f"{BILLION * c.cpu / HOUR:.2f} core hours", "the line above"),
        line(
            "one core",
            lambda c: f"{BILLION / c.rate_a_core / 60:.0f} min",
            "rows/s of all workers over their number",
        ),
        line(
            f"this machine ({parquet.workers} cores)",
            lambda c: f"{BILLION / c.rate / 60:.0f} min",
            "`limit`, `csv_reading`",
        ),
        line(
            f"a cluster of {cluster} such cores",
            lambda c: f"{BILLION / c.rate_a_core / cluster + start:.0f} s",
            "one core over their number, and one start",
        ),
        line(
            "data to read",
            lambda c: f"{BILLION * c.bytes / 1e9:.0f} GB",
            "size of `data.py`'s files",
        ),
    ]
    return table(["a billion rows", "Parquet", "CSV", "from"], lines)


def _limits(results: dict[str, Any]) -> str:
    parquet, csv = _costs(results)
    parts = results["limit"]["parts_cpu_ns_a_row"]
    serial = parts["reading"]["median"] / 1e9
    start = results["cold_start"]["seconds"]["predict, 1,797 rows"]["median"]
    a_file = results["small_files"]["ms_a_file"]["median"] / 1000
    rows_of = [seconds / START_SHARE / parquet.cpu for seconds in (start, a_file)]
    per_process = 1 / serial
    one_thread = (
        f"a process can't pass {per_process / 1e6:.1f} million rows/s, as many as "
        f"{per_process / parquet.rate_a_core:.1f} workers score: start more, on other files"
    )
    speeds = [cost.rate_a_core * cost.bytes for cost in (parquet, csv)]
    storage = (
        f"a core reads {speeds[0] / 1e6:.0f} MB/s of Parquet, {speeds[1] / 1e6:.0f} MB/s of CSV: "
        f"1 GB/s feeds {1e9 / speeds[0]:.0f} cores, or {1e9 / speeds[1]:.0f}"
    )
    task = f"{start:.2f} s: under 5 % of a task from {rows_of[0] / 1e6:.1f} million rows on"
    small = f"{1000 * a_file:.0f} ms: under 5 % of a file from {rows_of[1] / 1e6:.2f} million on"
    lines = [
        ["one thread reads", one_thread, "reading in `limit`"],
        ["storage", storage, "rows/s a core, bytes a row"],
        ["start-up of a task", task, "`cold_start`"],
        ["small files", small, "`small_files`"],
    ]
    return table(["limit", "where", "from"], lines)


def _shards(results: dict[str, Any]) -> str:
    """What sharing out a billion rows costs: every shard starts, and looks through all files."""
    if MANY not in results:
        return f"Not measured yet: `python benchmarks/{MANY}.py --save`."
    shard = results[MANY]["shard"]
    start, each = shard["start_seconds"]["median"], shard["us_a_file"]["median"] / 1e6
    parquet, _ = _costs(results)
    lines = []
    for shards, files in ((16, 1_000), (64, 1_000), (64, 100_000)):
        overhead = start + files * each
        work = BILLION / parquet.rate / shards
        lines.append(
            [
                f"{shards} shards of {files:,} files",
                f"{overhead:.1f} s",
                f"{work:.0f} s",
                f"{100 * overhead / (overhead + work):.1f} %",
            ]
        )
    header = ["a billion rows in", "start, and looking through", "its rows", "share of a shard"]
    return table(header, lines)


def _spark(results: dict[str, Any]) -> str:
    """From how many rows on Spark is done before one machine, by the number of its machines."""
    if "spark" not in results.get(MANY, {}):
        return f"Not measured yet: `python benchmarks/{MANY}.py --save`, with the extra spark."
    spark, predict = (results[MANY]["spark"][name] for name in ("spark", "predict"))
    starts = [side["start_seconds"]["median"] for side in (spark, predict)]
    rates = [side["rows_per_second"]["median"] for side in (spark, predict)]
    lines = []
    for machines in (1, 2, 4, 10, 100):
        seconds = starts[0] + BILLION / (machines * rates[0])
        gained = 1 / rates[1] - 1 / (machines * rates[0])
        pays = f"{(starts[0] - starts[1]) / gained / 1e6:,.1f} million" if gained > 0 else "never"
        lines.append([f"Spark on {machines}", f"{seconds / 60:.1f} min", pays])
    alone = starts[1] + BILLION / rates[1]
    lines.insert(0, ["predict on one", f"{alone / 60:.1f} min", ""])
    return table(["machines like this one", "a billion rows", "pays from, rows"], lines)


def _source(results: dict[str, Any]) -> str:
    used = {name: results[name] for name in (*NEEDED, MANY) if name in results}
    machines = sorted({figures["machine"] for figures in used.values()})
    dates = sorted({figures["date"] for figures in used.values()})
    return f"Measured on {'; '.join(machines)}; {' and '.join(dates)}."


if __name__ == "__main__":
    sys.exit(main())
