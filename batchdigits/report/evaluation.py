"""An evaluation as text: figures, then tables, the numbers aligned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from batchdigits.evaluation.confusion import share_interval
from batchdigits.evaluation.summary import SHOWN_CONFUSIONS, Evaluation
from batchdigits.text import count_of, listing, table

WIDEST_CELL = 40

_FIGURES = (
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


def format_evaluation(found: Evaluation, keep_groups: int) -> str:
    """All of it, with so many groups."""
    parts = [_head(found), _figures(found), *_classes(found)]
    parts += [_confused(found), _reliability(found), _curve(found), _decisions(found)]
    parts.append(_groups(found, keep_groups))
    return "\n\n".join(part for part in parts if part)


def _head(found: Evaluation) -> str:
    total = found.total
    bundle = f"{found.bundle['name']}@{found.bundle['version']}"
    where = found.inputs[0].name if len(found.inputs) == 1 else f"{len(found.inputs)} inputs"
    lines = [f"{bundle} on {total.labelled:,} labelled rows of {where}"]
    if total.counts.rows_rejected:
        why = listing(f"{n:,} {reason}" for reason, n in total.counts.reasons.items())
        lines.append(f"besides, {count_of(total.counts.rows_rejected, 'row')} rejected: {why}")
    if total.unlabelled:
        lines.append(f"besides, {count_of(total.unlabelled, 'row')} without a label")
    if total.unknown:
        lines.append(
            f"{count_of(total.unknown, 'label')} of no class of the bundle; they count as wrong"
        )
    lines += [f"{one.name}: {one.suspicion}" for one in found.inputs if one.suspicion]
    lines += [
        f"{one.name}: the bundle was trained on this very file; of rows that it has learned, the "
        "figures say little about others"
        for one in found.inputs
        if one.trained_on
    ]
    return "\n".join(lines)


def _figures(found: Evaluation) -> str:
    total, facts = found.total, found.as_facts(0)
    low, high = share_interval(total.right, total.labelled) or (0.0, 1.0)
    errors = total.labelled - total.right
    rows = [
        ("accuracy", f"{total.accuracy or 0.0:.2%}"),
        ("  95 % interval", f"{low:.2%} to {high:.2%}"),
        ("errors", f"{errors:,}"),
        *(
            (name, style.format(facts[key]))
            for name, key, style in _FIGURES
            if facts[key] is not None
        ),
    ]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name.ljust(width)}  {value}" for name, value in rows)


def _classes(found: Evaluation) -> list[str]:
    return [
        table(found.matrix.score_lines(), right=True),
        _titled("rows: true class, columns: predicted class", found.matrix.matrix_lines()),
    ]


def _confused(found: Evaluation) -> str:
    pairs = found.matrix.most_confused(SHOWN_CONFUSIONS)
    lines = [[str(pair.label), str(pair.prediction), f"{pair.rows:,}"] for pair in pairs]
    return _titled("most confused", [["true", "predicted", "rows"], *lines])


def _reliability(found: Evaluation) -> str:
    lines = [
        [
            f"{one.low:.3f}",
            f"{one.high:.3f}",
            f"{one.rows:,}",
            f"{one.confidence:.4f}",
            f"{one.accuracy:.4f}",
        ]
        for one in found.confidence.bins()
    ]
    header = ["above", "up to", "rows", "mean confidence", "part right"]
    return _titled("rows by their confidence", [header, *lines])


def _curve(found: Evaluation) -> str:
    lines = [
        [f"{one.confidence:g}", f"{one.coverage:.2%}", f"{one.errors:,}", _share(one.error)]
        for one in found.confidence.curve()
    ]
    header = ["at least", "accepted", "errors", "error"]
    return _titled("if only rows of a confidence were accepted", [header, *lines])


def _decisions(found: Evaluation) -> str:
    counts = found.decisions
    if counts is None:
        return ""
    to_review = listing(f"{rows:,} {cause}" for cause, rows in counts.causes.items()) or "none"
    text = (
        f"review below {counts.review_below:g}: {counts.accepted:,} of {counts.rows:,} rows "
        f"accepted, {counts.errors:,} of them wrong"
    )
    if counts.interval is not None:
        low, high = counts.interval
        share = counts.errors / counts.accepted
        text += f": {share:.3%}, 95 % interval {low:.3%} to {high:.3%}"
    if counts.max_error is not None:
        text += f"; the bundle promises at most {counts.max_error:.3%}"
    return f"{text}\nto review: {to_review}"


def _groups(found: Evaluation, keep: int) -> str:
    if not keep:
        return ""
    lines = [
        [
            *(_cell(value) for value in one.values),
            f"{one.rows:,}",
            f"{one.errors:,}",
            f"{one.accuracy:.2%}",
            f"{one.interval[0]:.2%} to {one.interval[1]:.2%}",
            f"{one.confidence:.2%}",
        ]
        for one in found.groups[:keep]
    ]
    header = [*found.by, "rows", "errors", "accuracy", "95 % interval", "mean confidence"]
    left = len(found.groups) - len(lines)
    more = f"\nand {left:,} more: --groups lists them" if left else ""
    return _titled("worst groups first", [header, *lines]) + more


def _titled(title: str, lines: Sequence[Sequence[str]]) -> str:
    """A table under its title; nothing where there is only a header, or not even that."""
    return f"{title}\n{table(lines, right=True)}" if len(lines) > 1 else ""


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3%}"


def _cell(value: Any) -> str:
    return "-" if value is None else " ".join(str(value).split())[:WIDEST_CELL]
