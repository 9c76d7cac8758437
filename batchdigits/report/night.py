"""The page of one or more nights, from receipts alone or with the digits of their rows."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.archive.reference import Reference
from batchdigits.html import escaped
from batchdigits.images import PIXELS, SIDE
from batchdigits.monitoring.counts import SHADES, DriftCounts
from batchdigits.report import charts
from batchdigits.report.digits import Digits, digits_section
from batchdigits.report.page import cut, figure, page, paragraph, rows_table, section, source
from batchdigits.report.works import works_section
from batchdigits.rows.rejects import REASONS
from batchdigits.scoring.ledger import CAUSES, Counts
from batchdigits.scoring.receipt import Receipt
from batchdigits.text import count_of

SHOWN_INPUTS = 40
SHOWN_NIGHTS = 60
SHOWN_CLASSES = 40

_SHADE_INK = np.array([0.0, 2.5, 6.5, 10.5, 14.5])
"""The ink in the middle of each of `SHADES`."""


@dataclass(frozen=True)
class Night:
    """The receipts of a page.

    predicted   receipts of predict, in the order given
    others      receipts of other kinds, as they are in their files, by name
    references  what bundles were trained on, by digest; of those that could be opened
    refused     inputs that a run refused, and why; receipts don't have them
    digits      rows to show, if their files are still there
    """

    predicted: Sequence[Receipt]
    others: Sequence[tuple[str, Mapping[str, Any]]] = ()
    references: Mapping[str, Reference] = field(default_factory=dict)
    refused: Sequence[tuple[str, str]] = ()
    digits: Digits = field(default_factory=Digits)

    @property
    def counts(self) -> Counts:
        return sum((receipt.counts for receipt in self.predicted), start=Counts())


def night_page(night: Night, title: str | None = None) -> str:
    """Return the page; the same receipts give the same bytes."""
    dates = sorted({_date(receipt) for receipt in night.predicted} - {""})
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}" if dates else ""
    return page(
        title or f"Digits read, {when}".removesuffix(", "),
        _lead(night),
        [
            _counts(night.counts) if night.predicted else "",
            _refused(night.refused),
            _warnings(night.predicted),
            _by_name("Rejects by reason", night.counts.reasons, REASONS, "reasons", charts.RED),
            _by_name(
                "To review by cause", night.counts.causes or {}, CAUSES, "causes", charts.AMBER
            ),
            *_drift_sections(night),
            _trend(night.predicted),
            digits_section(night.digits),
            _inputs(night.predicted),
            works_section(night.others),
        ],
    )


def _lead(night: Night) -> str:
    if not night.predicted and night.refused:
        return f"{count_of(len(night.refused), 'input file')}, all refused."
    if not night.predicted:
        return f"{count_of(len(night.others), 'receipt')}, none of predict."
    counts = night.counts
    text = (
        f"{count_of(len(night.predicted), 'input file')}, {counts.rows_in:,} rows: "
        f"{counts.rows_predicted:,} predicted, {counts.rows_rejected:,} rejected"
    )
    if counts.rows_to_review is not None:
        text += f"; {counts.rows_to_review:,} of the predicted rows go to review"
    return f"{text}."


def _counts(counts: Counts) -> str:
    rows = [
        ("rows in", counts.rows_in, "rows_in", charts.BLUE),
        ("predicted", counts.rows_predicted, "rows_predicted", charts.BLUE),
        ("rejected", counts.rows_rejected, "rows_rejected", charts.RED),
    ]
    if counts.rows_to_review is not None:
        rows.append(("predicted, to review", counts.rows_to_review, "causes", charts.AMBER))
    lines = [
        [
            escaped(name),
            f"{count:,}",
            _percent(count, counts.rows_in),
            charts.bar(count / max(counts.rows_in, 1), colour),
            source(where),
        ]
        for name, count, where, colour in rows
    ]
    return section("Rows", rows_table(["", "rows", "of all", "", "field"], lines))


def _refused(refused: Sequence[tuple[str, str]]) -> str:
    lines = [[cut(name), cut(error), source("inputs[].error")] for name, error in refused]
    left = len(lines) - SHOWN_INPUTS
    table = rows_table(["input", "error", "field"], lines[:SHOWN_INPUTS], text_columns=3)
    return section("Refused", table, paragraph(f"and {left:,} more") if left > 0 else "")


def _warnings(receipts: Sequence[Receipt]) -> str:
    """Say what somebody should look at first."""
    suspicious = [receipt for receipt in receipts if receipt.suspicion]
    codes = Counter(receipt.exit_code for receipt in receipts)
    lines = [
        [cut(receipt.input), cut(receipt.suspicion), source("suspicion")]
        for receipt in suspicious[:SHOWN_INPUTS]
    ]
    for code, meaning in ((3, "more rejects than allowed"), (4, "more drift than allowed")):
        if codes[code]:
            what = f"{meaning}: exit code {code}"
            lines.append([count_of(codes[code], "input file"), what, source("exit_code")])
    return section("To look at first", rows_table(["", "", "field"], lines, text_columns=3))


def _by_name(
    title: str, counts: Mapping[str, int], meanings: Mapping[str, str], where: str, colour: str
) -> str:
    most, whole = max(counts.values(), default=0), sum(counts.values())
    lines = [
        [
            f"{cut(name)} {source(f'{where}.{name}')}",
            escaped(meanings.get(name, "")),
            f"{count:,}",
            _percent(count, whole),
            charts.bar(count / most, colour),
        ]
        for name, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    ]
    header = ["", "meaning", "rows", "share", ""]
    return section(title, rows_table(header, lines, text_columns=2))


def _drift_sections(night: Night) -> list[str]:
    """Return predicted classes, confidences and pixels: of each kind of bundle together."""
    groups: dict[str, list[Receipt]] = defaultdict(list)
    for receipt in night.predicted:
        groups[receipt.key.bundle["digest"]].append(receipt)
    sections = []
    for digest, receipts in groups.items():
        bundle = receipts[0].key.bundle
        name = f", {bundle['name']}@{bundle['version']}" if len(groups) > 1 else ""
        reference = night.references.get(digest)
        labels, counts = _drift_counts(receipts)
        if counts is not None:
            sections += [
                _classes(f"Predicted classes{name}", labels, counts, reference),
                _confidences(f"Confidence{name}", counts, reference),
                _pixels(f"Drift by pixel{name}", receipts, counts, reference),
            ]
    return sections


def _drift_counts(receipts: Sequence[Receipt]) -> tuple[list[str], DriftCounts | None]:
    """Add up the counts of drift; older receipts have none, and damaged ones other classes."""
    labels: list[str] = []
    total: DriftCounts | None = None
    for receipt in receipts:
        figures = receipt.drift.facts
        if figures is None:
            continue
        try:
            counts = DriftCounts.of_figures(figures)
        except ValueError:
            continue
        names = list(figures["classes"]["counts"])
        labels = labels or names
        if names == labels:
            total = counts if total is None else total + counts
    return labels, total


def _classes(
    title: str, labels: Sequence[str], counts: DriftCounts, reference: Reference | None
) -> str:
    predicted = counts.predicted.tolist()
    whole, most = max(sum(predicted), 1), max(*predicted, 1)
    expected = None
    if reference is not None and len(reference.class_counts) == len(labels):
        expected = reference.class_counts / max(reference.rows, 1)
    lines = []
    for at, (label, count) in list(enumerate(zip(labels, predicted, strict=True)))[:SHOWN_CLASSES]:
        line = [cut(label), f"{count:,}", _percent(count, whole), charts.bar(count / most)]
        lines.append(line if expected is None else [*line, f"{expected[at]:.1%}"])
    header = ["class", "rows", "share", ""] + ([] if expected is None else ["in training"])
    left = len(labels) - len(lines)
    return section(
        title,
        rows_table(header, lines),
        paragraph(f"and {left:,} more classes") if left > 0 else "",
        source("drift.classes.counts"),
    )


def _confidences(title: str, counts: DriftCounts, reference: Reference | None) -> str:
    rows = counts.confidence.tolist()
    whole, most = max(sum(rows), 1), max(*rows, 1)
    unseen = None if reference is None else reference.unseen
    lines = []
    for at, count in enumerate(rows):
        low, high = 1 - 0.5**at, 1 - 0.5 ** (at + 1)
        between = f"{low:.4g} to {high:.4g}" if at < len(rows) - 1 else f"above {low:.4g}"
        line = [between, f"{count:,}", _percent(count, whole), charts.bar(count / most)]
        if unseen is not None:
            line.append(f"{unseen.confidence_counts[at] / max(unseen.rows, 1):.1%}")
        lines.append(line)
    header = ["confidence", "rows", "share", ""] + ([] if unseen is None else ["in training"])
    return section(
        title,
        paragraph("The doubt halves from line to line."),
        rows_table(header, lines),
        source("drift.confidence.counts"),
    )


def _pixels(
    title: str, receipts: Sequence[Receipt], counts: DriftCounts, reference: Reference | None
) -> str:
    """Draw the mean ink of the rows and its difference from the training data."""
    rows = int(counts.shades[0].sum())
    if not rows:
        return ""
    mean = _mean_ink(counts.shades)
    parts = [
        figure(
            charts.grid(
                mean.tolist(), f"Mean ink of each pixel of {rows:,} sampled rows", most=16.0
            ),
            _grid_table(mean),
            "mean ink of the rows, 0 to 16",
        )
    ]
    if reference is not None:
        expected = np.add.reduceat(reference.pixel_counts, SHADES, axis=1)
        change = mean - _mean_ink(expected)
        most = max(float(np.abs(change).max()), 1.0)
        worst = int(np.abs(change).argmax())
        text = (
            f"Difference of each pixel's mean ink from the training data; the largest is "
            f"{change[worst]:+.2f} at pixel {worst}"
        )
        parts.append(
            figure(
                charts.grid(change.tolist(), text, most=most),
                _grid_table(change),
                f"minus that of the training data: blue is more ink, amber less; full colour at "
                f"{most:.1f}",
            )
        )
    values = [r.drift.value for r in receipts if r.drift.value is not None]
    text = f"Largest drift of an input: {max(values):.3f}." if values else ""
    return section(
        title,
        paragraph(text) if text else "",
        f'<div class="row">{"".join(parts)}</div>',
        source("drift.value"),
        " ",
        source("drift.pixels.shades"),
    )


def _mean_ink(shades: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean ink of each pixel, (64,), from counts of shades (64, 5)."""
    mean: NDArray[np.float64] = (shades @ _SHADE_INK) / np.maximum(shades.sum(axis=1), 1)
    return mean


