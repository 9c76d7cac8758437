"""`bundles diff`: two bundles on the same rows, as a table or as JSON."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from batchdigits.bundles.common import REFERENCE, SHORT_DIGEST, add_command, open_checked
from batchdigits.bundles.examples import add_examples, read_examples
from batchdigits.cli.boundary import pandas_kept_out
from batchdigits.cli.flags import add_trust_options
from batchdigits.cli.terminal import print_json, print_result
from batchdigits.errors import UsageError
from batchdigits.text import listing, table

if TYPE_CHECKING:
    from batchdigits.api import Bundle
    from batchdigits.evaluation.compare import Comparison, Flip
    from batchdigits.evaluation.labels import Examples

SHOWN_FLIPS = 20
SHOWN_CLASSES = 20
KEPT_MATRIX_CLASSES = 100
"""A matrix of more classes than these would be a million numbers, and is left out of the JSON."""
WIDEST_CELL = 24

_PERCENT = "{:.2%}"
_FIGURES = (
    ("rows predicted", "rows_predicted", "{:,}"),
    ("accuracy", "accuracy", _PERCENT),
    ("log loss", "log_loss", "{:.4f}"),
    ("mean confidence", "mean_confidence", _PERCENT),
    ("  where right", "mean_confidence_right", _PERCENT),
    ("  where wrong", "mean_confidence_wrong", _PERCENT),
    ("rows/s, one thread", "rows_per_second", "{:,.0f}"),
)


def add_diff(commands: Any) -> None:
    """Add the subcommand."""
    command = add_command(
        commands, "diff", "run two bundles over the same rows and show where they differ", _diff
    )
    command.add_argument("old", metavar="OLD", help=REFERENCE)
    command.add_argument("new", metavar="NEW", help="the same")
    add_examples(command, "to run both over", required=True)
    command.add_argument(
        "--flips",
        type=int,
        default=SHOWN_FLIPS,
        metavar="N",
        help="how many of the rows that flip to list, all are counted (default: 20)",
    )
    add_trust_options(command)
    command.add_argument("--json", action="store_true", help="one object of JSON")


@pandas_kept_out()
def _diff(arguments: argparse.Namespace) -> int:
    if arguments.flips < 0:
        raise UsageError(f"--flips {arguments.flips}: expected 0 or more rows")
    old, new = (open_checked(reference, arguments) for reference in (arguments.old, arguments.new))
    from batchdigits.evaluation.compare import compare
    from batchdigits.evaluation.evaluator import Evaluator

    examples = read_examples(arguments)
    comparison = compare(
        examples,
        Evaluator(old.engine, old.manifest.classes),
        Evaluator(new.engine, new.manifest.classes),
        keep_flips=arguments.flips,
    )
    if arguments.json:
        print_json(_as_facts(examples, old, new, comparison))
    else:
        print_result(_as_text(examples, old, new, comparison))
    return 0


def _as_facts(examples: Examples, old: Bundle, new: Bundle, found: Comparison) -> dict[str, Any]:
    is_small = len(found.labels) <= KEPT_MATRIX_CLASSES
    return {
        "data": examples.input_file.name,
        "label": examples.label,
        "rows_in": found.old.counts.rows_in,
        "old": {"bundle": old.facts, **found.old.as_facts()},
        "new": {"bundle": new.facts, **found.new.as_facts()},
        "classes": list(found.labels),
        "classes_only_old": list(found.only_old),
        "classes_only_new": list(found.only_new),
        "flip_count": found.flip_count,
        "improved": found.improved if examples.label else None,
        "worsened": found.worsened if examples.label else None,
        "flip_matrix": found.matrix.tolist() if is_small else None,
        "flips": [asdict(flip) for flip in found.flips],
    }


def _as_text(examples: Examples, old: Bundle, new: Bundle, found: Comparison) -> str:
    parts = [
        _head(examples, old, new, found),
        _figures(found),
        _counts(examples, found),
    ]
    if found.flip_count and len(found.labels) <= SHOWN_CLASSES:
        parts.append(_matrix(found))
    if found.flips:
        parts.append(_flips(examples, found))
    return "\n\n".join(parts)


def _head(examples: Examples, old: Bundle, new: Bundle, found: Comparison) -> str:
    tally = found.old
    labels = "no labels"
    if examples.label is not None:
        labels = f"{tally.labelled:,} with a label in {examples.label!r}"
    lines = [
        *(f"{which}  {_named(bundle)}" for which, bundle in (("old ", old), ("new ", new))),
    ]
    counts = f"{tally.counts.rows_in:,} rows, {tally.counts.rows_rejected:,} rejected, {labels}"
    lines.append(f"data  {examples.input_file.name}: {counts}")
    if found.old.unknown or found.new.unknown:
        lines.append(
            f"rows of a class that the bundle lacks: {found.old.unknown:,} with the old, "
            f"{found.new.unknown:,} with the new; they count as wrong"
        )
    for which, classes in (("old", found.only_old), ("new", found.only_new)):
        if classes:
            lines.append(f"classes of the {which} bundle only: {listing(map(repr, classes))}")
    if old.manifest.classes.type != new.manifest.classes.type:
        lines.append(
            f"predictions change their type from {old.manifest.classes.type} to "
            f"{new.manifest.classes.type}"
        )
    return "\n".join(lines)


def _named(bundle: Bundle) -> str:
    facts = bundle.facts
    return f"{facts['name']}@{facts['version']}  {facts['digest'][:SHORT_DIGEST]}"


def _figures(found: Comparison) -> str:
    old, new = found.old.as_facts(), found.new.as_facts()
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
    if style == "{:,.0f}":
        return f"x {new / old:.2f}" if old else ""
    return "" if old == new else f"{new - old:+.4g}"


def _counts(examples: Examples, found: Comparison) -> str:
    both = int(found.matrix.sum())
    text = f"{found.flip_count:,} of {both:,} rows flip"
    if not found.flip_count or examples.label is None:
        return text
    other = found.flip_count - found.improved - found.worsened
    return (
        f"{text}: {found.improved:,} become right, {found.worsened:,} become wrong, {other:,} "
        "neither"
    )


def _matrix(found: Comparison) -> str:
    """Which class became which; what stayed is left out, so that the flips stand out."""
    labels = [str(label)[:WIDEST_CELL] for label in found.labels]
    rows = [
        (label, *("." if i == j or not count else f"{count:,}" for j, count in enumerate(counts)))
        for i, (label, counts) in enumerate(zip(labels, found.matrix.tolist(), strict=True))
    ]
    return table([(r"OLD \ NEW", *labels), *rows])


def _flips(examples: Examples, found: Comparison) -> str:
    columns = list(found.flips[0].columns)
    labels = ["LABEL"] if examples.label else []
    header = ("ROW", *columns, *labels, "OLD", "NEW", "CONFIDENCE")
    rows = [_flip(flip, columns, has_label=bool(labels)) for flip in found.flips]
    text = table([header, *rows])
    left = found.flip_count - len(found.flips)
    return f"{text}\nand {left:,} more: --flips lists them" if left else text


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
