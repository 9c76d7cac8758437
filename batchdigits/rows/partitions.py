"""Columns that folders stand for: `day=2026-11-27/a.csv` has the column `day` besides its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pyarrow as pa

from batchdigits.files.names import Partitions
from batchdigits.rows.arrow import batch_of, repeated
from batchdigits.rows.contract import Rows, Source
from batchdigits.rows.options import ReadOptions


class PartitionedSource:
    """A `Source` that adds the columns of folders, as text, to another.

    They come after the file's own columns, or where `keep` has them. A column of that name in the
    file stays as it is: it says what the row was, and the folder only where it was put.
    """

    def __init__(
        self,
        open_file: Callable[[ReadOptions], Source[Any]],
        options: ReadOptions,
        partitions: Partitions,
        name: str,
    ) -> None:
        options = replace(options, folders=tuple(key for key, _ in partitions))
        self._source = open_file(options)
        own = {field.name: field for field in self._source.schema}
        others = [key for key in options.folders if key not in own]
        chosen = options.choose([*own, *others], name)
        self._added = {key: text for key, text in partitions if key in others and key in chosen}
        fields = [*own.values(), *(pa.field(key, pa.string()) for key in self._added)]
        if options.keep:
            place = {key: i for i, key in enumerate(options.keep)}
            fields.sort(key=lambda field: place.get(field.name, -1))
        self.schema = pa.schema(fields)
        self.first_line = self._source.first_line
        self.expected_rows = self._source.expected_rows

    def blocks(self) -> Iterator[Any]:
        return self._source.blocks()

    def check(self, block: Any) -> Rows:
        rows = self._source.check(block)
        return replace(
            rows,
            passthrough=self._with_folders(rows.passthrough, len(rows.pixels)),
            rejected=self._with_folders(rows.rejected, len(rows.rejects)),
        )

    def _with_folders(self, batch: pa.RecordBatch, rows: int) -> pa.RecordBatch:
        own = dict(zip(batch.schema.names, batch.columns, strict=True))
        columns = [
            own[name] if name in own else repeated(self._added[name], rows)
            for name in self.schema.names
        ]
        return batch_of(columns, rows, self.schema)

    def verify(self, rows: int, lines: int) -> None:
        self._source.verify(rows, lines)

    def progress(self) -> float | None:
        return self._source.progress()

    def digest(self) -> str:
        return self._source.digest()

    def verify_unchanged(self) -> None:
        self._source.verify_unchanged()

    def close(self) -> None:
        self._source.close()
