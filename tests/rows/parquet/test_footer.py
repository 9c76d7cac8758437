"""Damage to a footer is an exception, and not the end of the process."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchdigits.rows.parquet.footer import check_footer


def parquet_bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=2)
    written: bytes = sink.getvalue().to_pybytes()
    return written


def with_a_flipped_bit(data: bytes) -> Iterator[bytes]:
    """Yield the file once for each bit of its footer, with that one the other way."""
    first = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    for at in range(first, len(data) - 8):
        for bit in range(8):
            yield data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


def test_every_chunk_of_a_footer_that_passes_can_be_looked_at() -> None:
    """pyarrow ends the process for some damaged chunks, for which this test would be killed."""
    refused: list[str] = []
    for data in with_a_flipped_bit(parquet_bytes(pa.table({"a": [1, 2, 3]}))):
        try:
            metadata = pq.ParquetFile(pa.BufferReader(data)).metadata
        except (OSError, pa.ArrowException, UnicodeDecodeError):
            continue
        try:
            check_footer(metadata, len(data))
        except (OSError, pa.ArrowException) as error:
            refused.append(str(error))
            continue
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            for place in range(group.num_columns):
                assert group.column(place).compression
    for damage in ("histogram size mismatch", "compression codec"):
        assert any(damage in message for message in refused), damage


@pytest.mark.parametrize(
    "table",
    [
        pa.table({"a": [1, 2, 3], "b": [["x"], None, []]}),
        pa.table({"a": pa.array([], pa.int64())}),
        pa.table({}),
    ],
)
def test_a_sound_footer_passes(table: pa.Table) -> None:
    data = parquet_bytes(table)
    check_footer(pq.ParquetFile(pa.BufferReader(data)).metadata, len(data))
