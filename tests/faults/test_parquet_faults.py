"""Faults of Parquet files, entries 21 to 24: refused as a whole, before data is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fault_data import PIXEL_NAMES, digit_table
from fault_runs import Job, Ran, assert_ledger, count_rows, measured, predict_here
from paths import ROOT

from batchdigits.rows.parquet.source import SMALL_GROUP_BYTES

CAP_MB = 400
"""What a run may take, however its input is made up."""
LIMIT_MB = 1500
"""Address space for inputs that can't be read in so little: they must end cleanly."""
LIMITED = ["prlimit", f"--as={LIMIT_MB << 20}"]


def packed(table: pa.Table, **options: object) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, **options)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def score(folder: Path, data: bytes) -> Ran:
    """Score a Parquet file of these bytes; the counts must add up."""
    folder.mkdir(exist_ok=True)
    (folder / "in.parquet").write_bytes(data)
    job = Job(folder / "in.parquet", folder / "out" / "p.parquet")
    job.output.parent.mkdir(exist_ok=True)
    ran = predict_here(*job.arguments)
    assert_ledger(job, ran)
    return ran


def assert_all_refused(folder: Path) -> list[str]:
    """Score each file of a folder; return their errors."""
    out = folder.parent / "out"
    ran = predict_here(folder, "--output", out)
    entries = ran.summary["inputs"]
    assert ran.code == 65
    assert {entry["status"] for entry in entries} == {"refused"}
    assert len(ran.stderr.splitlines()) == len(entries) == len(list(folder.iterdir()))
    assert not out.exists() or list(out.iterdir()) == []
    return [entry["error"] for entry in entries]


def test_21_a_truncated_file_is_refused(tmp_path: Path) -> None:
    data = packed(digit_table(500))
    folder = tmp_path / "in"
    folder.mkdir()
    cuts = [1, 3, 4, 8, 100, *(len(data) * i // 10 for i in range(1, 10)), len(data) - 1]
    for cut in [*cuts, -8, -9, -100]:
        (folder / f"{cut}.parquet").write_bytes(data[:cut])
    assert all("in/" in error for error in assert_all_refused(folder))


def test_21_an_encrypted_file_is_refused(tmp_path: Path) -> None:
    data = packed(digit_table(10))
    ran = score(tmp_path, b"PARE" + data[4:-4] + b"PARE")
    assert ran.code == 65
    assert "encrypted" in ran.error


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda table: table.drop_columns(["pixel_9"]), "'pixel_9'"),
        (lambda table: table.append_column("pixel_64", table["pixel_0"]), "'pixel_64'"),
        (lambda table: table.rename_columns([f"c{i}" for i in range(66)]), "no pixel columns"),
        (lambda table: table.set_column(5, "pixel_3", table["id"]), "pixel_3 (string)"),
        (lambda table: table.append_column("prediction", table["id"]), "--keep"),
    ],
    ids=["63 pixels", "65 pixels", "other names", "text", "an output's name"],
)
def test_21_a_wrong_schema_is_refused_before_data_is_read(
    tmp_path: Path, change: Callable[[pa.Table], pa.Table], told: str
) -> None:
    """All data pages are zeroed: reading one would give another message."""
    data = packed(change(digit_table(300)))
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    ran = score(tmp_path, data[:4] + bytes(footer - 4) + data[footer:])
    assert ran.code == 65
    assert told in ran.error


