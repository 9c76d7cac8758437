"""A Parquet file is looked through before it is decoded: counts, sizes, times that would wrap."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchdigits.errors import UnusableInputError
from batchdigits.rows.options import ReadOptions
from batchdigits.rows.parquet.chunks import PIECE_BYTES, PIECE_ROWS, leaves_of, piece_rows
from batchdigits.rows.parquet.source import ParquetSource

PIXELS = {f"pixel_{i}": pa.array([i % 17] * 3, pa.uint8()) for i in range(64)}
CENTURY = datetime.datetime(9999, 12, 31, 23, 59, 59)


def written(path: Path, columns: dict[str, Any], **how: Any) -> ParquetSource:
    pq.write_table(pa.table(columns), path, **how)
    return ParquetSource(path, ReadOptions(), "a.parquet")


def rows_of(source: ParquetSource) -> list[dict[str, Any]]:
    return [row for block in source.blocks() for row in source.check(block).passthrough.to_pylist()]


@pytest.mark.parametrize("column", ["pixel_0", "pixel_63", "id"])
def test_rows_that_both_counters_of_the_footer_hide_refuse_the_file(
    tmp_path: Path, column: str
) -> None:
    path = tmp_path / "a.parquet"
    rows = 1000
    table = pa.table({name: pa.array([1] * rows, pa.uint8()) for name in (*PIXELS, "id")})
    pq.write_table(table, path, write_statistics=False)
    data = path.read_bytes()
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    thousand, fewer = b"\x16\xd0\x0f", b"\x16\x80\x0f"  # zigzag 1000 and 960
    places = [at for at in range(footer, len(data)) if data.startswith(thousand, at)]
    counts = {"file": places[0], "group": places[-1]}
    for at in counts.values():
        data = data[:at] + fewer + data[at + 3 :]
    path.write_bytes(data)
    assert pq.read_metadata(path).num_rows == pq.read_metadata(path).row_group(0).num_rows == 960
    options = ReadOptions(keep=(column,) if column == "id" else ())
    with pytest.raises(UnusableInputError, match="has 960 rows, but 1000 values of column"):
        ParquetSource(path, options, "a.parquet")


@pytest.mark.parametrize(
    ("times", "unit"),
    [
        ([CENTURY, None, datetime.datetime(1500, 1, 1)], "us"),
        ([datetime.datetime(2026, 1, 1, 1, 2, 3, 456789), None, None], "ns"),
        (
            [datetime.datetime(1, 1, 1), CENTURY, datetime.datetime(1969, 12, 31, 23, 59, 59, 1)],
            "us",
        ),
    ],
)
def test_int96_timestamps_keep_their_values(tmp_path: Path, times: list[Any], unit: str) -> None:
    columns = {**PIXELS, "at": pa.array(times, pa.timestamp("us"))}
    source = written(tmp_path / "a.parquet", columns, use_deprecated_int96_timestamps=True)
    assert source.schema.field("at").type == pa.timestamp(unit)
    assert [row["at"] for row in rows_of(source)] == times


def test_int96_timestamps_in_structs_and_lists_keep_their_values(tmp_path: Path) -> None:
    times = pa.array([CENTURY, None, CENTURY], pa.timestamp("us"))
    lists = pa.ListArray.from_arrays(pa.array([0, 1, 3, 3]), times)
    columns = {**PIXELS, "s": pa.StructArray.from_arrays([times], ["at"]), "l": lists}
    source = written(tmp_path / "a.parquet", columns, use_deprecated_int96_timestamps=True)
    rows = rows_of(source)
    assert [row["s"]["at"] for row in rows] == [CENTURY, None, CENTURY]
    assert [row["l"] for row in rows] == [[CENTURY], [None, CENTURY], []]


def test_int96_nanoseconds_are_kept_and_refused_beside_far_years(tmp_path: Path) -> None:
    fine = pa.array([1, 999, -1], pa.timestamp("ns"))
    columns = {**PIXELS, "at": fine}
    source = written(tmp_path / "a.parquet", columns, use_deprecated_int96_timestamps=True)
    (block,) = source.blocks()
    assert source.check(block).passthrough["at"].cast(pa.int64()).to_pylist() == [1, 999, -1]
    far = pa.array([CENTURY, CENTURY, CENTURY], pa.timestamp("us"))
    with pytest.raises(UnusableInputError, match="INT96 timestamps that no type can hold.*--keep"):
        written(
            tmp_path / "b.parquet", columns | {"far": far}, use_deprecated_int96_timestamps=True
        )


@pytest.mark.parametrize(
    "values",
    [
        pa.array([0, 1, -1], pa.date32()),
        pa.array([2**31 - 1, 0, -(2**31)], pa.int32()).view(pa.date32()),
        pa.array([2**62, 0, None], pa.timestamp("us", "Europe/Berlin")),
        pa.array([1, 2, None], pa.time64("ns")),
        pa.array([1, -2, None], pa.duration("ns")),
        pa.array([1.5, float("nan"), None], pa.float16()),
        pa.array([2**63 - 1, -(2**63), None], pa.int64()),
        pa.array([2**64 - 1, 0, None], pa.uint64()),
        pa.array(["1.10", "-0.01", None]).cast(pa.decimal128(38, 2)),
        pa.array([b"\xff\xfe", b"", None], pa.binary()),
        pa.array(["é", "\0", None], pa.string()),
        pa.array(["a", "b", "a"]).dictionary_encode(),
        pa.array([[1, None], None, []], pa.list_(pa.int8())),
        pa.array([{"a": 1}, None, {"a": None}], pa.struct([("a", pa.int64())])),
        pa.nulls(3),
    ],
    ids=lambda values: str(values.type),
)
def test_values_of_every_type_pass_through_unchanged(tmp_path: Path, values: pa.Array) -> None:
    source = written(tmp_path / "a.parquet", {**PIXELS, "x": values})
    (block,) = source.blocks()
    passed = source.check(block).passthrough["x"]
    if pa.types.is_floating(values.type):
        assert passed.view(pa.uint16()).equals(values.view(pa.uint16()))
    else:
        assert passed.cast(values.type).equals(values)


def test_an_interval_is_refused_since_it_would_become_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    table = pa.table({**PIXELS, "span": pa.array([b"x" * 12] * 3, pa.binary(12))})
    pq.write_table(table, path, store_schema=False)
    data = path.read_bytes()
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    name = data.index(b"span", footer)
    # In Thrift's compact protocol: the field after the name (4), converted_type (6), INTERVAL (21).
    data = data[: name + 4] + b"\x25\x2a" + data[name + 4 :]
    size = len(data) - 8 - footer
    path.write_bytes(data[:-8] + size.to_bytes(4, "little") + b"PAR1")
    assert pq.ParquetFile(path).schema.column(64).converted_type == "INTERVAL"
    with pytest.raises(UnusableInputError, match="'span' is INTERVAL.*--keep"):
        ParquetSource(path, ReadOptions(), "a.parquet")
    assert ParquetSource(path, ReadOptions(keep=()), "a.parquet").expected_rows == 3


@pytest.mark.parametrize("kind", [pa.int8(), pa.float64(), pa.string()])
def test_long_runs_in_lists_are_refused_before_they_are_decoded(
    tmp_path: Path, kind: pa.DataType
) -> None:
    flat = pa.array(np.zeros(8_000_000, np.int8)).cast(kind)
    lists = pa.LargeListArray.from_arrays(pa.array([0, 1, 2, 8_000_000], pa.int64()), flat)
    source = written(tmp_path / "a.parquet", {**PIXELS, "runs": lists})
    assert (tmp_path / "a.parquet").stat().st_size < 400_000
    before = pa.total_allocated_bytes()
    with pytest.raises(UnusableInputError, match=r"column runs\.list\.element .* in memory; leave"):
        next(source.blocks())
    assert pa.total_allocated_bytes() - before < 10_000_000
    source.close()


def test_pieces_are_smaller_where_texts_are_long_and_shared(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    sizes = {"short": 10, "long": 1 << 20}
    columns = {name: pa.array(["x" * size] * 3) for name, size in sizes.items()}
    pq.write_table(pa.table({**PIXELS, **columns}), path)
    stored = pa.OSFile(str(path))
    file = pq.ParquetFile(stored)
    rows = {
        name: piece_rows(stored, file.metadata, leaves_of(file.schema, [name]), "a")
        for name in columns
    }
    assert rows["short"] == PIECE_ROWS
    assert 1 <= rows["long"] <= 64


def test_texts_are_read_in_many_rows_at_once_where_none_is_long(tmp_path: Path) -> None:
    rows, path = 6000, tmp_path / "a.parquet"
    columns = {
        "ids": [f"{i:07}" for i in range(rows)],
        "kinds": ["a", "", "bc"] * (rows // 3),
        "notes": ["x" * 20_000] * rows,
    }
    pq.write_table(pa.table(columns), path, row_group_size=2500)
    stored = pa.OSFile(str(path))
    file = pq.ParquetFile(stored)

    def most(*names: str, rows: int = 9000) -> int:
        leaves = leaves_of(file.schema, list(columns))
        beside = set(columns).difference(names)
        return piece_rows(stored, file.metadata, leaves, "a", beside=beside, most=rows)

    assert most("ids") == most("kinds") == most("ids", "kinds") == 2500
    assert most("ids", rows=2000) == 2000
    assert most("notes") == most(*columns) == PIECE_ROWS


def test_texts_that_share_their_beginnings_are_read_in_small_pieces(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    texts = pa.table({"note": ["x" * 40_000] * 6000})
    pq.write_table(texts, path, use_dictionary=False, column_encoding={"note": "DELTA_BYTE_ARRAY"})
    stored = pa.OSFile(str(path))
    file = pq.ParquetFile(stored)
    leaves = leaves_of(file.schema, ["note"])
    assert piece_rows(stored, file.metadata, leaves, "a", most=6000) == PIECE_ROWS


def test_a_file_of_which_few_bytes_become_gigabytes_is_refused_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from batchdigits.rows.parquet import source as module

    monkeypatch.setattr(module, "LEAST_REFUSED", 50 << 20)
    rows = 5000
    pixels = {name: pa.array([1] * rows, pa.uint8()) for name in PIXELS}
    source = written(tmp_path / "a.parquet", {**pixels, "note": pa.array(["x" * 40_000] * rows)})
    with pytest.raises(UnusableInputError, match="columns of text and lists take .* --keep"):
        list(source.blocks())
    source.close()


def test_too_many_columns_are_refused_unless_keep_chooses(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    others = {f"c{i}": pa.array([1] * 3, pa.int8()) for i in range(2001)}
    pq.write_table(pa.table({**PIXELS, **others}), path)
    with pytest.raises(UnusableInputError, match=r"2,001 columns besides the pixels.*--keep"):
        ParquetSource(path, ReadOptions(), "a.parquet")
    assert ParquetSource(path, ReadOptions(keep=("c7",)), "a.parquet").schema.names == ["c7"]


@pytest.mark.parametrize("compression", ["none", "snappy", "zstd", "gzip", "brotli", "lz4"])
@pytest.mark.parametrize(
    ("texts", "longest"),
    [
        ([f"r{i:07}" for i in range(9000)], 8),
        ([f"r{i:07}" for i in range(9000)] + ["y" * 20], 20),  # as many bytes as two of the others
        ([f"{i}" * (i % 20 + 1) for i in range(1, 9000)], 80),
        ([f"r{i:07}" for i in range(9000)] + ["x" * 40_000], 40_000),
        ([f"r{i:07}" for i in range(9000)] + ["", "a\0\0\0\0\0b"], 8),
        ([f"{i:0300}" for i in range(900)], 300),
    ],
)
def test_the_longest_text_of_a_dictionary_is_known_before_it_is_decoded(
    tmp_path: Path, compression: str, texts: list[str], longest: int
) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": texts}), path, compression=compression)
    stored = pa.OSFile(str(path))
    file = pq.ParquetFile(stored)
    (leaf,) = leaves_of(file.schema, ["id"])
    rows = piece_rows(stored, file.metadata, [leaf], "a")
    size = (8 + longest) * len(texts)
    assert rows == min(PIECE_ROWS, PIECE_BYTES // (size // len(texts) + 1))
