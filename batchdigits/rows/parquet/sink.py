"""Rows as Parquet."""

from __future__ import annotations

from collections.abc import Collection

import pyarrow as pa
import pyarrow.parquet as pq

from batchdigits.rows.contract import Stream

# Limits of a row group, whichever is reached first; until then its rows stay in memory.
ROW_GROUP_ROWS = 131_072
ROW_GROUP_BYTES = 32 << 20

_COLUMN_BYTES = 1024  # that a column of a batch takes at least, however few its values


def _stored_name(field: pa.Field) -> str:
    """Return the path of a column, or of the values of a column of lists, in the file."""
    is_list = pa.types.is_fixed_size_list(field.type)
    return f"{field.name}.list.element" if is_list else str(field.name)


class ParquetSink:
    """Rows as Parquet, zstd-compressed, every page with a checksum.

    few_values   columns with a dictionary
    group_bytes  bytes of rows that are gathered in memory for a row group
    """

    def __init__(
        self,
        stream: Stream,
        schema: pa.Schema,
        few_values: Collection[str] = (),
        group_bytes: int = ROW_GROUP_BYTES,
    ) -> None:
        self._group_bytes = group_bytes
        self._group: list[pa.RecordBatch] = []
        self._rows = self._bytes = 0
        self._writer = pq.ParquetWriter(
            stream,
            schema,
            compression="zstd",
            compression_level=1,
            write_page_checksum=True,
            # Building dictionaries of ids and confidences costs as much as all other writing.
            use_dictionary=[
                _stored_name(field)
                for field in schema
                if field.name in few_values or pa.types.is_dictionary(field.type)
            ],
        )

    def encode(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        return batch  # the writer itself encodes

    def write(self, encoded: pa.RecordBatch) -> None:
        # Batches are gathered, since pyarrow makes a row group of each one that it is given.
        self._group.append(encoded)
        self._rows += encoded.num_rows
        self._bytes += max(encoded.nbytes, encoded.num_columns * _COLUMN_BYTES)
        if self._rows >= ROW_GROUP_ROWS or self._bytes >= self._group_bytes:
            self._write_group()

    def close(self) -> None:
        self._write_group()
        self._writer.close()

    def _write_group(self) -> None:
        if self._rows:
            table = pa.Table.from_batches(self._group)
            # In one piece, unless a single batch is as large as two.
            self._writer.write_table(table, row_group_size=min(self._rows, 2 * ROW_GROUP_ROWS))
        self._group, self._rows, self._bytes = [], 0, 0
