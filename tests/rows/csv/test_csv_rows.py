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
