"""Measure what the safety checks cost.

    python benchmarks/checks.py [--rows 1000000] [--pairs 5]

The same file is scored in turn with every check and with none (support/unchecked.py), in one
process that has imported everything; as Parquet and as CSV. It needs a quiet machine.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from support.measure import (
    PACKAGED_BUNDLE,
    Spread,
    finish,
    in_turn,
    make_data,
    make_parser,
    make_ready,
    ratios,
    spread,
    table,
)

KINDS = ("parquet", "csv")
SIDES = ("checked", "unchecked")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    arguments = make_parser(__doc__, rows=1_000_000).parse_args(argv)
    before = make_ready(arguments.wait)
    figures = {
        kind: _compare(arguments.data_folder, kind, arguments.rows, arguments.pairs)
        for kind in KINDS
    }
    lines = [
        [f"{kind}, {side}", figures[kind][side].text(), figures[kind][f"{side}, CPU"].text(0)]
        for kind in KINDS
        for side in SIDES
    ]
    print(table(["", "million rows/s", "CPU ns a row"], lines) + "\n")
    for kind in KINDS:
        print(f"{kind}, rows/s checked over unchecked: {figures[kind]['ratio'].text()}")
    result = {"rows": arguments.rows, "pairs": arguments.pairs, **figures}
    finish("checks", result, save=arguments.save, load_before=before)
    return 0


def _compare(folder: Path, kind: str, rows: int, pairs: int) -> dict[str, Spread]:
    """Return rows per second and CPU time for both sides, and their ratios."""
    # Imported late, so that --help answers at once.
    from support.bare import Run, score_here
    from support.unchecked import unchecked

    source, output = make_data(folder, rows, kind), folder / f"checks.{kind}"

    def checked() -> Run:
        return score_here(source, output, PACKAGED_BUNDLE)

    def bare() -> Run:
        with unchecked():
            return checked()

    checked()  # fills the caches
    runs = in_turn(pairs, dict(zip(SIDES, (checked, bare), strict=True)))
    seconds = [[run.seconds for run in runs[side]] for side in SIDES]
    cpu = [[run.cpu_seconds for run in runs[side]] for side in SIDES]
    figures = {"ratio": ratios(*reversed(seconds)), "cpu_ratio": ratios(*reversed(cpu))}
    for side, by_clock, by_cpu in zip(SIDES, seconds, cpu, strict=True):
        figures[side] = spread(rows / value / 1e6 for value in by_clock)
        figures[f"{side}, CPU"] = spread(1e9 * value / rows for value in by_cpu)
    return figures


if __name__ == "__main__":
    sys.exit(main())
