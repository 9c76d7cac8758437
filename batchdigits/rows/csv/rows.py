"""Checked rows of one block of a CSV: cells, pixels, reasons and text put together."""

from __future__ import annotations

import codecs
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from batchdigits.images import PIXELS
from batchdigits.rows.arrays import rows_of
from batchdigits.rows.arrow import batch_of, positions
from batchdigits.rows.contract import Rows
from batchdigits.rows.csv.blocks import CsvBlock
from batchdigits.rows.csv.cells import Grid, RecordBounds, tokenize
from batchdigits.rows.csv.layout import CsvLayout
from batchdigits.rows.csv.records import RegularText, Special, cells_of, regular_text
from batchdigits.rows.csv.text import cell_text, decodable, text_column, without_undecodable
from batchdigits.rows.csv.values import PixelValues, pixel_text, read_pixels
from batchdigits.rows.rejects import BY_RANK, FINE, RANKS, RAW_LIMIT, Reject


@dataclass(frozen=True, slots=True)
class _Table:
    """The parts of a block: its records, the grid of those that fit it, the special records."""

    text: RegularText
    grid: Grid
    records: RecordBounds
    specials: dict[int, Special]
    gaps: tuple[tuple[int, int], ...]

    @property
    def count(self) -> int:
        return len(self.records.starts)

    def raw(self, record: int) -> bytes:
        """The bytes of a record in the file, without its line end."""
        special = self.specials.get(record)
        if special is not None:
            return special.raw
        return self.text.data[self.records.starts[record] : self.records.stops[record]]

    def grid_lines(self) -> NDArray[np.int64]:
        """The line of each record in the grid, -1 if it is not there."""
        gridded = self.records.gridded
        if gridded is None:
            return np.arange(self.count)
        places = np.full(self.count, -1)
        places[gridded] = np.arange(len(gridded))
        return places

    def first_lines(self) -> NDArray[np.int64]:
        """The offset of the first line of each record, and of the line after the last one."""
        lines = np.ones(self.count + 1, np.int64)
        lines[0] = 0
        for record, special in self.specials.items():
            lines[record + 1] = special.lines
        firsts = np.cumsum(lines)
        if not self.gaps:
            return firsts
        before, counts = np.array(self.gaps).T
        left_out = np.concatenate([[0], np.cumsum(counts)])
        moved: NDArray[np.int64] = firsts + left_out[np.searchsorted(before, firsts, side="right")]
        return moved

    @property
    def is_a_line_a_record(self) -> bool:
        return not self.gaps and all(special.lines == 1 for special in self.specials.values())


class _Faults:
    """The faults of the records of a block: of several in one record the least is kept.

    ranks   uint8, shape (r,): the rank of each record's reason, FINE without a fault
    pixels  int64, shape (r,): the pixel to blame, -1 where the fault is not a pixel's
    """

    def __init__(self, count: int) -> None:
        self.ranks = np.full(count, FINE, np.uint8)
        self.pixels = np.full(count, -1)

    def add(self, reason: str, records: Sequence[int] | NDArray[np.int64]) -> None:
        """Add a fault that is not a single pixel's."""
        places = np.asarray(records, np.int64)
        places = places[self.ranks[places] > RANKS[reason]]
        self.ranks[places] = RANKS[reason]
        self.pixels[places] = -1


def check_block(block: CsvBlock, layout: CsvLayout, schema: pa.Schema) -> Rows:
    """Checked rows of one block; `schema` is that of the pass-through columns."""
    if block.overlong:
        return _overlong_row(block, schema)
    table = _table(block, layout)
    values = read_pixels(table.grid, layout)
    faults = _faults(table, values, layout)
    if (faults.ranks == FINE).all():
        passthrough = _passthrough(table, layout, schema, None)
        first_lines = table.first_lines()
        return Rows(
            pixels=values.pixels,
            passthrough=passthrough,
            rejects=(),
            rejected=passthrough.slice(0, 0),
            rows=table.count,
            lines=int(first_lines[-1]),
            good_lines=None if table.is_a_line_a_record else first_lines[:-1],
        )
    return _with_rejects(table, values, faults, layout, schema)


