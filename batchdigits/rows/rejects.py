"""Rejects: the fixed list of reasons why a row is not scored, and the table of rejected rows.

A reason's rank is its position in `REASONS`. A row with several faults gets the reason with the
least rank, and the first pixel (in pixel order) that has it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

REASONS: dict[str, str] = {
    "line-too-long": "the line is longer than 1 MiB",
    "bad-encoding": "the line is not UTF-8, or holds a NUL byte",
    "blank-line": "the line is empty or holds only spaces and tabs",
    "stray-quote": "a quote opens a cell and does not close it as CSV asks",
    "repeated-header": "the line is the header once more",
    "too-few-cells": "the line has fewer cells than the header",
    "too-many-cells": "the line has more cells than the header",
    "wrong-length": "the list of pixels does not hold 64 values",
    "missing": "a pixel is empty, null or NA",
    "not-finite": "a pixel is NaN or infinite",
    "not-a-number": "a pixel is not a decimal number such as 5, 5.25 or 1.3e+01",
    "out-of-range": "a pixel is below 0 or above the range",
    "no-probability": "the model gave no finite probability for the row",
}

BY_RANK = tuple(REASONS)
RANKS = {reason: rank for rank, reason in enumerate(REASONS)}
FINE = len(REASONS)  # the rank of a pixel or row without a fault, above that of every reason
RAW_LIMIT = 4096  # characters of the raw line (or row) that a reject keeps


@dataclass(frozen=True, slots=True)
class Reject:
    """One row that was not scored.

    row     0-based offset from the batch's first row
    reason  a key of `REASONS`
    line    0-based offset from the batch's first line; None where there are no lines
    column  the name of the cell to blame; None where it is not a single cell
    value   the text of that cell
    raw     the line of the file (Parquet: the row's pixels as JSON), cut at `RAW_LIMIT` characters
    """

    row: int
    reason: str
    line: int | None = None
    column: str | None = None
    value: str | None = None
    raw: str | None = None

    def __post_init__(self) -> None:
        if self.reason not in REASONS:
            raise ValueError(f"unknown reject reason {self.reason!r}; known: {', '.join(REASONS)}")


REJECT_COLUMNS = ("input", "row", "line", "reason", "column", "value", "raw")
"""The columns of a rejects file after the pass-through columns; `line` only where there are any."""


def reject_batch(
    passthrough: pa.RecordBatch,
    rejects: Sequence[Reject],
    *,
    input_name: str,
    first_row: int,
    first_line: int | None = None,
) -> pa.RecordBatch:
    """The rows of a rejects file for one batch: the pass-through columns, then `REJECT_COLUMNS`.

    passthrough  their pass-through columns, one row a reject
    first_row    the 1-based number, in the physical file, of the batch's first row
    first_line   the 1-based number of its first line; None where there are no lines
    """
    import pyarrow as pa  # usage errors import the reasons, and must not wait for Arrow

    values: dict[str, list[object]] = {
        "input": [written_name(input_name)] * len(rejects),
        "row": [first_row + reject.row for reject in rejects],
        "line": [(first_line or 0) + (reject.line or 0) for reject in rejects],
        "reason": [reject.reason for reject in rejects],
        "column": [reject.column for reject in rejects],
        "value": [reject.value for reject in rejects],
        "raw": [None if r.raw is None else r.raw[:RAW_LIMIT] for r in rejects],
    }
    names = [name for name in REJECT_COLUMNS if name != "line" or first_line is not None]
    types = [pa.int64() if name in ("row", "line") else pa.string() for name in names]
    fields = [field.with_nullable(True) for field in passthrough.schema]
    return pa.RecordBatch.from_arrays(
        [*passthrough.columns, *map(pa.array, [values[name] for name in names], types)],
        schema=pa.schema([*fields, *map(pa.field, names, types)]),
    )


def written_name(name: str) -> str:
    """A file name as text; bytes that are not UTF-8 become hexadecimal escapes."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
