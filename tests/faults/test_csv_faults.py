"""Faults of CSV files, entries 1 to 13: damage costs only the damaged rows."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fault_csv import ScoredCsv
from fault_data import HEADER, PIXEL_NAMES, csv_bytes, digit_rows, digit_table
from fault_runs import Job, assert_ledger, measured, predict_here

Score = Callable[..., ScoredCsv]
Clean = dict[str, list[str]]

ROWS = digit_rows(40)


def without(clean: Clean, *rows: int, count: int = len(ROWS)) -> list[list[str]]:
    """The prediction rows of the undamaged rows, without some of them, numbered from 0."""
    return [row for i, row in enumerate(list(clean.values())[:count]) if i not in rows]


def mixed_line_ends(data: bytes) -> bytes:
    """CRLF, CR and LF in turn."""
    lines = data.splitlines()
    return b"".join(line + (b"\r\n", b"\r", b"\n")[i % 3] for i, line in enumerate(lines))


def test_01_a_row_of_another_length_costs_itself_alone(score: Score, clean: Clean) -> None:
    rows = [*ROWS]
    rows[10] = rows[10][:-1]
    rows[20] = [*rows[20], "1"]
    rows[30] = rows[30][:1]
    rows[39] = rows[39][:40]
    scored = score("in.csv", csv_bytes(rows))
    assert scored.code == 3
    assert scored.places() == [
        (11, 12, "too-few-cells"),
        (21, 22, "too-many-cells"),
        (31, 32, "too-few-cells"),
        (40, 41, "too-few-cells"),
    ]
    assert scored.told("raw") == [(",".join(rows[i]),) for i in (10, 20, 30, 39)]
    assert scored.rows == without(clean, 10, 20, 30, 39)


@pytest.mark.parametrize("where", ["before", "inside", "behind", "instead"])
def test_02_a_stray_quote_in_any_cell_costs_at_most_its_row(
    score: Score, clean: Clean, where: str
) -> None:
    """Every second row of one file has a stray quote, each in another cell."""
    quoted = {
        "before": lambda cell: '"' + cell,
        "inside": lambda cell: cell[:1] + '"' + cell[1:],
        "behind": lambda cell: cell + '"',
        "instead": lambda cell: '"',
    }[where]
    rows = digit_rows(2 * len(HEADER))
    for cell in range(len(HEADER)):
        rows[2 * cell + 1][cell] = quoted(rows[2 * cell + 1][cell])
    scored = score("in.csv", csv_bytes(rows))
    assert len(scored.rows) + len(scored.rejects) == len(rows)
    assert {line % 2 for _, line, _ in scored.places()} == {1}, "only damaged rows are rejected"
    good = [row for row in scored.rows if row[0] in clean and int(row[0][1:]) % 2 == 0]
    assert good == [row for row in clean.values() if int(row[0][1:]) % 2 == 0]


@pytest.mark.parametrize("cell", [0, 1, 2, 33, 65])
def test_02_an_open_quote_swallows_nothing_up_to_the_end(
    score: Score, clean: Clean, cell: int
) -> None:
    """One quote in the whole file that is never closed."""
    rows = digit_rows(40)
    rows[7][cell] = '"' + rows[7][cell]
    scored = score("in.csv", csv_bytes(rows))
    assert scored.places() == [(8, 9, "stray-quote")]
    assert scored.rows == without(clean, 7)


def test_02_a_text_of_several_lines_is_one_cell(score: Score, clean: Clean) -> None:
    rows = digit_rows(40)
    rows[7][1] = '"two\nlines, and ""quotes"""'
    rows[8][0] = '"r0000008\r\n"'
    scored = score("in.csv", csv_bytes(rows))
    assert (scored.code, len(scored.rows)) == (0, 40)
    assert scored.rows[7] == ["r0000007", 'two\nlines, and "quotes"', *clean["r0000007"][2:]]
    assert scored.rows[8][0] == "r0000008\r\n"
    assert [scored.rows[i] for i in (6, 9)] == [clean[f"r{i:07}"] for i in (6, 9)]


def test_03_a_blank_line_between_rows_is_a_reject(score: Score, clean: Clean) -> None:
    lines = csv_bytes(ROWS).splitlines(keepends=True)
    lines[6:6] = [b"\n", b"  \t \n"]
    scored = score("in.csv", b"".join(lines))
    assert scored.places() == [(6, 7, "blank-line"), (7, 8, "blank-line")]
    assert scored.rows == without(clean)


def test_03_blank_lines_behind_the_last_row_are_no_rows(score: Score, clean: Clean) -> None:
    scored = score("in.csv", csv_bytes(ROWS) + b"\n\r\n   \n\n")
    assert (scored.code, scored.ran.summary["rows_in"]) == (0, 40)
    assert scored.rows == without(clean)


