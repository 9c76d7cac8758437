"""An evaluation as text: the figures, then tables with their columns aligned to the right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple
from typing import Any

from batchdigits.evaluation.confusion import share_interval
from batchdigits.evaluation.files import SHOWN_CONFUSIONS, Evaluation
from batchdigits.text import count_of, listing, printable, table

WIDEST_CELL = 40

FIGURES = (
    ("balanced accuracy", "balanced_accuracy", "{:.4f}"),
    ("macro F1", "macro_f1", "{:.4f}"),
    ("Cohen's kappa", "cohen_kappa", "{:.4f}"),
    ("Matthews correlation", "matthews", "{:.4f}"),
    ("log loss", "log_loss", "{:.4f}"),
    ("Brier score", "brier_score", "{:.4f}"),
    ("expected calibration error", "calibration_error", "{:.2%}"),
    ("mean confidence", "mean_confidence", "{:.2%}"),
    ("  of right rows", "mean_confidence_right", "{:.2%}"),
    ("  of wrong rows", "mean_confidence_wrong", "{:.2%}"),
)


def format_evaluation(evaluation: Evaluation, keep_groups: int) -> str:
    """Return the evaluation as text, with at most `keep_groups` groups."""
    parts = [
        _head(evaluation),
        _figures(evaluation),
        table(evaluation.matrix.score_lines(), right=True),
        _titled("rows: true class, columns: predicted class", evaluation.matrix.matrix_lines()),
        _confused(evaluation),
        _reliability(evaluation),
        _coverage(evaluation),
        _decisions(evaluation),
        _groups(evaluation, keep_groups),
    ]
    return "\n\n".join(part for part in parts if part)


def _head(evaluation: Evaluation) -> str:
    total, inputs = evaluation.total, evaluation.inputs
    bundle = f"{evaluation.bundle['name']}@{evaluation.bundle['version']}"
    where = printable(inputs[0].name) if len(inputs) == 1 else f"{len(inputs)} inputs"
    lines = [f"{bundle} on {total.labelled:,} labelled rows of {where}"]
    if total.counts.rows_rejected:
        reasons = listing(f"{n:,} {reason}" for reason, n in total.counts.reasons.items())
        lines.append(f"{count_of(total.counts.rows_rejected, 'row')} rejected: {reasons}")
    if total.unlabelled:
        lines.append(f"{count_of(total.unlabelled, 'row')} without a label, not counted")
    if total.unknown:
        labels = count_of(total.unknown, "label")
        lines.append(f"{labels} not among the classes of the bundle, counted as wrong")
    lines += [f"{printable(tally.name)}: {tally.suspicion}" for tally in inputs if tally.suspicion]
    lines += [
        f"{printable(tally.name)}: the bundle was trained on this very file: expect more errors on "
        "new rows"
        for tally in inputs
        if tally.trained_on
    ]
    return "\n".join(lines)


def _figures(evaluation: Evaluation) -> str:
    total, facts = evaluation.total, evaluation.as_facts(0)
    low, high = share_interval(total.right, total.labelled) or (0.0, 1.0)
    figures = [
        ("accuracy", f"{total.accuracy or 0.0:.2%}"),
        ("  95 % interval", f"{low:.2%} to {high:.2%}"),
        ("errors", f"{total.labelled - total.right:,}"),
    ]
    figures += [
        (name, style.format(facts[key])) for name, key, style in FIGURES if facts[key] is not None
    ]
    return table(figures)


def _confused(evaluation: Evaluation) -> str:
    pairs = evaluation.matrix.most_confused(SHOWN_CONFUSIONS)
    lines = [[str(pair.label), str(pair.prediction), f"{pair.rows:,}"] for pair in pairs]
    return _titled("most confused", [["true", "predicted", "rows"], *lines])


def _reliability(evaluation: Evaluation) -> str:
    header = ["above", "up to", "rows", "mean confidence", "accuracy"]
    styles = (".3f", ".3f", ",", ".4f", ".4f")
    lines = [list(map(format, astuple(each), styles)) for each in evaluation.confidence.bins()]
    return _titled("rows by confidence", [header, *lines])


def _coverage(evaluation: Evaluation) -> str:
    header = ["at least", "accepted", "errors", "error"]
    lines = [
        [
            f"{accepted.confidence:g}",
            f"{accepted.coverage:.2%}",
            f"{accepted.errors:,}",
            "-" if accepted.error is None else f"{accepted.error:.3%}",
        ]
        for accepted in evaluation.confidence.curve()
    ]
    return _titled("rows accepted by a threshold of the confidence", [header, *lines])


def _decisions(evaluation: Evaluation) -> str:
    counts = evaluation.decisions
    if counts is None:
        return ""
    to_review = listing(f"{rows:,} {cause}" for cause, rows in counts.causes.items()) or "none"
    by = "ink" if counts.review_below is None else f"below {counts.review_below:g}"
    text = (
        f"review {by}: {counts.accepted:,} of {counts.rows:,} rows "
        f"accepted, {counts.errors:,} of them wrong"
    )
    if counts.interval is not None:
        low, high = counts.interval
        share = counts.errors / counts.accepted
        text += f": {share:.3%}, 95 % interval {low:.3%} to {high:.3%}"
    if counts.max_error is not None:
        text += f"; the bundle promises at most {counts.max_error:.3%}"
    return f"{text}\nto review: {to_review}"


def _groups(evaluation: Evaluation, keep: int) -> str:
    header = [*evaluation.by, "rows", "errors", "accuracy", "95 % interval", "mean confidence"]
    lines = [
        [
            *(_cell(value) for value in group.values),
            f"{group.rows:,}",
            f"{group.errors:,}",
            f"{group.accuracy:.2%}",
            f"{group.interval[0]:.2%} to {group.interval[1]:.2%}",
            f"{group.confidence:.2%}",
        ]
        for group in evaluation.groups[:keep]
    ]
    left = len(evaluation.groups) - len(lines)
    more = f"\nand {left:,} more: --groups lists them" if left and lines else ""
    return _titled("worst groups first", [header, *lines]) + more


def _titled(title: str, lines: Sequence[Sequence[str]]) -> str:
    """Return a table under its title; empty text for a table without rows."""
    return f"{title}\n{table(lines, right=True)}" if len(lines) > 1 else ""


def _cell(value: Any) -> str:
    return "-" if value is None else " ".join(str(value).split())[:WIDEST_CELL]