@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_21_a_bit_that_flips_under_a_checksum_commits_nothing(
    tmp_path: Path, compression: str
) -> None:
    """One file for each column, with a flipped bit at the end and in the middle of its page."""
    options = {"compression": compression, "write_page_checksum": True, "use_dictionary": False}
    data = packed(digit_table(300), **options)
    group = pq.read_metadata(pa.BufferReader(data)).row_group(0)
    folder = tmp_path / "in"
    folder.mkdir()
    for i in range(0, group.num_columns, 3):
        chunk = group.column(i)
        begin, size = chunk.data_page_offset, chunk.total_compressed_size
        for at in (begin + size - 1, begin + size - size // 3):
            flipped = data[:at] + bytes([data[at] ^ 16]) + data[at + 1 :]
            (folder / f"{i}-{at}.parquet").write_bytes(flipped)
    assert len(assert_all_refused(folder)) == 44


def test_21_what_we_write_carries_checksums(tmp_path: Path) -> None:
    score(tmp_path, packed(digit_table(300)))
    path = tmp_path / "out" / "p.parquet"
    data = bytearray(path.read_bytes())
    chunk = pq.read_metadata(path).row_group(0).column(3)
    first = min(chunk.data_page_offset, chunk.dictionary_page_offset or chunk.data_page_offset)
    data[first + chunk.total_compressed_size - 1] ^= 1
    path.write_bytes(data)
    with pytest.raises(OSError, match=r"(?i)crc|checksum"):
        pq.read_table(path, page_checksum_verification=True)


def test_21_what_no_checksum_covers_is_in_the_docs() -> None:
    """A flip that decodes to a valid value can't be seen, so the docs must say it."""
    text = (ROOT / "docs" / "reference" / "limits.md").read_text(encoding="utf-8")
    section = text.split("## What can't be detected")[1].split("\n## ")[0]
    assert "flipped bit" in section
    assert "without page checksums" in section


@pytest.mark.parametrize("place", [0, 1, 2])
def test_22_rows_that_differ_from_the_footer_refuse_the_file(tmp_path: Path, place: int) -> None:
    """The footer promises one row more: the file's count, a row group's, a column's."""
    data = packed(digit_table(1000), write_statistics=False)
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    thousand, more = b"\x16\xd0\x0f", b"\x16\xd2\x0f"  # a Thrift i64: zigzag 1000 and 1001
    places = [at for at in range(footer, len(data)) if data.startswith(thousand, at)]
    at = {0: places[0], 1: places[-1], 2: places[1]}[place]
    ran = score(tmp_path, data[:at] + more + data[at + 3 :])
    assert ran.code in (0, 65), "the ledger balances, or nothing is published"
    if place == 0:
        assert ran.code == 65
        assert "1000 rows where the Parquet footer promises 1001" in ran.error


def test_23_no_rows_give_a_valid_output_of_no_rows(tmp_path: Path) -> None:
    sink = pa.BufferOutputStream()
    pq.ParquetWriter(sink, digit_table(1).schema).close()
    without_groups = sink.getvalue().to_pybytes()
    assert pq.read_metadata(pa.BufferReader(without_groups)).num_row_groups == 0
    for name, data in (("none", without_groups), ("empty", packed(digit_table(0)))):
        ran = score(tmp_path / name, data)
        assert (ran.code, ran.summary["rows_in"]) == (0, 0)
        read = pq.read_table(tmp_path / name / "out" / "p.parquet")
        assert read.column_names[:4] == ["id", "note", "prediction", "confidence"]
        assert read.num_rows == 0


@pytest.mark.parametrize("lists", [False, True])
def test_24_one_giant_row_group_stays_under_the_cap(tmp_path: Path, lists: bool) -> None:
    """benchmarks/memory.py takes five million rows; these show that memory does not follow."""
    rows = 600_000
    assert giant_row_group(tmp_path / "in.parquet", rows, lists=lists) == 1
    job = Job(tmp_path / "in.parquet", tmp_path / "out" / "p.parquet")
    ran = measured(*job.arguments)
    assert (ran.code, count_rows(job.output)) == (0, rows)
    assert ran.peak_mb < CAP_MB


def giant_row_group(path: Path, rows: int, *, lists: bool) -> int:
    """Write digits repeatedly as one row group; return the number of rows."""
    table = digit_table(1797)
    if lists:
        pixels = np.column_stack([table[name] for name in PIXEL_NAMES]).reshape(-1)
        table = table.select(["id"])
        table = table.append_column("pixels", pa.FixedSizeListArray.from_arrays(pixels, 64))
    table = pa.concat_tables([table] * (rows // 1797 + 1)).slice(0, rows)
    pq.write_table(table, path, row_group_size=rows, compression="zstd")
    groups: int = pq.read_metadata(path).num_row_groups
    return groups


def bomb(folder: Path) -> Path:
    """25 KB of Zstandard that hold two texts of 200 MB in a column that passes through."""
    table = digit_table(2)
    giant = pa.array(["\0" * (200 << 20)] * 2, pa.large_string())
    pq.write_table(
        table.set_column(1, "note", giant),
        folder / "in.parquet",
        compression="zstd",
        use_dictionary=False,
        write_statistics=False,
    )
    return folder / "in.parquet"


def giant_list(folder: Path) -> Path:
    """A row whose list of pixels has 30 million values, between rows of 64."""
    offsets = np.cumsum([0, 64, 30_000_000, 64]).astype(np.int32)
    pixels = pa.ListArray.from_arrays(offsets, pa.array(np.zeros(offsets[-1], np.uint8)))
    pq.write_table(
        pa.table({"pixels": pixels}),
        folder / "in.parquet",
        compression="zstd",
        use_dictionary=False,
    )
    return folder / "in.parquet"


def deep_nesting(folder: Path) -> Path:
    """Pixels as lists of lists of lists …: wrong by its type, whatever is inside."""
    kind = pa.uint8()
    for _ in range(60):
        kind = pa.list_(kind)
    pq.write_table(pa.table({"pixels": pa.nulls(3, kind)}), folder / "in.parquet")
    return folder / "in.parquet"


def with_page_of(data: bytes, at: int, size: int) -> bytes:
    """The file with another compressed size in the page header at `at`, without its checksum."""
    values, end = [], at  # type, size, compressed size, checksum: four i32 of Thrift's compact form
    for _ in range(4):
        start = end + 1
        end = next(i for i in range(start, start + 5) if data[i] < 128) + 1
        values.append(data[start:end])
    kind, plain, _compressed, _checksum = values
    giant = varint(2 * size, 5)
    room = end - at - len(kind) - len(giant) - 3
    plain = bytes([*(byte | 128 for byte in plain), *[128] * (room - len(plain) - 1), 0])
    header = b"\x15".join([b"", kind, plain, giant]) + b"\x2c"
    return data[:at] + header + data[end + 1 :]


def varint(value: int, length: int) -> bytes:
    return bytes([(value >> 7 * i) % 128 | (128 if i < length - 1 else 0) for i in range(length)])


def test_24_a_page_that_claims_to_be_giant_takes_no_memory(tmp_path: Path) -> None:
    data = packed(
        digit_table(300), compression="zstd", use_dictionary=False, write_page_checksum=True
    )
    for column in range(2, 66, 8):
        at = pq.read_metadata(pa.BufferReader(data)).row_group(0).column(column).data_page_offset
        data = with_page_of(data, at, 1_000_000_000)
    (tmp_path / "in.parquet").write_bytes(data)
    job = Job(tmp_path / "in.parquet", tmp_path / "out" / "p.parquet")
    ran = measured(*job.arguments)
    assert_ledger(job, ran)
    assert ran.code == 65
    assert ran.peak_mb < 250


def test_24_a_giant_page_in_a_large_row_group_ends_cleanly(tmp_path: Path) -> None:
    """Such groups are read through a buffer, for which pyarrow allocates the claimed size."""
    rows = 160_000
    table = pa.concat_tables([digit_table(1600)] * 100)
    options = {"use_dictionary": False, "write_page_checksum": True, "row_group_size": rows}
    data = packed(table, compression="zstd", **options)
    group = pq.read_metadata(pa.BufferReader(data)).row_group(0)
    assert group.total_byte_size > SMALL_GROUP_BYTES
    data = with_page_of(data, group.column(9).data_page_offset, 1_000_000_000)
    (tmp_path / "in.parquet").write_bytes(data)
    job = Job(tmp_path / "in.parquet", tmp_path / "out" / "p.parquet")
    ran = measured(*job.arguments, "--workers", "1", before=LIMITED)
    assert ran.code in (65, 70)
    assert_ledger(job, ran)


def test_24_memory_does_not_follow_the_row_groups_of_a_wide_file(tmp_path: Path) -> None:
    """Small row groups are read whole, one at a time, here with a hundred more columns."""
    table = digit_table(8000)
    generator = np.random.default_rng(0)
    for i in range(100):
        values = generator.integers(0, 1 << 32, len(table), np.uint32)
        table = table.append_column(f"other_{i}", pa.array(values))
    peaks = []
    for groups in (20, 60):
        source = tmp_path / f"{groups}.parquet"
        with pq.ParquetWriter(source, table.schema, use_dictionary=False) as writer:
            for _ in range(groups):
                writer.write_table(table)
        assert pq.read_metadata(source).row_group(0).total_byte_size < SMALL_GROUP_BYTES
        ran = measured(source, "--output", tmp_path / "out" / f"{groups}.parquet")
        assert (ran.code, ran.summary["rows_predicted"]) == (0, groups * len(table))
        peaks.append(ran.peak_mb)
    assert max(peaks) < CAP_MB
    assert peaks[1] < 1.25 * peaks[0]


@pytest.mark.parametrize("make", [giant_list, deep_nesting])
def test_24_what_swells_stays_in_the_memory_it_has_or_is_refused(
    tmp_path: Path, make: Callable[[Path], Path]
) -> None:
    job = Job(make(tmp_path), tmp_path / "out" / "p.parquet")
    ran = measured(*job.arguments, "--workers", "1", before=LIMITED)
    assert ran.code in (3, 65, 70)
    assert_ledger(job, ran)


def test_24_giant_cells_are_refused_before_they_are_read(tmp_path: Path) -> None:
    swollen = bomb(tmp_path)
    pq.write_table(digit_table(30), tmp_path / "sound.parquet")
    ran = measured(swollen, tmp_path / "sound.parquet", "--output", tmp_path / "out")
    statuses = [entry["status"] for entry in ran.summary["inputs"]]
    assert (ran.code, statuses) == (65, ["refused", "scored"]), ran.stderr
    assert "bytes of column note, more than 16,777,216 a cell; leave the column" in ran.error
    assert ran.peak_mb < CAP_MB


def test_24_giant_cells_of_columns_that_are_left_out_do_no_harm(tmp_path: Path) -> None:
    ran = measured(bomb(tmp_path), "--output", tmp_path / "p.parquet", "--keep", "id")
    assert (ran.code, ran.summary["rows_predicted"]) == (0, 2), ran.stderr
    assert ran.peak_mb < CAP_MB
