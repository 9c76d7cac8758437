"""The product compared with the bound from its bare parts, round by round."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from support.bare import Part, Run, engine, load_scored, score_here, steady
from support.measure import make_data, ratios, show, spread, table, target

NANO = 1e9
MILLION = 1e6


@dataclass(frozen=True, slots=True)
class Comparison:
    """Each round's figures: the product's steady state and each part's CPU time, in seconds a row.

    `alone` is a part in one thread with nothing else running, `busy` on all cores at once: they
    share caches, memory and, as hyper-threads, the units that compute.
    """

    product: list[Run]
    alone: dict[str, list[float]]
    busy: dict[str, list[float]]


def against_bound(
    arguments: argparse.Namespace,
    files: tuple[Path, Path],
    reading: Part,
    write: Callable[[list[pa.RecordBatch], Path], Part],
    *,
    output: Path,
    wanted: float,
) -> dict[str, Any]:
    """Compare scoring a large and a small file into `output` with its bare parts; print the table.

    `arguments` has the benchmark's folder, bundle, workers, rows of the large file and rounds; the
    small file has a tenth of the rows. Returns the figures for the JSON line.
    """
    _, small = files
    workers = arguments.workers
    folder = output.parent
    plain = make_data(folder, arguments.rows, "parquet")
    predictions = folder / "bare.parquet"
    score_here(plain, predictions, arguments.bundle)
    scored = load_scored(plain, predictions)
    parts = [
        reading,
        engine(arguments.bundle, scored.pixels),
        write(scored.columns, folder / f"bare{output.suffix}"),
    ]
    score_here(small, output, arguments.bundle)
    names = [part.name for part in parts]
    comparison = Comparison([], {name: [] for name in names}, {name: [] for name in names})
    for number in range(1, arguments.pairs + 1):
        show(f"round {number} of {arguments.pairs}")
        runs = (score_here(path, output, arguments.bundle, workers=workers) for path in files)
        comparison.product.append(steady(*runs, arguments.rows - arguments.rows // 10))
        for part in parts:
            comparison.alone[part.name].append(part.alone())
            comparison.busy[part.name].append(part.on_all_cores())
    figures = _print_comparison(comparison, parts, workers, wanted)
    return {"rows": arguments.rows, **figures}


def _bound(parts: dict[str, list[float]], workers: int) -> list[float]:
    """Return the seconds a row that the parts need, spread evenly over the workers."""
    return [sum(times) / workers for times in zip(*parts.values(), strict=True)]


def _print_comparison(
    comparison: Comparison, parts: Sequence[Part], workers: int, wanted: float
) -> dict[str, Any]:
    """Print the table, and return the figures for the JSON line."""
    bound, busy = _bound(comparison.alone, workers), _bound(comparison.busy, workers)
    seconds = [run.seconds for run in comparison.product]
    ratio, busy_ratio = ratios(bound, seconds), ratios(busy, seconds)
    lines = [
        [
            part.name,
            part.settings,
            spread(NANO * value for value in comparison.alone[part.name]).text(0),
            spread(NANO * value for value in comparison.busy[part.name]).text(0),
            "",
        ]
        for part in parts
    ]
    lines.append(
        [
            "bound",
            f"their sum over {workers} cores",
            spread(NANO * workers * value for value in bound).text(0),
            spread(NANO * workers * value for value in busy).text(0),
            spread(1 / MILLION / value for value in bound).text(3),
        ]
    )
    lines.append(
        [
            "batchdigits",
            f"{workers} workers, every check on",
            "",
            spread(NANO * run.cpu_seconds for run in comparison.product).text(0),
            spread(1 / MILLION / run.seconds for run in comparison.product).text(3),
        ]
    )
    header = ["", "", "CPU ns a row, alone", "on all cores", "million rows/s"]
    print(table(header, lines))
    print(f"\nrows/s over the bound: {ratio.text()}, wanted >= {wanted:g}")
    print(f"over the bound with all cores busy: {busy_ratio.text()}")
    return {
        "pairs": len(comparison.product),
        "workers": workers,
        "ratio": ratio,
        **target(ratio.median, wanted),
        "busy_ratio": busy_ratio,
        "rows_per_second": spread(1 / value for value in seconds),
        "bound_rows_per_second": spread(1 / value for value in bound),
        "cpu_ns_a_row": spread(NANO * run.cpu_seconds for run in comparison.product),
        "parts_cpu_ns_a_row": _nanoseconds(comparison.alone),
        "busy_parts_cpu_ns_a_row": _nanoseconds(comparison.busy),
        "settings": {part.name: part.settings for part in parts},
    }


def _nanoseconds(parts: dict[str, list[float]]) -> dict[str, Any]:
    return {name: spread(NANO * value for value in values) for name, values in parts.items()}
