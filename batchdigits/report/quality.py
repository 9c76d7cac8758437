"""Pages about bundles whose answers are known: evaluate, train, and `bundles diff`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from batchdigits.archive.bundle_file import BundleFile
from batchdigits.evaluation.compare import BundleComparison, Flip
from batchdigits.evaluation.confusion import MATRIX_CLASSES, ConfusionMatrix
from batchdigits.evaluation.files import Evaluation
from batchdigits.html import escaped
from batchdigits.packing.contents import Scores
from batchdigits.report import charts
from batchdigits.report.digits import Digits, ShownDigit, digits_section
from batchdigits.report.evaluation import FIGURES
from batchdigits.report.page import cut, figure, page, paragraph, rows_table, section, source

SHOWN_GROUPS = 40


def evaluation_page(evaluation: Evaluation) -> str:
    """Return the page of an evaluation."""
    total, bundle = evaluation.total, evaluation.bundle
    facts = evaluation.as_facts(0)
    wrong = [
        ShownDigit(
            row.pixels, f"{_name(row.label)}, read as {_name(row.prediction)}, {row.confidence:.3f}"
        )
        for row in evaluation.wrong
    ]
    return page(
        f"{bundle['name']}@{bundle['version']} on labelled rows",
        f"{total.right:,} of {total.labelled:,} labelled rows are right: "
        f"{total.accuracy or 0.0:.2%}.",
        [
            _figures(facts),
            _suspicions(evaluation),
            _confusion(evaluation.matrix, "confusion_matrix"),
            _scores(evaluation.matrix, "classes"),
            _reliability(evaluation),
            _coverage(evaluation),
            _groups(evaluation),
            digits_section(Digits((("Wrong, the surest first", wrong),))),
        ],
    )


def training_page(
    scores: Scores, summary: dict[str, object], sweep: Sequence[Sequence[str]] = ()
) -> str:
    """Return the page of a training: its scores, what the command printed, and the sweep's trials.

    sweep  the header and the combinations, the best first
    """
    lines = [
        [escaped(name), cut(value)]
        for name, value in summary.items()
        if value is not None and not isinstance(value, dict)
    ]
    header, *trials = sweep or [[]]
    cells = [[cut(cell) for cell in trial] for trial in trials[:SHOWN_GROUPS]]
    return page(
        f"{summary['name']}@{summary['version']}, trained",
        f"Accuracy {scores.accuracy:.2%} on {scores.measured_on}.",
        [
            section("Training", rows_table(["field", "value"], lines)),
            _confusion(scores.matrix, "confusion_matrix"),
            _scores(scores.matrix, "per_class"),
            section("Sweep", rows_table(header, cells, text_columns=len(header))),
        ],
    )


def comparison_page(comparison: BundleComparison, old: BundleFile, new: BundleFile) -> str:
    """Return the page of two bundles on the same rows."""
    names = [f"{each.manifest.name}@{each.manifest.version}" for each in (old, new)]
    flips = comparison.flip_count
    lead = f"{flips:,} of {int(comparison.matrix.sum()):,} rows of {comparison.data} flip"
    if comparison.label is not None:
        lead += f": {comparison.improved:,} become right, {comparison.worsened:,} become wrong"
    before, after = comparison.old.as_facts(), comparison.new.as_facts()
    keys = ("rows_predicted", "accuracy", "log_loss", "mean_confidence")
    lines = [
        [source(key), _figure(before[key]), _figure(after[key])]
        for key in keys
        if before[key] is not None or after[key] is not None
    ]
    shown = [ShownDigit(flip.pixels, _flip(flip)) for flip in comparison.flips]
    matrix = comparison.matrix.copy()
    matrix[range(len(matrix)), range(len(matrix))] = 0
    return page(
        f"{names[0]} and {names[1]}",
        f"{lead}.",
        [
            section("Figures", rows_table(["", *names], lines)),
            _square(
                "What became what",
                comparison.labels,
                matrix.tolist(),
                "flip_matrix",
                f"Rows are classes of {names[0]}, columns of {names[1]}",
            ),
            digits_section(Digits((("Rows that flip", shown),))),
        ],
    )


def _figures(facts: dict[str, Any]) -> str:
    low, high = facts["accuracy_low"], facts["accuracy_high"]
    lines = [
        ["rows labelled", f"{facts['rows_labelled']:,}", source("rows_labelled")],
        ["rows rejected", f"{facts['rows_rejected']:,}", source("rows_rejected")],
        ["accuracy", _percent(facts["accuracy"]), source("accuracy")],
        ["95 % interval", f"{_percent(low)} to {_percent(high)}", source("accuracy_low")],
    ]
    lines += [
        [escaped(name.strip()), style.format(facts[key]), source(key)]
        for name, key, style in FIGURES
        if facts[key] is not None
    ]
    return section("Figures", rows_table(["", "", "field"], lines))


def _suspicions(evaluation: Evaluation) -> str:
    lines = [
        [
            cut(tally.name),
            cut(tally.suspicion or "the bundle was trained on this very file"),
            source("inputs[].suspicion" if tally.suspicion else "inputs[].trained_on"),
        ]
        for tally in evaluation.inputs
        if tally.suspicion or tally.trained_on
    ]
    return section("To look at first", rows_table(["", "", "field"], lines, text_columns=3))


def _confusion(matrix: ConfusionMatrix, field: str) -> str:
    k = len(matrix.labels)
    counts = matrix.counts[:k, :k].tolist()
    return _square(
        "Confusions", matrix.labels, counts, field, "Rows are true classes, columns predicted ones"
    )


def _square(
    title: str, labels: Sequence[Any], counts: list[list[int]], field: str, caption: str
) -> str:
    if len(labels) > MATRIX_CLASSES:
        return section(title, paragraph(f"{len(labels)} classes: see {field} in the JSON"))
    names = [str(label) for label in labels]
    lines = [
        [cut(name), *(f"{count:,}" for count in row)]
        for name, row in zip(names, counts, strict=True)
    ]
    picture = charts.matrix(names, counts, f"{title}. {caption}")
    return section(title, figure(picture, rows_table(["", *names], lines), caption), source(field))


def _scores(matrix: ConfusionMatrix, field: str) -> str:
    header, *lines = matrix.score_lines()
    rows = [[cut(cell) for cell in line] for line in lines[:SHOWN_GROUPS]]
    return section("Classes", rows_table(header, rows), source(field))


def _reliability(evaluation: Evaluation) -> str:
    bins = evaluation.confidence.bins()
    points = [(each.confidence, each.accuracy, each.rows) for each in bins]
    lines = [
        [
            f"{each.low:.3f} to {each.high:.3f}",
            f"{each.rows:,}",
            f"{each.confidence:.4f}",
            f"{each.accuracy:.4f}",
        ]
        for each in bins
    ]
    error = evaluation.confidence.calibration_error
    text = "" if error is None else f"; expected calibration error {error:.2%}"
    picture = charts.reliability(points, f"Accuracy over mean confidence{text}")
    table = rows_table(["confidence", "rows", "mean confidence", "accuracy"], lines)
    caption = "accuracy over confidence; on the diagonal the confidence is honest"
    return section("Reliability", figure(picture, table, caption), source("reliability"))


def _coverage(evaluation: Evaluation) -> str:
    lines = [
        [
            f"{each.confidence:g}",
            f"{each.coverage:.2%}",
            charts.bar(each.coverage),
            f"{each.errors:,}",
            "" if each.error is None else f"{each.error:.3%}",
        ]
        for each in evaluation.confidence.curve()
    ]
    header = ["least confidence", "accepted", "", "wrong", "of the accepted"]
    return section("Accepted by a threshold", rows_table(header, lines), source("coverage"))


def _groups(evaluation: Evaluation) -> str:
    lines = [
        [
            *(cut("" if value is None else value) for value in group.values),
            f"{group.rows:,}",
            f"{group.errors:,}",
            f"{group.accuracy:.2%}",
            f"{group.interval[0]:.2%} to {group.interval[1]:.2%}",
        ]
        for group in evaluation.groups[:SHOWN_GROUPS]
    ]
    header = [*evaluation.by, "rows", "wrong", "accuracy", "95 % interval"]
    left = len(evaluation.groups) - len(lines)
    more = paragraph(f"and {left:,} more groups, with better intervals") if left > 0 else ""
    table = rows_table(header, lines, text_columns=len(evaluation.by))
    return section("Groups, the worst first", table, more) if lines else ""


def _flip(flip: Flip) -> str:
    truth = "" if flip.label is None else f", is {flip.label}"
    return (
        f"row {flip.row}{truth}: {flip.old} at {flip.old_confidence:.3f}, then {flip.new} at "
        f"{flip.new_confidence:.3f}"
    )


def _name(value: object) -> str:
    return "no class" if value is None else str(value)


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.4f}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.2%}"