def _table(block: CsvBlock, layout: CsvLayout) -> _Table:
    text = regular_text(block.data, layout)
    numeric = layout.numeric(text.data)
    grid, records = tokenize(numeric, layout.delimiter, layout.cells, text.inside)
    at = np.searchsorted(records.starts, [special.start for special in text.specials]).tolist()
    return _Table(text, grid, records, dict(zip(at, text.specials, strict=True)), block.gaps)


def _overlong_row(block: CsvBlock, schema: pa.Schema) -> Rows:
    nulls = [pa.nulls(1, field.type) for field in schema]
    rejected = batch_of(nulls, 1, schema)
    left_out = sum(count for _, count in block.gaps)
    return Rows(
        pixels=np.empty((0, PIXELS), np.uint8),
        passthrough=rejected.slice(0, 0),
        rejects=(Reject(0, "line-too-long", line=left_out, raw=_shown(block.data)),),
        rejected=rejected,
        rows=1,
        lines=left_out + 1,
        good=np.empty(0, np.int64),
    )


def _faults(table: _Table, values: PixelValues, layout: CsvLayout) -> _Faults:
    faults = _Faults(table.count)
    if values.faults is not None:
        gridded = table.records.gridded
        lines = values.faults.lines
        records = lines if gridded is None else gridded[lines]
        faults.ranks[records] = values.faults.ranks
        faults.pixels[records] = values.faults.pixels
    cells = table.records.cells
    if cells is not None:
        few = np.flatnonzero(cells < layout.cells)
        faults.add("too-few-cells", few)
        faults.add("too-many-cells", np.flatnonzero(cells > layout.cells))
        faults.add("blank-line", _blank(table, few, layout))
    if layout.empty_end:
        faults.add("too-many-cells", _beyond_the_end(table, layout))
    faults.add("repeated-header", _repeated(table, faults, layout))
    faults.add("stray-quote", [i for i, special in table.specials.items() if special.stray])
    faults.add("bad-encoding", _undecodable(table))
    return faults


def _repeated(table: _Table, faults: _Faults, layout: CsvLayout) -> list[int]:
    """Copies of the header. Names are not pixels: most copies have a fault already."""
    header = layout.header
    if header is None:
        return []
    lengths = table.records.stops - table.records.starts
    alike = (lengths == len(header)) | (lengths == len(codecs.BOM_UTF8) + len(header))
    alike[list(table.specials)] = True  # they have another length in the file
    if not layout.header_is_row:
        alike &= faults.ranks != FINE
    return [
        record
        for record in np.flatnonzero(alike).tolist()
        if table.raw(record).removeprefix(codecs.BOM_UTF8) == header
    ]


def _blank(table: _Table, few: NDArray[np.int64], layout: CsvLayout) -> list[int]:
    """Blank lines, which are among the records with too few cells."""
    b = np.frombuffer(table.text.data, np.uint8)
    empty_or_blank = np.frombuffer(b"\n" + layout.blanks, np.uint8)
    begins_blank = np.isin(b[table.records.starts[few]], empty_or_blank)
    return [
        record
        for record in few[begins_blank].tolist()
        if not table.raw(record).strip(layout.blanks)
    ]


def _beyond_the_end(table: _Table, layout: CsvLayout) -> NDArray[np.int64]:
    """Records with text after the delimiter that ends each line."""
    starts, ends = table.grid.bounds(layout.cells - 1)
    filled = np.flatnonzero(ends > starts)
    data = table.text.data
    lines = [i for i in filled.tolist() if pixel_text(data[starts[i] : ends[i]], layout.blanks)]
    gridded = table.records.gridded
    return np.asarray(lines, np.int64) if gridded is None else gridded[lines]


def _undecodable(table: _Table) -> list[int]:
    """Records that are not UTF-8 or hold a NUL; each is tested only if the whole text fails."""
    strays = [i for i, special in table.specials.items() if special.stray]
    suspects = strays if decodable(table.text.data) else range(table.count)
    return [record for record in suspects if not decodable(table.raw(record))]


