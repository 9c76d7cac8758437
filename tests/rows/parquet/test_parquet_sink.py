"""What is written as Parquet: checksums, row groups and dictionaries."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sinks import written


def test_parquet_pages_carry_checksums() -> None:
    """The reader that verifies them refuses a changed page."""
    data = bytearray(written("parquet", [pa.record_batch({"id": pa.array(range(10_000))})]))
    chunk = pq.read_metadata(io.BytesIO(bytes(data))).row_group(0).column(0)
    data[chunk.data_page_offset + chunk.total_compressed_size // 2] ^= 1
    with pytest.raises((OSError, pa.ArrowException)):
        pq.read_table(io.BytesIO(bytes(data)), page_checksum_verification=True)


def test_small_batches_share_a_row_group() -> None:
    """131,072 rows make one, or 32 MiB; a group of each batch would cost memory by the batch."""
    small = pa.record_batch({"id": pa.array(range(1000), pa.int64())})
    data = written("parquet", [small] * 300)
    groups = pq.read_metadata(pa.BufferReader(data))
    rows = [groups.row_group(i).num_rows for i in range(groups.num_row_groups)]
    assert rows == [132_000, 132_000, 36_000]
    wide = pa.record_batch({"text": pa.array(["x" * 1_000_000] * 10)})
    assert pq.read_metadata(pa.BufferReader(written("parquet", [wide] * 8))).num_row_groups == 2


def test_dictionaries_that_differ_share_a_row_group() -> None:
    batches = [
        pa.record_batch({"c": pa.array(values).dictionary_encode()})
        for values in (["a", "b"], ["c", None, "a"], ["b"])
    ]
    read = pq.read_table(pa.BufferReader(written("parquet", batches)))
    assert read["c"].to_pylist() == ["a", "b", "c", None, "a", "b"]
    assert pa.types.is_dictionary(read["c"].type)


def test_only_columns_of_few_values_get_a_dictionary() -> None:
    """Building one for ids and confidences costs as much as all other writing."""
    batch = pa.record_batch({"id": ["a", "b"], "prediction": [3, 3], "form": ["x", "x"]})
    data = written("parquet", [batch], few_values=("prediction",))
    group = pq.read_metadata(pa.BufferReader(data)).row_group(0)
    chunks = [group.column(i) for i in range(3)]
    assert [chunk.has_dictionary_page for chunk in chunks] == [False, True, False]
