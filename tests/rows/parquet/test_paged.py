"""Row groups of many pages take no more memory than a few pages of each column."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchdigits.errors import UnusableInputError
from batchdigits.rows.options import Machine, ReadOptions
from batchdigits.rows.parquet import source as module
from batchdigits.rows.parquet.paged import open_paged
from batchdigits.rows.parquet.source import ParquetSource

ROWS = 30_000


def table() -> pa.Table:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 17, (64, ROWS)).astype(np.uint8)
    ids = pa.array([f"id-{i}" for i in range(ROWS)])
    return pa.table({"id": ids, **{f"pixel_{i}": pixels[i] for i in range(64)}})


def one_group(path: Path, rows: pa.Table, **options: Any) -> Path:
    pq.write_table(rows, path, row_group_size=len(rows), data_page_size=2000, **options)
    return path


def source_of(path: Path, monkeypatch: pytest.MonkeyPatch) -> ParquetSource:
    monkeypatch.setattr(module, "SMALL_GROUP_BYTES", 0)
    return ParquetSource(path, ReadOptions(), "a", Machine(workers=1, batch_rows=1000))


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "snappy", "use_dictionary": False},
        {"compression": "zstd", "data_page_version": "2.0"},
        {"compression": "none", "write_statistics": False, "write_page_checksum": True},
    ],
    ids=str,
)
def test_rows_of_many_pages_are_read_as_they_were_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    rows = table()
    source = source_of(one_group(tmp_path / "a.parquet", rows, **options), monkeypatch)
    assert pa.Table.from_batches(source.blocks()).select(rows.schema.names).equals(rows)
    source.close()


def test_memory_does_not_grow_with_the_rows_of_a_row_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = one_group(tmp_path / "a.parquet", table(), use_dictionary=False, compression="none")
    source = source_of(path, monkeypatch)
    blocks = source.blocks()
    sizes = [pa.total_allocated_bytes() for _ in blocks]
    source.close()
    assert len(sizes) == ROWS // 1000
    assert sizes[-1] - sizes[4] < path.stat().st_size / 10


def test_a_read_ends_where_a_page_ends(tmp_path: Path) -> None:
    path = one_group(tmp_path / "a.parquet", table(), use_dictionary=False, compression="none")
    stored, metadata = pa.OSFile(str(path)), pq.read_metadata(path)
    paged = open_paged(stored, metadata)
    chunk = metadata.row_group(0).column(5)
    start, stop = chunk.data_page_offset, chunk.data_page_offset + chunk.total_compressed_size
    paged.seek(start)
    parts = []
    while paged.tell() < stop:
        parts.append(paged.read(1 << 20))
    assert len(parts) > 10
    assert b"".join(parts) == path.read_bytes()[start:stop]


def test_damaged_page_headers_are_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = one_group(tmp_path / "a.parquet", table())
    chunk = pq.read_metadata(path).row_group(0).column(40)
    data = bytearray(path.read_bytes())
    middle = chunk.data_page_offset + chunk.total_compressed_size // 2
    data[middle : middle + 4000] = b"\xff" * 4000
    path.write_bytes(data)
    source = source_of(path, monkeypatch)
    with pytest.raises(UnusableInputError, match="can't be read as Parquet"):
        list(source.blocks())
    source.close()
