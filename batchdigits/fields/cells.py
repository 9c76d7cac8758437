"""The cells of a file of predictions, the rejected ones among them, in the order of the rows.

Predictions hold no row numbers, rejects do. As each row of the input is in one of the two files, in
the input's order, the numbers of the rejects tell between which predictions they belong.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from batchdigits.errors import UnusableInputError
from batchdigits.fields.inputs import Predictions
from batchdigits.rows.arrow import is_any, joined, take
from batchdigits.text import listing

# Rejects of whole lines: their cells may stand under the names of other columns.
_BROKEN_LINES = (
    "line-too-long",
    "bad-encoding",
    "blank-line",
    "stray-quote",
    "repeated-header",
    "too-few-cells",
    "too-many-cells",
)
_MODEL = "model"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The columns to read: those of the group, the position, and the probabilities, if any."""

    group: Sequence[str]
    position: str
    probabilities: Sequence[str] = ()


def cell_schema(file: Predictions, wanted: Wanted) -> pa.Schema:
    """Return the schema of the file's cells.

    group_0, …    the values of the group's columns, dictionaries decoded
    position      int64; null for a reject whose position is not known
    label         text; null for a cell without a digit
    confidence    float64; 1 if a reviewer decided, null for a rejected cell
    review        boolean: the decision is review
    rejected      boolean
    lost          boolean: a rejected line that may have been a cell of the fields around it
    probability_0, …   float64, one a class in the order of the file's columns

    Raises UnusableInputError for a column that is missing or can't be compared.
    """
    schema = file.schema
    missing = [n for n in (*wanted.group, wanted.position) if n not in schema.names]
    if missing:
        raise UnusableInputError(
            f"{file.path}: no column {listing(map(repr, missing))} for --group and --position; its "
            f"columns are {listing(schema.names)}"
        )
    kinds = [_plain(schema.field(name).type) for name in wanted.group]
    for name, kind in zip(wanted.group, kinds, strict=True):
        if pa.types.is_nested(kind):
            raise UnusableInputError(
                f"{file.path}: --group {name}: values of type {kind} can't be compared; name "
                "columns of numbers, texts or dates"
            )
    return pa.schema(
        [
            *((f"group_{at}", kind) for at, kind in enumerate(kinds)),
            ("position", pa.int64()),
            ("label", pa.string()),
            ("confidence", pa.float64()),
            *((name, pa.bool_()) for name in ("review", "rejected", "lost")),
            *((f"probability_{at}", pa.float64()) for at in range(len(wanted.probabilities))),
        ]
    )


def read_cells(file: Predictions, wanted: Wanted) -> Iterator[pa.RecordBatch]:
    """Yield the cells of the file and of its rejects in the order of the input's rows.

    Raises UnusableInputError for positions that are no whole numbers, 0 or more, and for a file
    that can't be read.
    """
    schema = cell_schema(file, wanted)
    rejects = _Rejects(file, wanted, schema)
    decided = [name for name in ("decision", "decided_by") if name in file.schema.names]
    columns = [*wanted.group, wanted.position, "prediction", "confidence", *decided]
    first = 0
    for batch in file.batches([*columns, *wanted.probabilities]):
        cells = _predicted(batch, schema, wanted, f"{file.path}: prediction {first + 1} or later")
        yield rejects.among(cells, first)
        first += batch.num_rows
    rest = rejects.after(first)
    if rest is not None:
        yield rest


class _Rejects:
    """The rejects of a file, put among its predictions batch by batch."""

    def __init__(self, file: Predictions, wanted: Wanted, schema: pa.Schema) -> None:
        self._batches = file.reject_batches([*wanted.group, wanted.position, "row", "reason"])
        self._wanted = wanted
        self._schema = schema
        self._where = f"{file.path}: its rejects"
        self._count = 0
        self._cells: pa.RecordBatch | None = None
        self._places = np.zeros(0, np.int64)

    def among(self, cells: pa.RecordBatch, first: int) -> pa.RecordBatch:
        """Return the predictions, which begin at `first`, and the rejects between them."""
        due, places = self._due(first + cells.num_rows)
        if due is None:
            return cells
        keys = np.concatenate([2 * np.arange(first, first + cells.num_rows) + 1, 2 * places])
        return take(joined([cells, due]), np.argsort(keys, kind="stable"))

    def after(self, count: int) -> pa.RecordBatch | None:
        """Return the rejects that follow the last of `count` predictions; None if none does."""
        return self._due(count + 1)[0]

    def _due(self, end: int) -> tuple[pa.RecordBatch | None, NDArray[np.int64]]:
        """The rejects that stand before prediction `end`, and the predictions that they precede."""
        parts, places = [], []
        while self._fill():
            assert self._cells is not None  # noqa: S101  # _fill says so
            count = int(np.searchsorted(self._places, end, side="left"))
            if not count:
                break
            parts.append(self._cells.slice(0, count))
            places.append(self._places[:count])
            self._cells, self._places = self._cells.slice(count), self._places[count:]
        if not parts:
            return None, np.zeros(0, np.int64)
        return joined(parts), np.concatenate(places)

    def _fill(self) -> bool:
        """Read the next rejects if none are at hand; return whether there are any."""
        while not len(self._places):
            batch = next(self._batches, None)
            if batch is None:
                return False
            rows = np.array(_whole(batch["row"], self._where, "row"), np.int64)
            self._places = rows - 1 - np.arange(self._count, self._count + len(rows))
            self._count += len(rows)
            self._cells = _rejected(batch, self._schema, self._wanted)
        return True


