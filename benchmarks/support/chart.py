"""The chart of the page: two groups of bars side by side, hand-written SVG."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any

Result = dict[str, Any]

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


def draw(results: dict[str, Result]) -> str:
    """Draw both groups next to each other as an SVG, from the saved figures by benchmark."""
    rates, starts = _rate_bars(results), _start_bars(results)
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
