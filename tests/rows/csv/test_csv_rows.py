"""A block becomes checked rows and rejects."""

from __future__ import annotations

import numpy as np
import pytest
from csv_sources import HEADER, PIXELS, line, read, scored, source_of


def test_a_header_of_numbers_met_again_is_no_row():
    """0 … 63 would pass for pixels of 0 … 255."""
    header = ",".join(str(i) for i in range(64))
    _, pixels, rejects = scored(f"{header}\n{header}\n{','.join(['255'] * 64)}\n", scale=255.0)
    assert pixels == [[16.0] * 64]
    assert rejects == [(2, "repeated-header", None, None)]


def test_empty_cells_between_tabs_are_no_blank_line():
    """With tabs as delimiter a line of tabs is a row without values."""
    text = HEADER.replace(",", "\t") + "\n" + "\t" * 64 + "\n"
    _, _, rejects = scored(text, delimiter="\t")
    assert rejects == [(2, "missing", "pixel_0", "")]


def test_odd_cells_are_judged_in_pixel_order_whatever_the_order_in_the_file():
    """The reject names the first pixel, not the first cell of the line."""
    names = list(reversed(PIXELS))
    row = ["1"] * 64
    row[0], row[5], row[63] = "nan", "17", "5.25"
    row[1] = "inf"
    _, _, rejects = scored(",".join(names) + "\n" + ",".join(row))
    assert rejects == [(2, "not-finite", "pixel_62", "inf")]


def test_rows_without_other_columns_are_counted():
    source = source_of(",".join(PIXELS) + "\n" + ",".join(["1"] * 64) + "\n1\n")
    (rows,) = read(source)
    assert rows.passthrough.num_rows == 1
    assert rows.rejected.num_rows == 1
    assert rows.rejected.schema == rows.passthrough.schema == source.schema


def test_whole_pixels_stay_uint8_and_others_become_float32():
    whole = read(source_of(f"{HEADER}\n{line('a', '5.0')}\n{line('b', '5.00')}"))[0]
    assert whole.pixels.dtype == np.uint8
    assert (whole.pixels == 5).all()
    parts = read(source_of(f"{HEADER}\n{line('a', '5.25')}"))[0]
    assert parts.pixels.dtype == np.float32
    assert (parts.pixels == 5.25).all()


def test_scaled_pixels_follow_the_formula_in_float32():
    (rows,) = read(source_of(f"{HEADER}\n{line('a', '77')}\n{line('b', '255')}", scale=255.0))
    expected = np.float32(77) * np.float32(16) / np.float32(255)
    assert rows.pixels.dtype == np.float32
    assert rows.pixels[:, 0].tolist() == [float(expected), 16.0]


def test_lines_that_are_no_utf8_or_hold_nul_are_rejected_and_their_ids_kept():
    names = ["id", "note", *PIXELS]
    ones = b",1" * 64
    lines = [
        ",".join(names).encode(),
        b"1,caf\xe9" + ones,
        b"2,a\0b" + ones,
        b"3,caf\xc3\xa9" + ones,
    ]
    (rows,) = read(source_of(b"\n".join([*lines, b"4,\xff", b""])))
    assert [r.reason for r in rows.rejects] == ["bad-encoding"] * 3
    assert rows.rejected.to_pydict() == {"id": ["1", "2", None], "note": [None, None, None]}
    assert rows.passthrough.to_pylist() == [{"id": "3", "note": "café"}]
    assert rows.good.tolist() == [2]
    assert rows.rejects[0].raw.startswith("1,caf\ufffd,1,1")


def test_a_second_table_further_down_is_rejected_line_by_line():
    text = "\n".join([HEADER, line("a"), "", "\ufeff" + HEADER, "x,y", "1,2", line("b"), HEADER])
    ids, _, rejects = scored(text)
    assert ids == ["a", "b"]
    assert [(at, reason) for at, reason, _, _ in rejects] == [
        (3, "blank-line"),
        (4, "repeated-header"),
        (5, "too-few-cells"),
        (6, "too-few-cells"),
        (8, "repeated-header"),
    ]


@pytest.mark.parametrize("cell", ["{}17", "17{}", '"{}17"', '"17{}"'])
def test_the_value_of_a_reject_is_not_cut_off_behind_its_blanks(cell):
    """However many spaces stand around a number, the reject tells the number."""
    row = ",".join(["a", cell.format(" " * 4100), *["1"] * 63])
    ((_, reason, column, value),) = scored(f"{HEADER}\n{row}\n")[2]
    assert (reason, column, value) == ("out-of-range", "pixel_0", "17")


def test_rows_with_too_few_cells_keep_the_cells_that_are_there():
    names = ["id", *PIXELS, "note", "end"]
    lines = [",".join(names), ",".join(["a", *["1"] * 64, "n"]), '"b, ""c""",1', "x", "é"]
    lines.append(",".join(["d", *["1"] * 64, '"m, m"']))
    lines.append(",".join(["good", *["1"] * 64, "n", "e"]))
    source = source_of("\n".join(lines) + "\n")
    (rows,) = read(source)
    assert [reject.reason for reject in rows.rejects] == ["too-few-cells"] * 5
    assert rows.rejected.to_pylist() == [
        {"id": "a", "note": "n", "end": None},
        {"id": 'b, "c"', "note": None, "end": None},
        {"id": "x", "note": None, "end": None},
        {"id": "é", "note": None, "end": None},
        {"id": "d", "note": "m, m", "end": None},
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_lines_that_end_with_a_delimiter_are_read(delimiter):
    header = HEADER.replace(",", delimiter)
    lines = [line(f"r{i}", "2", delimiter) + delimiter for i in range(4)]
    ids, pixels, rejects = scored("\n".join([header, *lines, lines[0] + "x"]), delimiter=delimiter)
    assert ids == ["r0", "r1", "r2", "r3"]
    assert pixels == [[2] * 64] * 4
    assert [reject[:2] for reject in rejects] == [(6, "too-many-cells")]


@pytest.mark.parametrize("names", [['"1"', '"2"', '"3"'], ["form-a", "form-b", "form-c"]])
def test_names_of_rows_that_r_writes_come_first(names):
    rows = [",".join([name, *[str(i)] * 64, "x"]) for i, name in enumerate(names)]
    source = source_of("\n".join([",".join([*PIXELS, "label"]), *rows]) + "\n")
    (read_rows,) = read(source)
    assert read_rows.pixels.tolist() == [[i] * 64 for i in range(3)]
    assert read_rows.passthrough.to_pydict() == {
        "row_name": [name.strip('"') for name in names],
        "label": ["x"] * 3,
    }


def test_one_cell_too_many_in_some_rows_is_their_fault():
    lines = [line("a"), line("b") + ",1", line("c")]
    for rows in (lines, lines[::-1], [lines[1]] * 3, [lines[1]]):
        _, _, rejects = scored("\n".join([HEADER, *rows]) + "\n")
        assert {reason for _, reason, _, _ in rejects} == {"too-many-cells"}