def _grid_table(values: NDArray[np.float64]) -> str:
    grid = values.reshape(SIDE, PIXELS // SIDE).tolist()
    lines = [[str(at), *(f"{value:.1f}" for value in line)] for at, line in enumerate(grid)]
    return rows_table(["row", *map(str, range(SIDE))], lines)


def _trend(receipts: Sequence[Receipt]) -> str:
    """Draw shares over nights, if there are several."""
    nights: dict[str, list[Receipt]] = defaultdict(list)
    for receipt in receipts:
        if date := _date(receipt):
            nights[date].append(receipt)
    if len(nights) < 2:
        return ""
    shown = sorted(nights)[-SHOWN_NIGHTS:]
    rejected, review, drift, lines = [], [], [], []
    for date in shown:
        counts = sum((receipt.counts for receipt in nights[date]), start=Counts())
        values = [r.drift.value for r in nights[date] if r.drift.value is not None]
        rejected.append(counts.rows_rejected / max(counts.rows_in, 1))
        review.append(
            None
            if counts.rows_to_review is None
            else counts.rows_to_review / max(counts.rows_predicted, 1)
        )
        drift.append(max(values, default=None))
        lines.append(
            [
                date,
                f"{counts.rows_in:,}",
                f"{rejected[-1]:.3%}",
                "" if review[-1] is None else f"{review[-1]:.3%}",
                "" if drift[-1] is None else f"{drift[-1]:.3f}",
            ]
        )
    shares = charts.lines(
        shown,
        [("rejected", rejected, charts.RED), ("to review", review, charts.AMBER)],
        f"Shares of rejected rows and of rows to review over {len(shown)} nights",
    )
    distances = ""
    if any(value is not None for value in drift):
        distances = charts.lines(
            shown,
            [("largest drift", drift, charts.BLUE)],
            f"Largest drift over {len(shown)} nights",
        )
    header = ["night", "rows", "rejected", "to review", "largest drift"]
    left = len(nights) - len(shown)
    return section(
        "Over the nights",
        paragraph(f"The latest {len(shown)} of {len(nights)} nights.") if left else "",
        figure(shares, ""),
        figure(distances, rows_table(header, lines)),
        source("started"),
    )


def _inputs(receipts: Sequence[Receipt]) -> str:
    """List the inputs, those that need a look first."""

    def trouble(receipt: Receipt) -> tuple[bool, int, float, str]:
        share = receipt.counts.rows_rejected / max(receipt.counts.rows_in, 1)
        return (receipt.suspicion is None, -receipt.exit_code, -share, receipt.input)

    ordered = sorted(receipts, key=trouble)
    lines = []
    for receipt in ordered[:SHOWN_INPUTS]:
        counts, bundle = receipt.counts, receipt.key.bundle
        drift = receipt.drift.value
        lines.append(
            [
                cut(receipt.input),
                cut(f"{bundle['name']}@{bundle['version']}"),
                f"{counts.rows_in:,}",
                f"{counts.rows_rejected:,}",
                "" if counts.rows_to_review is None else f"{counts.rows_to_review:,}",
                "" if drift is None else f"{drift:.3f}",
                _accuracy(receipt),
            ]
        )
    header = ["input", "bundle", "rows", "rejected", "to review", "drift", "estimated accuracy"]
    left = len(ordered) - len(lines)
    return section(
        "Input files",
        rows_table(header, lines, text_columns=2),
        paragraph(f"and {left:,} more, with fewer rejects") if left else "",
        " ".join(map(source, ("input.path", "bundle", "drift.value", "estimated_accuracy"))),
    )


def _accuracy(receipt: Receipt) -> str:
    accuracy = receipt.drift.estimated_accuracy
    return "" if accuracy is None else f"{accuracy:.2%}"


def _date(receipt: Receipt) -> str:
    started = receipt.times.get("started")
    return started[:10] if isinstance(started, str) else ""


def _percent(count: int, whole: int) -> str:
    return f"{count / whole:.2%}" if whole else ""
