"""Real digits in the formats that faults are put into."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from decimal import Decimal
from functools import cache

import numpy as np
import pyarrow as pa
from paths import SAMPLE_DATA

PIXEL_NAMES = [f"pixel_{i}" for i in range(64)]
HEADER = ["id", "note", *PIXEL_NAMES]

Cells = list[str]


@cache
def _digits() -> list[Cells]:
    with (SAMPLE_DATA / "digits.csv").open(encoding="utf-8", newline="") as file:
        return [row[-64:] for row in list(csv.reader(file))[1:]]


def digit_rows(count: int) -> list[Cells]:
    """Rows of `HEADER`: an id with its place, a note, the pixels of a digit."""
    digits = _digits()
    return [[f"r{i:07}", f"ink {i % 7}", *digits[i % len(digits)]] for i in range(count)]


def csv_bytes(rows: Sequence[Cells], header: Sequence[str] = HEADER, delimiter: str = ",") -> bytes:
    """A CSV of cells as they are; quotes must be part of the cells."""
    return b"".join(delimiter.join(cells).encode() + b"\n" for cells in [list(header), *rows])


def digit_table(count: int) -> pa.Table:
    """A table of `digit_rows`, with the pixels as uint8."""
    rows = digit_rows(count)
    pixels = np.array([row[2:] for row in rows], np.uint8).reshape(-1, 64)
    columns = {"id": pa.array([row[0] for row in rows]), "note": pa.array([r[1] for r in rows])}
    columns |= {name: pa.array(pixels[:, i]) for i, name in enumerate(PIXEL_NAMES)}
    return pa.table(columns)


def with_pixels(table: pa.Table, kind: pa.DataType) -> pa.Table:
    """The table with its pixel columns in another type."""
    for name in PIXEL_NAMES:
        at = table.column_names.index(name)
        if pa.types.is_decimal(kind):
            column = pa.array([Decimal(value) for value in table[name].to_pylist()], kind)
        else:
            column = table[name].cast(kind)
        table = table.set_column(at, name, column)
    return table
