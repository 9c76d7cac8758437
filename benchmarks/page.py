"""Redraw chart.svg and the tables of README.md from the figures in results/.

    python benchmarks/page.py

Every benchmark that is run with --save leaves its JSON line in results/. A figure that is missing
is shown as not measured: nothing is filled in by hand.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from support.measure import fill, load_results, table

HERE = Path(__file__).parent
README = HERE / "README.md"
CHART = HERE / "chart.svg"

Result = dict[str, Any]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args(argv)
    results = load_results()
    CHART.write_text(draw(_rate_bars(results), _start_bars(results)))
    fill(README, {"targets": targets(results)})
    return 0


def targets(results: dict[str, Result]) -> str:
    """Return one line for each target: the figure, the target, the machine and the date."""
    lines = [
        [question, *_measured(results.get(name), pick), f"`{name}`"]
        for question, name, pick in _QUESTIONS
    ]
    header = ["question", "median (lowest to highest)", "wanted", "met", "load", "date", "figures"]
    places = sorted({result["machine"] for result in results.values()})
    return table(header, lines) + "\n\nMeasured on: " + "; ".join(places or ["nothing yet"]) + "."


Pick = Callable[[Result], tuple[str, str, bool]]


def _measured(result: Result | None, pick: Pick) -> list[str]:
    if result is None:
        return ["not measured", "", "", "", ""]
    try:
        value, wanted, met = pick(result)
    except KeyError as missing:
        why = result.get("missing", {}).get(missing.args[0], "not measured")
        return [why, "", "", "", ""]
    return [value, wanted, "yes" if met else "no", str(result["load_before"]), result["date"]]


def _spread(values: dict[str, float], digits: int = 2) -> str:
    low, high = values["low"], values["high"]
    return f"{values['median']:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def _ratio(*path: str, digits: int = 2) -> Pick:
    """Pick the ratio, its target and its verdict, which are together under `path`."""

    def pick(result: Result) -> tuple[str, str, bool]:
        part: Any = result
        for key in path:
            part = part[key]
        return _spread(part["ratio"], digits), part["target"], part["met"]

    return pick


def _help(result: Result) -> tuple[str, str, bool]:
    return _spread(result["help_ratio"]), result["help"]["target"], result["help"]["met"]


def _busy(result: Result) -> tuple[str, str, bool]:
    wanted = float(result["target"].removeprefix(">= "))
    return _spread(result["busy_ratio"]), result["target"], result["busy_ratio"]["median"] >= wanted


def _highest(result: Result) -> tuple[str, str, bool]:
    return f"{result['highest_mb']:.0f} MB", f"{result['target']} MB", result["met"]


def _accuracy(result: Result) -> tuple[str, str, bool]:
    theirs, *ours = (f"{100 * mean:.2f} %" for mean in result["mean_accuracy"].values())
    return f"{', '.join(ours)} against {theirs}", "no worse", result["accuracy_no_worse"]


def _files(result: Result) -> tuple[str, str, bool]:
    return f"{_spread(result['ms_a_file'], 1)} ms", f"{result['target']} ms", result["met"]


def _seconds(name: str) -> Pick:
    def pick(result: Result) -> tuple[str, str, bool]:
        part = result["job_seconds"][name]
        return f"{_spread(part['ratio'], 1)} s", f"{part['target']} s", part["met"]

    return pick


def _errors(name: str) -> Pick:
    def pick(result: Result) -> tuple[str, str, bool]:
        part = result["networks"][name]
        wanted = part["block_errors_target"]
        low, high = part["block_errors"]["low"], part["block_errors"]["high"]
        mean = part["block_errors_mean"]
        return f"{mean:.1f} ({low:.0f} to {high:.0f})", wanted["target"], wanted["met"]

    return pick


def _calibration(name: str) -> Pick:
    def pick(result: Result) -> tuple[str, str, bool]:
        part = result["networks"][name]
        shares = {key: 100 * value for key, value in part["calibration_error_after"].items()}
        most = float(part["calibration_target"]["target"].removeprefix("<= "))
        return f"{_spread(shares)} %", f"<= {100 * most:g} %", part["calibration_target"]["met"]

    return pick


def _share(*path: str) -> Pick:
    """Pick a share of 1, its target and its verdict, which are together under `path`."""

    def pick(result: Result) -> tuple[str, str, bool]:
        part: Any = result
        for key in path:
            part = part[key]
        value = part["value"] if "value" in part else part["kept"] / part["of"]
        comparison, wanted = part["target"].split()
        return f"{value:.1%}", f"{comparison} {float(wanted):.0%}", part["met"]

    return pick


def _difference(result: Result) -> tuple[str, str, bool]:
    equal = result["worst"] <= 1e-4 and not result["labels_differ"]
    return f"{result['worst']:.1e}", "<= 1e-4", equal


_QUESTIONS: list[tuple[str, str, Pick]] = [
    (
        "end to end, times as fast as the script at batch 8,192",
        "end_to_end",
        _ratio("compared", "batchdigits over script, batch 8192", digits=1),
    ),
    (
        "end to end, times as fast as the script at Keras' batch",
        "end_to_end",
        _ratio("compared", "batchdigits over script, Keras' batch", digits=1),
    ),
    (
        "the small network, times as fast as the script at batch 8,192 with the tutorial's",
        "end_to_end",
        _ratio("compared", "batchdigits, small network over script, batch 8192", digits=1),
    ),
    (
        "end to end, times as fast as the expert's thirty lines",
        "expert",
        _ratio("faster", "batchdigits"),
    ),
    (
        "the small network, times as fast as the expert's thirty lines with the tutorial's",
        "expert",
        _ratio("faster", "batchdigits, small network"),
    ),
    (
        "end to end, times as fast as the fastest of the tools below",
        "peers",
        _ratio("faster", "the fastest of them", digits=1),
    ),
    *(
        (f"times as fast as {peer}", "peers", _ratio("faster", peer, digits=1))
        for peer in (
            "MLflow pyfunc",
            "Ray Data map_batches",
            "Spark mapInArrow",
            "scikit-learn pipeline",
            "polars, an ONNX call a batch",
            "DuckDB, an ONNX call a batch",
            "KServe model server",
            "Triton Inference Server",
        )
    ),
    (
        "engine, default network over a dense layer of 500",
        "engine",
        _ratio("faster", "the default network"),
    ),
    (
        "engine, small network over a dense layer of 500",
        "engine",
        _ratio("faster", "the small network"),
    ),
    (
        "engine fed rows of float32, default network over a dense layer of 500",
        "engine",
        _ratio("faster_in_rows", "the default network"),
    ),
    (
        "engine fed rows of float32, small network over a dense layer of 500",
        "engine",
        _ratio("faster_in_rows", "the small network"),
    ),
    ("Parquet, rows/s over the bound of the bare parts", "limit", _ratio()),
    ("Parquet, over the bound of the parts on all cores at once", "limit", _busy),
    ("Parquet with one list column, the same", "limit_lists", _ratio()),
    ("CSV, rows/s over the bound of the bare parts", "csv_reading", _ratio()),
    ("CSV, over the bound of the parts on all cores at once", "csv_reading", _busy),
    ("CSV to Parquet, the same", "csv_to_parquet", _ratio()),
    ("gzip CSV, rows/s over zcat alone", "gzip_csv", _ratio()),
    (
        "CSV from and to S3 over local files, the server on the same cores",
        "object_storage_csv",
        _ratio(),
    ),
    ("cold start, 1,797 rows, over the imports alone", "cold_start", _ratio()),
    ("--help over argparse alone", "cold_start", _help),
    ("a file of 1,000 rows among 1,000 files, besides its rows", "small_files", _files),
    ("peak memory, 20 over 2 million rows, Parquet", "memory", _ratio("growth", "parquet")),
    ("peak memory, 20 over 2 million rows, CSV", "memory", _ratio("growth", "csv")),
    ("highest peak memory", "memory", _highest),
    ("two workers over one, Parquet", "cores", _ratio("parquet")),
    ("two workers over one, CSV", "cores", _ratio("csv")),
    ("training, quick, `fit` times as fast as the tutorial's", "training", _ratio("quick")),
    ("training, by default, the same", "training", _ratio("default")),
    ("training, accuracy on the 540 test rows, means", "training", _accuracy),
    ("training, by default, besides imports", "training", _seconds("batchdigits.train")),
    ("training, best, besides imports", "training", _seconds("batchdigits.train, best")),
    (
        "errors in five blocks by writer, default, mean of five seeds",
        "accuracy",
        _errors("default"),
    ),
    ("the same, small network", "accuracy", _errors("mlp-small")),
    ("the same, best", "accuracy", _errors("best")),
    ("calibration error, default, the worst of five seeds", "accuracy", _calibration("default")),
    ("calibration error, small network", "accuracy", _calibration("mlp-small")),
    ("calibration error, best", "accuracy", _calibration("best")),
    ("promise of 0.5 % errors, kept in random halves", "review", _share("kept", "halves")),
    ("the same, in draws with replacement", "review", _share("kept", "draws")),
    ("digits that ink or strangeness sends to review", "review", _share("found", "false_alarm")),
    ("no digit, least part sent to review", "review", _share("found", "least_of_promised")),
    ("letters sent to review", "review", _share("found", "letters")),
    (
        "rows/s with rules, decision and drift over without",
        "review",
        _ratio("price", "rules, decision, drift"),
    ),
    ("rows/s with strangeness too over without", "review", _ratio("price", "and strangeness")),
    ("22 imported models, largest difference of a probability", "importing", _difference),
]

# The chart: two groups of bars side by side, hand-written SVG.

WIDTH, LEFT, BAR, GAP, TOP = 470, 175, 22, 8, 54
FONT = "font-family='system-ui, sans-serif'"
OURS, THEIRS, INK, PAPER = "#1a7f5a", "#9aa5b1", "#1f2933", "#ffffff"

Bars = list[tuple[str, float]]


def _rate_bars(results: dict[str, Result]) -> Bars:
    """Return million rows per second of whole processes, the product first."""
    rates: dict[str, float] = {}
    for name in ("peers", "end_to_end"):
        measured = results.get(name, {}).get("rows_per_second", {})
        rates |= {side: rate["median"] / 1e6 for side, rate in measured.items()}
    return _ordered(rates, largest_first=True)


def _start_bars(results: dict[str, Result]) -> Bars:
    """Return the seconds from start to exit for 1,797 rows, the product first."""
    seconds = dict(results.get("peers", {}).get("start_seconds", {}))
    script = results.get("cold_start", {}).get("seconds", {}).get("Keras script, 1,797 rows")
    if script is not None:
        seconds["Keras script"] = script
    medians = {side: spread["median"] for side, spread in seconds.items()}
    return _ordered(medians, largest_first=False)


def _ordered(values: dict[str, float], *, largest_first: bool) -> Bars:
    return sorted(values.items(), key=lambda item: item[1], reverse=largest_first)


def draw(rates: Bars, starts: Bars) -> str:
    """Draw both groups next to each other as an SVG."""
    height = TOP + (BAR + GAP) * max(len(rates), len(starts), 1) + 12
    parts = [
        *_group(0, "Million rows a second, start to exit, Parquet to Parquet", rates, "{:.3f}"),
        *_group(WIDTH, "Seconds from start to exit, 1,797 rows", starts, "{:.2f}"),
    ]
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {2 * WIDTH} {height}' "
        f"width='{2 * WIDTH}' height='{height}' role='img' aria-label='Throughput and start-up of "
        "batchdigits and of what people use instead'>\n"
        f"<rect width='100%' height='100%' fill='{PAPER}'/>\n" + "\n".join(parts) + "\n</svg>\n"
    )


def _group(x: int, title: str, bars: Bars, number: str) -> Iterable[str]:
    yield _text(x + 16, 28, title, weight="600")
    largest = max((value for _, value in bars), default=1.0)
    room = WIDTH - LEFT - 90
    for place, (name, value) in enumerate(bars):
        y = TOP + place * (BAR + GAP)
        color = OURS if name.startswith("batchdigits") else THEIRS
        width = max(2.0, room * value / largest)
        yield _text(x + LEFT - 8, y + 15, name, anchor="end")
        yield (
            f"<rect x='{x + LEFT}' y='{y}' width='{width:.1f}' height='{BAR}' rx='3' "
            f"fill='{color}'/>"
        )
        yield _text(x + LEFT + width + 6, y + 15, number.format(value))


def _text(x: float, y: float, text: str, *, anchor: str = "start", weight: str = "400") -> str:
    return (
        f"<text x='{x:.1f}' y='{y}' font-size='12' font-weight='{weight}' {FONT} fill='{INK}' "
        f"text-anchor='{anchor}'>{escape(text)}</text>"
    )


if __name__ == "__main__":
    sys.exit(main())