def _with_rejects(
    table: _Table, values: PixelValues, faults: _Faults, layout: CsvLayout, schema: pa.Schema
) -> Rows:
    fine = faults.ranks == FINE
    gridded = table.records.gridded
    scorable = fine if gridded is None else fine[gridded]
    kept = scorable if values.good is None else scorable[values.good]
    pixels = values.pixels if kept.all() else rows_of(values.pixels, kept)
    first_lines = table.first_lines()
    rejected = np.flatnonzero(~fine)
    in_grid = table.grid_lines()[rejected]
    rejects = tuple(
        Reject(
            record,
            BY_RANK[faults.ranks[record]],
            int(first_lines[record]),
            *_cell(table, layout, faults.pixels[record], grid_line),
            raw=_shown(table.raw(record)),
        )
        for record, grid_line in zip(rejected.tolist(), in_grid.tolist(), strict=True)
    )
    return Rows(
        pixels=pixels,
        passthrough=_passthrough(table, layout, schema, np.flatnonzero(scorable)),
        rejects=rejects,
        rejected=_rejected(table, layout, schema, rejects, in_grid),
        rows=table.count,
        lines=int(first_lines[-1]),
        good=np.flatnonzero(fine),
        good_lines=None if table.is_a_line_a_record else first_lines[:-1][fine],
    )


def _cell(
    table: _Table, layout: CsvLayout, pixel: int, grid_line: int
) -> tuple[str | None, str | None]:
    """The name and the text of the cell to blame; None twice where no pixel is (-1)."""
    if pixel < 0:
        return None, None
    position = layout.pixel_columns[pixel]
    start, end = table.grid.span(grid_line, position)
    cell = table.text.data[start:end]
    if len(cell) > RAW_LIMIT:  # after thousands of blanks a number would be cut off
        cell = pixel_text(cell, layout.blanks)
    text = _shown(cell[1:-1].replace(b'""', b'"') if cell[:1] == b'"' else cell)
    return layout.names[position], text


def _shown(text: bytes) -> str:
    return text[: 4 * RAW_LIMIT].decode(errors="replace")[:RAW_LIMIT]


def _passthrough(
    table: _Table, layout: CsvLayout, schema: pa.Schema, lines: NDArray[np.int64] | None
) -> pa.RecordBatch:
    """The pass-through columns of some lines of the grid; `lines` None takes all."""
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
    layout: CsvLayout,
    schema: pa.Schema,
    rejects: Sequence[Reject],
    in_grid: NDArray[np.int64],
) -> pa.RecordBatch:
    """The pass-through columns of rejects: null where a cell is missing or can't be decoded.

    `in_grid` is the line of each reject in the grid, -1 where it is not there.
    """
    present = in_grid >= 0
    columns = [pa.nulls(len(rejects), pa.string())] * len(schema)
    if present.any():
        places = np.cumsum(present) - 1
        suspects = [
            int(place)
            for place, here, reject in zip(places, present, rejects, strict=True)
            if here and reject.reason == "bad-encoding"
        ]
        batch = _passthrough(table, layout, schema, in_grid[present])
        columns = [
            without_undecodable(column, suspects).take(positions(places, present))
            for column in batch.columns
        ]
    short = [i for i, reject in enumerate(rejects) if reject.reason == "too-few-cells"]
    if short:
        _fill_in(columns, table, layout, {i: rejects[i].row for i in short})
    return batch_of(columns, len(rejects), schema)


def _fill_in(
    columns: list[pa.Array], table: _Table, layout: CsvLayout, records: Mapping[int, int]
) -> None:
    """Put the cells that are there into the columns; `records` by their place in the columns."""
    cells = {}
    for place, record in records.items():
        raw = table.raw(record)
        cells[place] = cells_of(raw, 0, len(raw), layout.delimiter)
    most = max(map(len, cells.values()))
    for i, position in enumerate(layout.text_columns):
        if position < most:
            texts = columns[i].to_pylist()
            for place, row in cells.items():
                texts[place] = cell_text(row[position]) if position < len(row) else None
            columns[i] = pa.array(texts, pa.string())
