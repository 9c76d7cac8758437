"""One block of a CSV to checked rows: cells, pixels, reasons and text put together."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from batchdigits.images import PIXELS
from batchdigits.rows.arrow import batch_of, positions
from batchdigits.rows.contract import Rows
from batchdigits.rows.csv.blocks import CsvBlock
from batchdigits.rows.csv.cells import Grid, Records, tokenize
from batchdigits.rows.csv.layout import Layout
from batchdigits.rows.csv.records import RegularText, Special, regular_text
from batchdigits.rows.csv.text import decodable, text_column, without_undecodable
from batchdigits.rows.csv.values import PixelValues, pixel_text, read_pixels
from batchdigits.rows.rejects import RAW_LIMIT, Reject


@dataclass(frozen=True, slots=True)
class _Table:
    """A block taken apart: its records, those that fit the grid, and the specials by record."""

    text: RegularText
    grid: Grid
    records: Records
    specials: dict[int, Special]

    @property
    def count(self) -> int:
        return len(self.records.starts)

    def raw(self, record: int) -> bytes:
        """A record as it stood in the file, without its line end."""
        special = self.specials.get(record)
        if special is not None:
            return special.raw
        return self.text.data[self.records.starts[record] : self.records.stops[record]]

    def grid_lines(self) -> NDArray[np.int64]:
        """Where each record is in the grid, -1 if it is not."""
        gridded = self.records.gridded
        if gridded is None:
            return np.arange(self.count)
        places = np.full(self.count, -1)
        places[gridded] = np.arange(len(gridded))
        return places

    def first_lines(self) -> NDArray[np.int64]:
        """The offset of the line that each record begins with, and behind them of the next."""
        lines = np.ones(self.count + 1, np.int64)
        lines[0] = 0
        for record, special in self.specials.items():
            lines[record + 1] = special.lines
        return np.cumsum(lines)

    @property
    def spans(self) -> bool:
        """Whether any record spans lines."""
        return any(special.lines > 1 for special in self.specials.values())


@dataclass(frozen=True, slots=True)
class _Fault:
    """Why a record is rejected, and the pixel to blame where it is one."""

    reason: str
    pixel: int | None = None


def check_block(block: CsvBlock, layout: Layout, schema: pa.Schema) -> Rows:
    """Checked rows of one block; `schema` is that of the pass-through columns."""
    if block.overlong:
        return _overlong_row(block, schema)
    table = _table(block.data, layout)
    values = read_pixels(table.grid, layout)
    faults = _faults(table, values, layout)
    if not faults:
        passthrough = _passthrough(table, layout, schema, None)
        first_lines = table.first_lines()
        return Rows(
            pixels=values.pixels,
            passthrough=passthrough,
            rejects=(),
            rejected=passthrough.slice(0, 0),
            rows=table.count,
            lines=int(first_lines[-1]),
            good_lines=first_lines[:-1] if table.spans else None,
        )
    return _with_rejects(table, values, faults, layout, schema)


def _table(data: bytes, layout: Layout) -> _Table:
    text = regular_text(data, layout)
    grid, records = tokenize(text.data, layout.delimiter, layout.cells, text.inside)
    at = np.searchsorted(records.starts, [special.start for special in text.specials]).tolist()
    return _Table(text, grid, records, dict(zip(at, text.specials, strict=True)))


def _overlong_row(block: CsvBlock, schema: pa.Schema) -> Rows:
    nulls = [pa.nulls(1, field.type) for field in schema]
    rejected = batch_of(nulls, 1, schema)
    return Rows(
        pixels=np.empty((0, PIXELS), np.uint8),
        passthrough=rejected.slice(0, 0),
        rejects=(Reject(0, "line-too-long", line=0, raw=_shown(block.data)),),
        rejected=rejected,
        rows=1,
        lines=1,
        good=np.empty(0, np.int64),
    )


def _faults(table: _Table, values: PixelValues, layout: Layout) -> dict[int, _Fault]:
    """Why records are rejected, by record; where several reasons fit, the first of the list."""
    gridded = table.records.gridded
    faults = {
        line if gridded is None else int(gridded[line]): _Fault(fault.reason, fault.pixel)
        for line, fault in values.faults.items()
    }
    faults |= _misshapen(table, layout)
    # From here on each step knows reasons that come before those of the steps above it.
    faults |= dict.fromkeys(_repeated(table, faults, layout), _Fault("repeated-header"))
    strays = [record for record, special in table.specials.items() if special.stray]
    faults |= dict.fromkeys(strays, _Fault("stray-quote"))
    faults |= dict.fromkeys(_blank(table, faults, layout), _Fault("blank-line"))
    faults |= dict.fromkeys(_undecodable(table), _Fault("bad-encoding"))
    return faults


def _misshapen(table: _Table, layout: Layout) -> dict[int, _Fault]:
    counts = table.records.cells
    if counts is None:
        return {}
    few = np.flatnonzero(counts < layout.cells).tolist()
    many = np.flatnonzero(counts > layout.cells).tolist()
    return dict.fromkeys(few, _Fault("too-few-cells")) | dict.fromkeys(
        many, _Fault("too-many-cells")
    )


def _repeated(table: _Table, faults: dict[int, _Fault], layout: Layout) -> list[int]:
    header = layout.header
    if header is None:
        return []
    sizes = (len(header), len(codecs.BOM_UTF8) + len(header))
    alike = np.isin(table.records.stops - table.records.starts, sizes)
    alike[list(table.specials)] = True  # whose length in the file is another
    return [
        record
        for record in np.flatnonzero(alike).tolist()
        if (layout.header_is_row or record in faults)
        and table.raw(record).removeprefix(codecs.BOM_UTF8) == header
    ]


def _blank(table: _Table, faults: dict[int, _Fault], layout: Layout) -> list[int]:
    b = np.frombuffer(table.text.data, np.uint8)
    empty_or_blank = np.frombuffer(b"\n" + layout.blanks, np.uint8)
    begins_blank = np.isin(b[table.records.starts], empty_or_blank)
    return [
        record
        for record in np.flatnonzero(begins_blank).tolist()
        if record in faults
        and faults[record].reason == "too-few-cells"
        and not table.raw(record).strip(layout.blanks)
    ]


def _undecodable(table: _Table) -> list[int]:
    """Records that are not UTF-8 or hold a NUL; a look at each only if there are any."""
    strays = [(i, special.raw) for i, special in table.specials.items() if special.stray]
    found = [i for i, raw in strays if not decodable(raw)]
    if not decodable(table.text.data):
        found += [i for i in range(table.count) if not decodable(table.raw(i))]
    return found


def _with_rejects(
    table: _Table,
    values: PixelValues,
    faults: dict[int, _Fault],
    layout: Layout,
    schema: pa.Schema,
) -> Rows:
    fine = np.ones(table.count, np.bool_)
    fine[list(faults)] = False
    gridded = table.records.gridded
    scorable = fine if gridded is None else fine[gridded]
    kept = scorable if values.good is None else scorable[values.good]
    pixels = values.pixels if kept.all() else values.pixels[kept]
    first_lines = table.first_lines()
    records = sorted(faults)
    in_grid = table.grid_lines()[records]
    rejects = tuple(
        _reject(table, layout, record, faults[record], line=line, grid_line=grid_line)
        for record, line, grid_line in zip(
            records, first_lines[records].tolist(), in_grid.tolist(), strict=True
        )
    )
    return Rows(
        pixels=pixels,
        passthrough=_passthrough(table, layout, schema, np.flatnonzero(scorable)),
        rejects=rejects,
        rejected=_rejected(table, layout, schema, rejects, in_grid),
        rows=table.count,
        lines=int(first_lines[-1]),
        good=np.flatnonzero(fine),
        good_lines=first_lines[:-1][fine] if table.spans else None,
    )


def _reject(
    table: _Table, layout: Layout, record: int, fault: _Fault, *, line: int, grid_line: int
) -> Reject:
    column = value = None
    if fault.pixel is not None:
        position = layout.pixel_columns[fault.pixel]
        column = layout.names[position]
        cell = table.grid.cell(grid_line, position)
        if len(cell) > RAW_LIMIT:  # behind thousands of blanks a number would be cut off
            cell = pixel_text(cell, layout.blanks)
        value = _shown(cell[1:-1].replace(b'""', b'"') if cell[:1] == b'"' else cell)
    raw = _shown(table.raw(record))
    return Reject(record, fault.reason, line=line, column=column, value=value, raw=raw)


def _shown(text: bytes) -> str:
    return text[: 4 * RAW_LIMIT].decode(errors="replace")[:RAW_LIMIT]


def _passthrough(
    table: _Table, layout: Layout, schema: pa.Schema, lines: NDArray[np.int64] | None
) -> pa.RecordBatch:
    """The pass-through columns of some lines of the grid, None for all."""
    columns = []
    for position in layout.text_columns:
        starts, ends = table.grid.bounds(position)
        if lines is not None:
            starts, ends = starts[lines], ends[lines]
        columns.append(
            text_column(table.text.data, starts, ends, quotes=table.text.inside is not None)
        )
    return batch_of(columns, len(table.grid.first) if lines is None else len(lines), schema)


def _rejected(
    table: _Table,
    layout: Layout,
    schema: pa.Schema,
    rejects: Sequence[Reject],
    in_grid: NDArray[np.int64],
) -> pa.RecordBatch:
    """The pass-through columns of rejects: null where a cell can't be told or decoded.

    `in_grid` says for each reject where it is in the grid, -1 where it is not.
    """
    present = in_grid >= 0
    batch = _passthrough(table, layout, schema, in_grid[present])
    places = np.cumsum(present) - 1
    suspects = [
        int(place)
        for place, here, reject in zip(places, present, rejects, strict=True)
        if here and reject.reason == "bad-encoding"
    ]
    columns = [
        without_undecodable(column, suspects).take(positions(places, present))
        for column in batch.columns
    ]
    return batch_of(columns, len(rejects), schema)
