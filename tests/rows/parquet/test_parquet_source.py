"""Parquet files come through whole, in order, or are refused before data is read."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchdigits.errors import BatchdigitsError, InternalError, UnusableInputError
from batchdigits.rows.contract import Rows
from batchdigits.rows.options import Machine, ReadOptions
from batchdigits.rows.parquet.source import BLOCK_BYTES, ParquetSource


def table_of(rows: int) -> pa.Table:
    numbers = np.arange(rows)
    columns = {"id": pa.array(numbers)}
    columns |= {f"pixel_{i}": pa.array(((numbers + i) % 17).astype(np.uint8)) for i in range(64)}
    return pa.table(columns)


def read(
    path: Path, *, batch_rows: int = 32_768, read_ahead: bool = False, **options: Any
) -> list[Rows]:
    machine = Machine(2 if read_ahead else 1, batch_rows)
    source = ParquetSource(path, ReadOptions(**options), path.name, machine)
    try:
        return [source.check(block) for block in source.blocks()]
    finally:
        source.close()


def test_rows_come_in_the_files_order_across_row_groups(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(table_of(1000), path, row_group_size=130)
    parts = read(path, batch_rows=64)
    assert sum(part.rows for part in parts) == 1000
    ids = [i for part in parts for i in part.passthrough["id"].to_pylist()]
    assert ids == list(range(1000))
    pixels = np.concatenate([part.pixels for part in parts])
    assert np.array_equal(pixels, (np.arange(1000)[:, None] + np.arange(64)) % 17)


@pytest.mark.parametrize("rows", [0, 1])
def test_tiny_files_are_files(tmp_path: Path, rows: int) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(table_of(rows), path)
    assert sum(part.rows for part in read(path)) == rows


def test_only_what_is_kept_is_read_and_types_stay(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    extra = pa.array([{"x": i} for i in range(5)])
    pq.write_table(table_of(5).append_column("nested", extra).append_column("no", extra), path)
    source = ParquetSource(path, ReadOptions(keep=("nested", "id")), "a.parquet")
    assert source.schema.names == ["nested", "id"]
    (part,) = [source.check(block) for block in source.blocks()]
    assert part.passthrough.schema.equals(source.schema)
    assert part.passthrough["nested"].to_pylist()[2] == {"x": 2}
    source.close()


def test_progress_follows_the_rows_read(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(table_of(100), path)
    source = ParquetSource(path, ReadOptions(), "a.parquet", Machine(1, 25))
    seen = [source.progress() for _ in source.blocks()]
    assert seen == [0.25, 0.5, 0.75, 1.0]
    source.close()


def test_counts_that_are_not_the_footers_are_an_internal_error(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(table_of(100), path)
    source = ParquetSource(path, ReadOptions(), "a.parquet")
    rows = sum(source.check(block).rows for block in source.blocks())
    source.verify(rows, 0)
    with pytest.raises(InternalError, match="a.parquet: the rows do not add up"):
        source.verify(rows - 1, 0)
    source.close()


@pytest.mark.parametrize("cut", [10, 1000, -9, -200])
def test_a_truncated_file_is_refused_in_one_line(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(table_of(1000), path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(UnusableInputError, match=r"a\.parquet: .*restore or re-create") as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_a_flipped_bit_is_seen_by_the_page_checksum(tmp_path: Path) -> None:
    """Flip one bit in every data page in turn: none is read as something else."""
    path = tmp_path / "a.parquet"
    pq.write_table(table_of(500), path, write_page_checksum=True, compression="none")
    whole = path.read_bytes()
    expected = [part.pixels for part in read(path)]
    chunk = pq.read_metadata(path).row_group(0).column(5)
    start, length = chunk.data_page_offset, chunk.total_compressed_size
    seen = 0
    for at in range(start, min(start + length, len(whole)), 37):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        try:
            parts = read(path)
        except BatchdigitsError:
            seen += 1
        else:
            # A page header's statistics may change without touching the data.
            assert all(np.array_equal(a, b.pixels) for a, b in zip(expected, parts, strict=True))
    assert seen > 0


def test_text_pixels_are_refused_before_any_data_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(table_of(5).set_column(1, "pixel_0", pa.array(["1"] * 5)), path)
    with pytest.raises(UnusableInputError, match="pixel_0 \\(string\\)"):
        ParquetSource(path, ReadOptions(), "a.parquet")


@pytest.mark.parametrize("before", [0, 500])
@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view(), pa.binary()])
def test_a_long_cell_that_is_stored_once_does_not_fill_the_memory(
    tmp_path: Path, before: int, kind: pa.DataType
) -> None:
    """Blocks end where their cells become too many bytes; the rows stay as they are."""
    path = tmp_path / "a.parquet"
    notes = ["short"] * before + ["x" * 60_000] * 1000
    table = table_of(len(notes)).append_column("note", pa.array(notes).cast(kind))
    pq.write_table(table, path, row_group_size=700)
    assert path.stat().st_size < 1_000_000
    source = ParquetSource(path, ReadOptions(), "a.parquet")
    ids, sizes = [], []
    for block in source.blocks():
        rows = source.check(block)
        ids += rows.passthrough["id"].to_pylist()
        cells = rows.passthrough["note"].cast(pa.large_binary())
        sizes.append(sum(len(cell) for cell in cells.to_pylist()))
        assert (
            rows.passthrough["note"].to_pylist()
            == table["note"].to_pylist()[len(ids) - rows.rows : len(ids)]
        )
        assert np.array_equal(rows.pixels[:, 0], rows.passthrough["id"].to_numpy() % 17)
    source.close()
    assert ids == list(range(len(notes)))
    assert max(sizes) <= BLOCK_BYTES + 60_000


@pytest.mark.parametrize("rows", [0, 1000, 3000])
@pytest.mark.parametrize("batch_rows", [1, 100, 1000])
def test_texts_stay_beside_their_pixels(tmp_path: Path, batch_rows: int, rows: int) -> None:
    """Of many rows columns of text are read by themselves; row groups and batches cut them anyhow.

    Few rows are read at once.
    """
    path = tmp_path / "a.parquet"
    table = table_of(rows)
    names = pa.array([f"form {i}" for i in range(rows)], pa.string())
    pq.write_table(table.add_column(0, "form", names), path, row_group_size=333)
    parts = read(path, batch_rows=batch_rows, keep=("form", "id"))
    assert max((part.rows for part in parts), default=0) <= batch_rows
    forms = [row for part in parts for row in part.passthrough.to_pylist()]
    assert forms == [{"form": f"form {i}", "id": i} for i in range(rows)]


def test_a_list_of_pixels_of_any_length_may_be_the_only_column(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    lists = pa.array([[1] * 64, [2] * 63, None] * 200, pa.list_(pa.uint8()))
    pq.write_table(pa.table({"pixels": lists}), path)
    parts = read(path)
    assert sum(len(part.pixels) for part in parts) == 200
    assert sum(len(part.rejects) for part in parts) == 400


@pytest.mark.parametrize("read_ahead", [False, True])
def test_a_name_with_a_dot_is_no_field_of_another_column(tmp_path: Path, read_ahead: bool) -> None:
    """pyarrow takes `a.b` for both, and what is missing of the struct would become nulls."""
    path = tmp_path / "a.parquet"
    structs = pa.array([{"b": i, "c": f"x{i}"} for i in range(50)])
    table = table_of(50).append_column("a", structs).append_column("a.b", pa.array(range(50)))
    pq.write_table(table, path)
    (part,) = read(path, read_ahead=read_ahead)
    assert part.passthrough["a"].to_pylist() == structs.to_pylist()
    assert part.passthrough["a.b"].to_pylist() == list(range(50))


def with_texts(rows: int) -> pa.Table:
    return table_of(rows).append_column("text", pa.array([f"t{i}" for i in range(rows)]))


def test_reading_ahead_gives_the_same_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(with_texts(9000), path, row_group_size=2500)
    for mine, theirs in zip(
        read(path, batch_rows=2000, read_ahead=True), read(path, batch_rows=2000), strict=True
    ):
        assert mine.passthrough.equals(theirs.passthrough)
        assert np.array_equal(mine.pixels, theirs.pixels)


def test_damage_is_told_alike_when_it_is_read_ahead(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(with_texts(9000), path, row_group_size=2500, write_page_checksum=True)
    metadata = pq.read_metadata(path)
    chunk = metadata.row_group(2).column(metadata.schema.names.index("pixel_9"))
    data = bytearray(path.read_bytes())
    data[chunk.data_page_offset + chunk.total_compressed_size // 2] ^= 0xFF
    path.write_bytes(data)
    told = []
    for read_ahead in (False, True):
        with pytest.raises(UnusableInputError, match="can't be read as Parquet") as caught:
            read(path, batch_rows=1000, read_ahead=read_ahead)
        told.append(str(caught.value))
    assert told[0] == told[1]


def test_closing_amid_reading_ahead_leaves_no_thread(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(with_texts(9000), path)
    before = threading.active_count()
    source = ParquetSource(path, ReadOptions(), "a.parquet", Machine(2, 500))
    blocks = source.blocks()
    next(blocks)
    assert threading.active_count() == before + 1
    source.close()
    assert threading.active_count() == before
