"""A comparison of two bundles as text: figures, then the classes and rows that flip."""

from __future__ import annotations

from collections.abc import Sequence

from batchdigits.archive.bundle_file import BundleFile
from batchdigits.evaluation.compare import BundleComparison, Flip
from batchdigits.evaluation.confusion import MATRIX_CLASSES
from batchdigits.files.digest import short_digest
from batchdigits.text import listing, printable, table

WIDEST_CELL = 24

_PERCENT = "{:.2%}"
_RATE = "{:,.0f}"
_FIGURES = (
    ("rows predicted", "rows_predicted", "{:,}"),
    ("accuracy", "accuracy", _PERCENT),
    ("log loss", "log_loss", "{:.4f}"),
    ("mean confidence", "mean_confidence", _PERCENT),
    ("  where right", "mean_confidence_right", _PERCENT),
    ("  where wrong", "mean_confidence_wrong", _PERCENT),
    ("rows/s, one thread", "rows_per_second", _RATE),
)


def format_comparison(comparison: BundleComparison, old: BundleFile, new: BundleFile) -> str:
    """Return the comparison of these bundles as text."""
    parts = [_head(comparison, old, new), _figures(comparison), _counts(comparison)]
    if comparison.flip_count and len(comparison.labels) <= MATRIX_CLASSES:
        parts.append(_matrix(comparison))
    if comparison.flips:
        parts.append(_flips(comparison))
    return "\n\n".join(parts)


def _head(comparison: BundleComparison, old: BundleFile, new: BundleFile) -> str:
    tally, label = comparison.old, comparison.label
    labels = "no labels" if label is None else f"{tally.labelled:,} with a label in {label!r}"
    counts = f"{tally.counts.rows_in:,} rows, {tally.counts.rows_rejected:,} rejected, {labels}"
    lines = [
        f"old   {_named(old)}",
        f"new   {_named(new)}",
        f"data  {printable(comparison.data)}: {counts}",
    ]
    if comparison.old.unknown or comparison.new.unknown:
        lines.append(
            f"rows of a class that the bundle lacks: {comparison.old.unknown:,} with the old, "
            f"{comparison.new.unknown:,} with the new; they count as wrong"
        )
    for which, classes in (("old", comparison.only_old), ("new", comparison.only_new)):
        if classes:
            lines.append(f"classes of the {which} bundle only: {listing(map(repr, classes))}")
    types = old.manifest.classes.type, new.manifest.classes.type
    if types[0] != types[1]:
        lines.append(f"predictions change their type from {types[0]} to {types[1]}")
    return "\n".join(lines)


def _named(bundle: BundleFile) -> str:
    facts = bundle.manifest
    return f"{facts.name}@{facts.version}  {short_digest(bundle.digest)}"


def _figures(comparison: BundleComparison) -> str:
    old, new = comparison.old.as_facts(), comparison.new.as_facts()
    rows = [
        (name, _cell(old[key], style), _cell(new[key], style), _change(old[key], new[key], style))
        for name, key, style in _FIGURES
        if old[key] is not None or new[key] is not None
    ]
    return table([("", "OLD", "NEW", "CHANGE"), *rows])


def _cell(value: float | None, style: str) -> str:
    return "-" if value is None else style.format(value)


def _change(old: float | None, new: float | None, style: str) -> str:
    if old is None or new is None:
        return ""
    if style == _PERCENT:
        return f"{100 * (new - old):+.2f} points"
    if style == _RATE:
        return f"x {new / old:.2f}" if old else ""
    return "" if old == new else f"{new - old:+.4g}"


def _counts(comparison: BundleComparison) -> str:
    flips = comparison.flip_count
    text = f"{flips:,} of {int(comparison.matrix.sum()):,} rows flip"
    if not flips or comparison.label is None:
        return text
    other = flips - comparison.improved - comparison.worsened
    return (
        f"{text}: {comparison.improved:,} become right, {comparison.worsened:,} become wrong, "
        f"{other:,} neither"
    )


def _matrix(comparison: BundleComparison) -> str:
    """Count which class became which, without the rows that keep their class."""
    labels = [str(label)[:WIDEST_CELL] for label in comparison.labels]
    rows = [
        (label, *("." if i == j or not count else f"{count:,}" for j, count in enumerate(counts)))
        for i, (label, counts) in enumerate(zip(labels, comparison.matrix.tolist(), strict=True))
    ]
    return table([(r"OLD \ NEW", *labels), *rows])


def _flips(comparison: BundleComparison) -> str:
    columns = list(comparison.flips[0].columns)
    labels = ["LABEL"] if comparison.label else []
    header = ("ROW", *columns, *labels, "OLD", "NEW", "CONFIDENCE")
    rows = [_flip(flip, columns, has_label=bool(labels)) for flip in comparison.flips]
    left = comparison.flip_count - len(comparison.flips)
    more = f"\nand {left:,} more: --flips lists them" if left else ""
    return table([header, *rows]) + more


def _flip(flip: Flip, columns: Sequence[str], *, has_label: bool) -> tuple[str, ...]:
    cells = [flip.columns[name] for name in columns]
    cells += [flip.label] if has_label else []
    return (
        str(flip.row),
        *("" if cell is None else " ".join(str(cell).split())[:WIDEST_CELL] for cell in cells),
        str(flip.old),
        str(flip.new),
        f"{flip.old_confidence:.4f} -> {flip.new_confidence:.4f}",
    )
