"""The product against the bound from its bare parts, round by round, and the table of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bare import Part, Run, steady
from measure import ratios, show, spread, table, target

NANO = 1e9
MILLION = 1e6


@dataclass(frozen=True, slots=True)
class Comparison:
    """Round by round: the product's steady state, and each part's CPU time, in seconds a row."""

    product: list[Run]
    parts: dict[str, list[float]]

    def bound(self, workers: int) -> list[float]:
        """Seconds a row that the parts alone need, spread evenly over the workers."""
        return [sum(times) / workers for times in zip(*self.parts.values(), strict=True)]


def compare(
    product: Callable[[Path], Run],
    files: tuple[Path, Path],
    rows: int,
    parts: Sequence[Part],
    rounds: int,
) -> Comparison:
    """`rounds` times: the product on a large and a small file (`rows` apart), then every part."""
    large, small = files
    found = Comparison([], {part.name: [] for part in parts})
    for number in range(1, rounds + 1):
        show(f"round {number} of {rounds}")
        found.product.append(steady(product(large), product(small), rows))
        for part in parts:
            found.parts[part.name].append(part.measure())
    return found


def print_comparison(
    found: Comparison, parts: Sequence[Part], workers: int, wanted: float
) -> dict[str, Any]:
    """Print the table; the figures for the JSON line."""
    bound = found.bound(workers)
    ratio = ratios(bound, [run.seconds for run in found.product])
    cpu = ratios([workers * value for value in bound], [run.cpu_seconds for run in found.product])
    lines = [
        [part.name, part.settings, spread(NANO * s for s in found.parts[part.name]).text(0), ""]
        for part in parts
    ]
    lines.append(
        [
            "bound",
            f"their sum over {workers} cores",
            spread(NANO * workers * value for value in bound).text(0),
            spread(1 / MILLION / value for value in bound).text(3),
        ]
    )
    lines.append(
        [
            "batchdigits",
            f"{workers} workers, every check on",
            spread(NANO * run.cpu_seconds for run in found.product).text(0),
            spread(1 / MILLION / run.seconds for run in found.product).text(3),
        ]
    )
    print(table(["", "", "CPU ns a row", "million rows/s"], lines))
    print(f"\nrows/s over the bound: {ratio.text()}, wanted >= {wanted:g}")
    print(f"CPU time of the bare parts over all of the product's: {cpu.text()}")
    return {
        "pairs": len(found.product),
        "workers": workers,
        "ratio": ratio,
        **target(ratio.median, wanted),
        "cpu_ratio": cpu,
        "rows_per_second": spread(1 / run.seconds for run in found.product),
        "bound_rows_per_second": spread(1 / value for value in bound),
        "cpu_ns_a_row": spread(NANO * run.cpu_seconds for run in found.product),
        "parts_cpu_ns_a_row": {
            name: spread(NANO * value for value in values) for name, values in found.parts.items()
        },
        "settings": {part.name: part.settings for part in parts},
    }