def test_04_an_empty_file_is_refused(score: Score) -> None:
    scored = score("in.csv", b"")
    assert scored.code == 65
    assert "in.csv: is empty" in scored.ran.error


def test_04_a_header_alone_gives_a_header_alone(score: Score) -> None:
    scored = score("in.csv", csv_bytes([]))
    assert scored.code == 0
    assert (scored.header[:4], scored.rows) == (["id", "note", "prediction", "confidence"], [])
    assert scored.ran.summary["rows_in"] == 0


def test_05_a_file_without_a_header_needs_the_flag(score: Score, clean: Clean) -> None:
    data = csv_bytes([[*row[2:], row[0]] for row in ROWS]).split(b"\n", 1)[1]
    refused = score("in.csv", data)
    assert refused.code == 65
    assert "--no-header" in refused.ran.error
    scored = score("in.csv", data, "--no-header")
    assert scored.code == 0
    assert [row[-2:] for row in scored.rows] == [row[-2:] for row in without(clean)]


@pytest.mark.parametrize("doubled", ["id", "pixel_7"])
def test_05_a_doubled_column_name_is_refused(score: Score, doubled: str) -> None:
    header = [*HEADER]
    header[1] = doubled
    scored = score("in.csv", csv_bytes(ROWS, header))
    assert scored.code == 65
    assert f"more than one column is named '{doubled}'" in scored.ran.error


def test_06_columns_in_another_order_are_found_by_name(score: Score, clean: Clean) -> None:
    order = [(i * 29) % 66 for i in range(66)]
    rows = [[row[i] for i in order] for row in ROWS]
    scored = score("in.csv", csv_bytes(rows, [HEADER[i] for i in order]), "--keep", "id,note")
    assert (scored.code, scored.rows) == (0, without(clean))


def test_06_63_or_65_pixel_columns_are_refused_and_named(score: Score) -> None:
    fewer = score("in.csv", csv_bytes([row[:-1] for row in ROWS], HEADER[:-1]))
    assert fewer.code == 65
    assert "63 of the 64" in fewer.ran.error
    assert "'pixel_63'" in fewer.ran.error
    more = score("in.csv", csv_bytes([[*row, "1"] for row in ROWS], [*HEADER, "pixel_64"]))
    assert more.code == 65
    assert "65 pixel columns" in more.ran.error
    assert "'pixel_64'" in more.ran.error


@pytest.mark.parametrize(("delimiter", "typed"), [(";", "';'"), ("\t", r"'\t'"), (" ", "' '")])
def test_07_another_delimiter_is_refused_until_it_is_named(
    score: Score, clean: Clean, delimiter: str, typed: str
) -> None:
    rows = [[row[0], "ink", *row[2:]] for row in ROWS]
    data = csv_bytes(rows, delimiter=delimiter)
    refused = score("in.csv", data)
    assert refused.code == 65
    assert f"--delimiter {typed}" in refused.ran.error
    scored = score("in.csv", data, "--delimiter", typed.strip("'"))
    assert scored.code == 0
    assert [row[2:] for row in scored.rows] == [row[2:] for row in without(clean)]


def test_08_a_second_header_is_a_reject(score: Score, clean: Clean) -> None:
    lines = csv_bytes(ROWS).splitlines(keepends=True)
    scored = score("in.csv", b"".join([*lines[:21], lines[0], *lines[21:]]))
    assert scored.places() == [(21, 22, "repeated-header")]
    assert scored.rows == without(clean)


def test_08_a_second_table_is_rejected_line_by_line(score: Score, clean: Clean) -> None:
    table = b"name,count\nday,3\nyear,5\n" + b",".join([b"other"] * 66) + b"\n"
    scored = score("in.csv", csv_bytes(ROWS) + table)
    assert [reason for _, _, reason in scored.places()] == ["too-few-cells"] * 3 + ["not-a-number"]
    assert scored.rows == without(clean)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: b"\xef\xbb\xbf" + data,
        lambda data: data.replace(b"\n", b"\r\n"),
        lambda data: data.replace(b"\n", b"\r"),
        mixed_line_ends,
        lambda data: data.removesuffix(b"\n"),
        lambda data: b"\xef\xbb\xbf" + data.replace(b"\n", b"\r\n").removesuffix(b"\r\n"),
    ],
    ids=["BOM", "CRLF", "CR", "mixed", "no final line end", "BOM, CRLF, no final line end"],
)
def test_09_other_line_ends_give_the_same_bytes(
    score: Score, change: Callable[[bytes], bytes]
) -> None:
    data = csv_bytes(ROWS)
    scored = score("in.csv", change(data))
    assert scored.code == 0
    assert scored.predictions == score("in.csv", data).predictions


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_10_another_encoding_is_refused(score: Score, encoding: str) -> None:
    scored = score("in.csv", csv_bytes(ROWS).decode().encode(encoding))
    assert scored.code == 65
    assert "UTF-8" in scored.ran.error