def _predicted(
    batch: pa.RecordBatch, schema: pa.Schema, wanted: Wanted, where: str
) -> pa.RecordBatch:
    rows = batch.num_rows
    label = batch["prediction"].cast(pa.string())
    label = pc.if_else(pc.equal(label, ""), None, label)
    confidence = batch["confidence"].cast(pa.float64())
    review = _falses(rows)
    if "decision" in batch.schema.names:
        review = pc.fill_null(pc.equal(batch["decision"].cast(pa.string()), "review"), False)
    if "decided_by" in batch.schema.names:
        person = pc.fill_null(pc.not_equal(batch["decided_by"].cast(pa.string()), _MODEL), False)
        settled = pc.and_not(pc.and_(person, pc.is_valid(label)), review)
        confidence = pc.if_else(settled, 1.0, confidence)
    columns = [
        *(batch[name].cast(schema.field(at).type) for at, name in enumerate(wanted.group)),
        _positions(batch[wanted.position], where, wanted.position),
        label,
        confidence,
        review,
        _falses(rows),
        _falses(rows),
        *(batch[name].cast(pa.float64()) for name in wanted.probabilities),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _rejected(batch: pa.RecordBatch, schema: pa.Schema, wanted: Wanted) -> pa.RecordBatch:
    rows = batch.num_rows
    known: dict[str, Any] = {
        "position": _known_positions(batch[wanted.position]),
        "review": _falses(rows),
        "rejected": pc.invert(_falses(rows)),
        "lost": pc.is_in(batch["reason"].cast(pa.string()), value_set=pa.array(_BROKEN_LINES)),
    }
    for at, name in enumerate(wanted.group):
        known[f"group_{at}"] = batch[name].cast(schema.field(at).type)
    columns = [known[f.name] if f.name in known else pa.nulls(rows, f.type) for f in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _positions(column: pa.Array, where: str, name: str) -> pa.Array:
    """Positions as int64. Raises UnusableInputError for those that are none."""
    values = _whole(column, where, name)
    if len(values) and (least := pc.min(values).as_py()) < 0:
        raise UnusableInputError(
            f"{where}: {name} {least}: positions count from 1, or from 0; name their column with "
            "--position"
        )
    return values


def _whole(column: pa.Array, where: str, name: str) -> pa.Array:
    """Whole numbers, or texts of them, as int64 without nulls."""
    values = _known_positions(column)
    if values.null_count:
        bad = column[pc.index(pc.is_null(values), True).as_py()].as_py()
        raise UnusableInputError(
            f"{where}: {name} {str(bad)[:50]!r}: expected a whole number; name the column of "
            "positions with --position"
        )
    return values


def _known_positions(column: pa.Array) -> pa.Array:
    """Whole numbers as int64; null where there is none."""
    column = column.cast(_plain(column.type))
    if is_any(column.type, "integer"):
        return column.cast(pa.int64(), safe=False)  # huge unsigned ones become negative
    if is_any(column.type, "floating", "decimal"):
        column = column.cast(pa.float64())
        fits = pc.and_(pc.equal(column, pc.floor(column)), pc.less(pc.abs(column), 2.0**53))
        return pc.if_else(pc.fill_null(fits, False), column, None).cast(pa.int64())
    if is_any(column.type, "string", "large_string", "string_view"):
        text = pc.utf8_trim_whitespace(column.cast(pa.string()))
        fits = pc.match_substring_regex(text, r"^[+]?[0-9]{1,18}(\.0*)?$")
        digits = pc.replace_substring_regex(text, pattern=r"^[+]|\.0*$", replacement="")
        return pc.if_else(pc.fill_null(fits, False), digits, None).cast(pa.int64())
    return pa.nulls(len(column), pa.int64())


def _plain(kind: pa.DataType) -> pa.DataType:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return pa.string() if pa.types.is_string_view(kind) else kind


def _falses(rows: int) -> pa.Array:
    return pa.repeat(pa.scalar(False), rows)
