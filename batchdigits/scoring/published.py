"""Files of predictions, each checked against the receipt of the run that wrote it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from batchdigits.errors import NoInputError, UnusableInputError, UsageError
from batchdigits.files.names import split_name
from batchdigits.images import PIXELS
from batchdigits.rows.pixels import LIST_COLUMN
from batchdigits.scoring.receipt import Receipt
from batchdigits.scoring.replay import check_output, find_input
from batchdigits.scoring.rescore import (
    output_schema_of,
    read_output,
    read_rejects,
    read_rows,
)
from batchdigits.text import listing

PIXEL_COLUMNS = tuple(f"pixel_{i}" for i in range(PIXELS))
"""The columns of kept pixels in formats without lists."""

KEEP_PIXELS = "predict with --keep-pixels, or keep the input where it was"


@dataclass(frozen=True)
class Predictions:
    """One file of predictions and its receipt."""

    path: Path
    receipt: Receipt

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns: typed of Parquet, text of CSV."""
        return output_schema_of(self.path)

    @property
    def rows(self) -> int:
        return self.receipt.counts.rows_predicted

    @property
    def stem(self) -> str:
        """The name that all outputs of the input share: `forms` of `forms.receipt.json`."""
        return self.receipt.path.name.removesuffix(".receipt.json")

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield some columns, batch by batch. Raises UnusableInputError for a missing one."""
        missing = [name for name in columns if name not in self.schema.names]
        if missing:
            raise UnusableInputError(
                f"{self.path}: no column {listing(map(repr, missing))}; its columns are "
                f"{listing(self.schema.names)}"
            )
        return read_output(self.path, list(columns))

    def take(self, columns: Sequence[str], places: NDArray[np.int64]) -> pa.Table:
        """Return the rows at `places`, ascending, of some columns."""
        parts, count = [], 0
        for batch in self.batches(columns):
            first, last = np.searchsorted(places, (count, count + batch.num_rows))
            if last > first:
                parts.append(batch.take(pa.array(places[first:last] - count)))
            count += batch.num_rows
        empty = pa.schema([self.schema.field(name) for name in columns]).empty_table()
        return pa.Table.from_batches(parts) if parts else empty

    def pixels(
        self, places: NDArray[np.int64], input_path: Path | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64] | None]:
        """Return the pixels, float32 (n, 64), and the numbers of the rows at `places`, ascending.

        The numbers (n,) count the input's rows from 1; None if they are not known. The pixels are
        those that predict kept in the file, else they are read from the receipt's input again.
        Raises NoInputError for a missing input, UnusableInputError for one that was changed.
        """
        kept = self._pixel_columns()
        if kept is None:
            return self._pixels_of_input(places, input_path)
        numbers = ["row"] if "row" in self.schema.names else []
        table = self.take([*kept, *numbers], places)
        if not numbers:
            return _matrix(table, kept), None
        return _matrix(table, kept), np.array([int(n) for n in table["row"].to_pylist()], np.int64)

    def _pixel_columns(self) -> tuple[str, ...] | None:
        names = set(self.schema.names)
        if LIST_COLUMN in names and pa.types.is_fixed_size_list(
            self.schema.field(LIST_COLUMN).type
        ):
            return (LIST_COLUMN,)
        return PIXEL_COLUMNS if names.issuperset(PIXEL_COLUMNS) else None

    def _pixels_of_input(
        self, places: NDArray[np.int64], input_path: Path | None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        try:
            input_file = find_input(self.receipt, input_path)
        except (NoInputError, UnusableInputError) as error:
            raise type(error)(f"{error}; or {KEEP_PIXELS}") from error
        if input_file is None:
            raise NoInputError(
                f"{self.path}: has no pixels, and its input was standard input; name a copy with "
                f"--input, or {KEEP_PIXELS}"
            )
        _, unscored = read_rejects(self.receipt)
        parts = list(read_rows(self.receipt, input_file, places, unscored))
        pixels: list[Any] = [np.zeros((0, PIXELS), np.float32), *(part for part, _ in parts)]
        numbers = [np.zeros(0, np.int64), *(part for _, part in parts)]
        return np.concatenate(pixels).astype(np.float32), np.concatenate(numbers)


def open_predictions(path: Path) -> Predictions:
    """Open a file of predictions with the receipt beside it.

    Raises NoInputError if either is missing, UnusableInputError if the file is not what the receipt
    says, UsageError for the name of another output.
    """
    stem = split_name(path.name)[0]
    for other in ("reviewed", "rejects", "receipt"):
        if stem.endswith(f".{other}"):
            raise UsageError(f"{path}: is a file of {other} rows; name the predictions")
    if not path.is_file():
        raise NoInputError(f"{path}: no such file; give the predictions that predict wrote")
    receipt_path = path.with_name(f"{stem.removesuffix('.predictions')}.receipt.json")
    if not receipt_path.is_file():
        raise NoInputError(
            f"{path}: its receipt {receipt_path.name} is missing beside it; a review needs to know "
            "what the predictions came from: keep both together, or run predict again"
        )
    receipt = Receipt.read(receipt_path)
    if receipt.predictions.path.name != path.name:
        raise UnusableInputError(
            f"{path}: {receipt_path.name} beside it is of {receipt.predictions.path.name}; name "
            "that, or run predict again"
        )
    check_output(receipt, receipt.predictions)
    return Predictions(path, receipt)


def _matrix(table: pa.Table, columns: Sequence[str]) -> NDArray[np.float32]:
    if len(columns) == 1:
        lists = table[columns[0]].combine_chunks()
        lists = lists.combine_chunks() if isinstance(lists, pa.ChunkedArray) else lists
        flat = lists.flatten().to_numpy(zero_copy_only=False)
        return np.asarray(flat, np.float32).reshape(-1, PIXELS)
    cells = [table[name].cast(pa.float32()).to_numpy() for name in columns]
    return np.ascontiguousarray(np.stack(cells, axis=1), np.float32)