@pytest.mark.parametrize("bad", [b"\xff", b"\0", b"\xc3", b"\xed\xa0\x80", b"caf\xe9"])
@pytest.mark.parametrize("cell", [0, 1, 40])
def test_10_bytes_that_are_no_text_cost_their_row(
    score: Score, clean: Clean, bad: bytes, cell: int
) -> None:
    lines = csv_bytes(ROWS).splitlines(keepends=True)
    cells = lines[9].split(b",")
    lines[9] = b",".join([*cells[:cell], bad, *cells[cell + 1 :]])
    scored = score("in.csv", b"".join(lines))
    assert scored.places() == [(9, 10, "bad-encoding")]
    assert scored.rows == without(clean, 8)


@pytest.mark.parametrize("megabytes", [10, 100])
def test_11_a_giant_line_takes_bounded_memory(tmp_path: Path, megabytes: int) -> None:
    """Clean runs take some 130 MB; unbounded, the line would be held as bytes and as text."""
    data = csv_bytes(ROWS)
    giant = tmp_path / "giant.csv"
    giant.write_bytes(data + b"1," * (megabytes << 19) + b"\n" + data.split(b"\n", 2)[1] + b"\n")
    job = Job(giant, tmp_path / "out" / "p.csv")
    ran = measured(*job.arguments)
    assert ran.code == 3
    assert ran.summary["reasons"] == {"line-too-long": 1}
    assert ran.summary["rows_predicted"] == 41
    assert ran.peak_mb < 180
    assert_ledger(job, ran)


def test_11_a_giant_first_line_is_refused(score: Score) -> None:
    scored = score("in.csv", b"pixel_0," * (10 << 17) + b"\n")
    assert scored.code == 65
    assert "first line is longer than" in scored.ran.error


@pytest.mark.parametrize(
    "damage",
    [
        lambda packed: packed[: len(packed) // 2],
        lambda packed: packed[:-1],
        lambda packed: packed[:1000] + bytes([packed[1000] ^ 8]) + packed[1001:],
        lambda packed: packed[:-3] + b"\0\0\0",
        lambda packed: packed + b"junk",
        lambda packed: packed + packed[: len(packed) // 2],
    ],
    ids=["half", "one byte short", "a flipped bit", "wrong length", "junk behind", "half a member"],
)
def test_12_damaged_gzip_commits_nothing(score: Score, damage: Callable[[bytes], bytes]) -> None:
    scored = score("in.csv.gz", damage(gzip.compress(csv_bytes(digit_rows(500)), mtime=0)))
    assert scored.code == 65
    assert "gzip" in scored.ran.error


def test_12_all_members_of_a_gzip_file_are_read(score: Score, clean: Clean) -> None:
    parts = [csv_bytes(ROWS[:15]), *(csv_bytes([row]).split(b"\n", 1)[1] for row in ROWS[15:])]
    scored = score("in.csv.gz", b"".join(map(gzip.compress, parts)) + b"\0" * 512)
    assert (scored.code, scored.rows) == (0, without(clean))


@pytest.mark.parametrize("named", ["in.csv", "in.csv.gz", "in.csv.zst"])
def test_13_parquet_by_another_name_is_refused_by_its_content(score: Score, named: str) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(digit_table(40), sink)
    scored = score(named, sink.getvalue().to_pybytes())
    assert scored.code == 65
    assert "is Parquet by its content" in scored.ran.error
    assert "rename it to in.parquet" in scored.ran.error


@pytest.mark.parametrize("named", ["in.parquet", "in.csv.gz", "in.csv.zst"])
def test_13_a_csv_by_another_name_is_refused_by_its_content(score: Score, named: str) -> None:
    scored = score(named, csv_bytes(ROWS))
    assert scored.code == 65
    assert "plain text by its content" in scored.ran.error
    assert "rename it to in.csv" in scored.ran.error


def test_13_a_suffix_that_says_nothing_leaves_it_to_the_content(tmp_path: Path) -> None:
    pq.write_table(digit_table(40), tmp_path / "table.dat")
    (tmp_path / "text.dat2").write_bytes(csv_bytes(ROWS))
    out = tmp_path / "out"
    ran = predict_here(tmp_path / "table.dat", tmp_path / "text.dat2", "--output", out)
    assert (ran.code, ran.summary["rows_predicted"]) == (0, 80)
    assert PIXEL_NAMES[0] not in pq.read_schema(out / "table.dat.predictions.parquet").names
