"""Rows as Parquet."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq

from batchdigits.rows.sinks import Stream

ROW_GROUP_ROWS = 131_072
"""Rows of a Parquet row group: its encoded columns stay in memory until it is complete."""


class ParquetSink:
    """Rows as Parquet, zstd-compressed, every page with a checksum."""

    def __init__(self, stream: Stream, schema: pa.Schema) -> None:
        self._writer = pq.ParquetWriter(
            stream,
            schema,
            compression="zstd",
            compression_level=1,
            write_page_checksum=True,
            # Building dictionaries of ids and confidences costs as much as all other writing.
            use_dictionary=[field.name for field in schema if _has_few_values(field)],
        )

    def encode(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Nothing: the writer encodes."""
        return batch

    def write(self, encoded: pa.RecordBatch) -> None:
        """Append a batch to the row group at hand."""
        self._writer.write_batch(encoded, row_group_size=ROW_GROUP_ROWS)

    def close(self) -> None:
        """Write the footer."""
        self._writer.close()


def _has_few_values(field: pa.Field) -> bool:
    return bool(field.name == "prediction" or pa.types.is_dictionary(field.type))
