"""What the columns of a CSV without a header can't be: 64 pixels and then the others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from batchdigits.errors import UnusableInputError
from batchdigits.images import PIXELS
from batchdigits.rows.csv.layout import CsvLayout
from batchdigits.rows.csv.values import judge_pixel, pixel_text
from batchdigits.rows.naming import other_images

LARGEST_LABEL = 9


def check_unnamed(rows: Iterable[Sequence[bytes]], layout: CsvLayout, name: str) -> None:
    """Raise UnusableInputError for larger images, and if the pixels may begin after a label.

    rows    the cells of the first lines
    layout  the first 64 of more columns as pixels
    """
    sample = [row for row in rows if len(row) == layout.cells]
    values = [[_value(cell, layout) for cell in row] for row in sample]
    if not values:
        return
    if all(value is not None for value in values[0]) and (images := other_images(layout.cells)):
        raise UnusableInputError(f"{name}: its {layout.cells} columns {images}")
    _refuse_text_first(values, layout, name)
    if _may_be_labels([row[0] for row in values]):
        last = [row[PIXELS] for row in values]
        if all(value is not None and 0 <= value <= layout.darkest for value in last):
            raise UnusableInputError(
                f"{name}: without a header it is not clear whether the first of its "
                f"{layout.cells} columns is a label: if it is, use --pixels 'column_{{2..65}}'; if "
                "it is a pixel, use --pixels 'column_{1..64}'"
            )


def _value(cell: bytes, layout: CsvLayout) -> float | None:
    """The number in a cell, None for text."""
    value, reason = judge_pixel(pixel_text(layout.numeric(cell), layout.blanks), float("inf"))
    return value if reason is None else (-1.0 if reason == "out-of-range" else None)


def _refuse_text_first(
    values: Sequence[Sequence[float | None]], layout: CsvLayout, name: str
) -> None:
    """Refuse rows that begin with text in each of the first lines, if 64 numbers follow it."""
    texts = 0
    while texts < layout.cells and all(row[texts] is None for row in values):
        texts += 1
    rest = range(texts, texts + PIXELS)
    if not texts or rest[-1] >= layout.cells:
        return
    if any(all(row[i] is not None for i in rest) for row in values):
        raise UnusableInputError(
            f"{name}: its pixels begin in column {texts + 1}: use --pixels "
            f"'column_{{{texts + 1}..{texts + PIXELS}}}'"
        )


def _may_be_labels(column: Sequence[float | None]) -> bool:
    """Return whether a column looks like labels of digits, and not like the paper of a corner."""
    digits = [value for value in column if value is not None and value in range(LARGEST_LABEL + 1)]
    return len(digits) == len(column) and 2 * sum(map(bool, digits)) >= len(column)
