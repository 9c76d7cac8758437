"""What is written reads back as the same values."""

import csv
import datetime
import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchdigits.errors import UnusableInputError
from batchdigits.rows.formats import check_schema, open_sink


def written(kind: str, batches: list[pa.RecordBatch]) -> bytes:
    stream = io.BytesIO()
    sink = open_sink(kind, stream, batches[0].schema)
    for batch in batches:
        sink.write(sink.encode(batch))
    sink.close()
    return stream.getvalue()


@given(st.lists(st.tuples(st.text(st.characters(exclude_categories=["Cs"])), st.text("a,\"\r\n'"))))
def test_any_text_reads_back_from_csv(rows: list[tuple[str, str]]) -> None:
    """Python's csv reader, an independent one, gets every cell back."""
    columns = {"a,b": [r[0] for r in rows], "c": [r[1] for r in rows], "n": [1 for _ in rows]}
    batch = pa.record_batch(
        {k: pa.array(v, None if v else pa.string()) for k, v in columns.items()}
    )
    text = written("csv", [batch]).decode()
    read = list(csv.reader(io.StringIO(text, newline="")))
    assert read == [["a,b", "c", "n"], *([*row, "1"] for row in rows)]


def test_cells_without_special_characters_stay_bare() -> None:
    batch = pa.record_batch({"id": ["007", ""], "form": ["a b", "é"]})
    assert written("csv", [batch]) == "id,form\n007,a b\n,é\n".encode()


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1))
def test_float32_is_the_shortest_text_that_reads_back(values: list[float]) -> None:
    batch = pa.record_batch({"v": pa.array(values, pa.float32())})
    lines = written("csv", [batch]).decode().splitlines()[1:]
    assert pa.array([float(line) for line in lines], pa.float32()).equals(batch["v"])


def test_other_types_and_nulls_have_a_text() -> None:
    batch = pa.record_batch(
        {
            "t": pa.array([datetime.date(2026, 1, 31), None]),
            "b": pa.array([True, False]),
            "d": pa.array(["x,y", "z"]).dictionary_encode(),
        }
    )
    assert written("csv", [batch]) == b't,b,d\n2026-01-31,true,"x,y"\n,false,z\n'


def test_batches_and_slices_join_without_a_seam() -> None:
    batch = pa.record_batch({"id": pa.array(["a", "b", "c", "d"])})
    empty = batch.slice(0, 0)
    parts = [batch.slice(0, 1), empty, batch.slice(1, 3)]
    assert written("csv", parts) == written("csv", [batch]) == b"id\na\nb\nc\nd\n"


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_no_rows_are_a_valid_file_with_its_columns(kind: str) -> None:
    data = written(kind, [pa.record_batch({"id": pa.array([], pa.string())})])
    if kind == "csv":
        assert data == b"id\n"
    else:
        assert pq.read_table(io.BytesIO(data)).schema.names == ["id"]


def test_parquet_pages_carry_checksums() -> None:
    """The reader that verifies them refuses a changed page."""
    data = bytearray(written("parquet", [pa.record_batch({"id": pa.array(range(10_000))})]))
    chunk = pq.read_metadata(io.BytesIO(bytes(data))).row_group(0).column(0)
    data[chunk.data_page_offset + chunk.total_compressed_size // 2] ^= 1
    with pytest.raises((OSError, pa.ArrowException)):
        pq.read_table(io.BytesIO(bytes(data)), page_checksum_verification=True)


def test_columns_that_a_csv_cannot_hold_are_refused_with_the_fix() -> None:
    schema = pa.schema([("ok", pa.string()), ("img", pa.list_(pa.int8())), ("raw", pa.binary())])
    check_schema("parquet", schema, "f")
    with pytest.raises(UnusableInputError, match=r"'img' .*, 'raw' \(binary\); .* --keep"):
        check_schema("csv", schema, "f")


def test_an_extension_type_is_judged_by_what_it_is_stored_as() -> None:
    """A UUID is 16 bytes, which may happen to be text; JSON is text."""
    schema = pa.schema([("key", pa.uuid()), ("data", pa.json_())])
    with pytest.raises(UnusableInputError, match=r"a\.parquet: a CSV can't hold .*'key'") as caught:
        check_schema("csv", schema, "a.parquet")
    assert "data" not in str(caught.value)
    check_schema("parquet", schema, "a.parquet")


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
