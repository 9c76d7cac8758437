"""The cells of pages as rows, and what was refused as rejects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from batchdigits.forms.arrays import png_of
from batchdigits.forms.columns import DETAIL, FILE, PAGES, REASON
from batchdigits.forms.pages.field_cells import Cell
from batchdigits.forms.pages.page import FieldResult, PageResult
from batchdigits.images import PIXELS

TEMPLATE = pa.field("template", pa.string())
"""The template of the page, by its file's name without .json: a column where there are several."""

REJECTS = pa.schema(
    [FILE, pa.field("page", pa.int32()), pa.field("field", pa.string()), REASON, DETAIL]
)
"""The columns of the rejects: pages, and fields of pages that were read."""


@dataclass(frozen=True, slots=True)
class PageRow:
    """A row before it is a column's value: a cell, and where it comes from."""

    file: str
    page: int
    field: str
    cell: Cell
    registration: float
    template: str


def rows_of(file: str, page: int, result: PageResult, *, blank_cells: bool) -> Iterator[PageRow]:
    """Yield the rows of a page: its characters; its blank cells and fields only if asked for."""
    where = result.registration.score, result.known.template.name
    for field in result.fields:
        for cell in _cells(field, blank_cells=blank_cells):
            yield PageRow(file, page, field.printed.field.name, cell, *where)


def _cells(field: FieldResult, *, blank_cells: bool) -> list[Cell]:
    if field.reason is not None:
        return []
    if not blank_cells:
        return [cell for cell in field.cells if cell.ink]
    return field.cells or [field.blank_cell()]


def schema_of(*, several: bool) -> pa.Schema:
    """Return the columns of rows; with `several` templates there is one for the template."""
    return PAGES.insert(2, TEMPLATE) if several else PAGES


def batch_of(rows: Sequence[PageRow], schema: pa.Schema) -> pa.RecordBatch:
    """Return rows as a batch."""
    pixels = np.array([row.cell.pixels for row in rows], np.uint8).reshape(-1)
    boxes = np.array([row.cell.box for row in rows], np.int32).reshape(-1)
    columns = {
        "file": pa.array([row.file for row in rows], pa.string()),
        "page": pa.array([row.page for row in rows], pa.int32()),
        "template": pa.array([row.template for row in rows], pa.string()),
        "field": pa.array([row.field for row in rows], pa.string()),
        "position": pa.array([row.cell.position for row in rows], pa.int32()),
        "pixels": pa.FixedSizeListArray.from_arrays(pa.array(pixels, pa.uint8()), PIXELS),
        "image": pa.array([png_of(row.cell.picture) for row in rows], pa.binary()),
        "box": pa.FixedSizeListArray.from_arrays(pa.array(boxes, pa.int32()), 4),
        "ink": pa.array([row.cell.ink for row in rows], pa.int32()),
        "registration": pa.array([row.registration for row in rows], pa.float32()),
    }
    return pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)
