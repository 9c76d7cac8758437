"""A run of predict as text, for people at a terminal."""

from __future__ import annotations

from batchdigits.scoring.one_input import InputResult
from batchdigits.scoring.run import RunSummary
from batchdigits.text import count_of, listing, printable, table

SHOWN_INPUTS = 20

_COUNTED = ("rows_in", "rows_predicted", "rows_rejected", "rows_to_review")
_HEADER = ("STATUS", "ROWS", "PREDICTED", "REJECTED", "REVIEW", "INPUT", "OUTPUT")


def format_run(summary: RunSummary) -> str:
    """Format the inputs, those with an exit code first, the totals, the speed and the exit code."""
    results = sorted(summary.inputs, key=lambda result: result.exit_code == 0)
    lines = [_HEADER, *map(_line, results[:SHOWN_INPUTS])]
    left = len(results) - SHOWN_INPUTS
    if left > 0:
        lines.append(("", "", "", "", "", f"… and {left} more", ""))
    if len(results) > 1:
        lines.append(("total", *_counts(summary), count_of(len(results), "input"), ""))
    bundle = summary.bundle
    made = f"by {bundle['name']}@{bundle['version']}, " if bundle else ""
    speed = f"{summary.rows_per_second:,.0f} rows/s" if summary.rows_per_second else "no row scored"
    text = f"{table(lines)}\n{made}{summary.seconds:.1f} s, {speed}; exit code {summary.exit_code}"
    if summary.suspect_inputs:
        names = listing(map(printable, summary.suspect_inputs))
        text += f"\npublished, but together they look wrong: {names}"
    if summary.inputs_without_decision:
        older = count_of(summary.inputs_without_decision, "unchanged input")
        text += f"\n{older} without a decision: an older version wrote the predictions"
    return text


def _line(result: InputResult) -> tuple[str, ...]:
    counts = ("", "", "", "") if result.status in ("refused", "ready") else _counts(result)
    return (result.status, *counts, result.input, result.output or "")


def _counts(counts: InputResult | RunSummary) -> tuple[str, ...]:
    values = (getattr(counts, name) for name in _COUNTED)
    return tuple("-" if value is None else f"{value:,}" for value in values)
