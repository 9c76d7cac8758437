"""Cells to numbers: the ways that judge many at once agree with the one that judges one."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchdigits.rows.csv.cells import NO_CODE, inside_quotes, tokenize
from batchdigits.rows.csv.layout import CsvLayout
from batchdigits.rows.csv.text import slices, text_column
from batchdigits.rows.csv.values import judge_many, judge_pixel, pixel_text
from batchdigits.rows.rejects import FINE, RANKS


def layout(darkest=16.0):
    names = tuple(f"pixel_{i}" for i in range(64))
    return CsvLayout(b",", names, tuple(range(64)), (), darkest, None, None)


def bounds(cells):
    """Cells joined by commas, and where each starts and ends."""
    lengths = np.array([len(cell) for cell in cells], np.int32)
    ends = (np.cumsum(lengths + 1) - 1).astype(np.int32)
    return b",".join(cells) + b"\n", ends - lengths, ends


@pytest.mark.parametrize(
    ("text", "result"),
    [
        (b"0", (0.0, None)),
        (b"16", (16.0, None)),
        (b"007.50", (7.5, None)),
        (b"16.000000000000001", (16.0, None)),  # the nearest float64 is 16
        (b"16.00000000000001", (0.0, "out-of-range")),
        (b"1" * 400, (0.0, "out-of-range")),
        (b"0." + b"0" * 400 + b"1", (0.0, None)),
        (b"-1", (0.0, "out-of-range")),
        (b"-0", (0.0, "out-of-range")),
        (b"", (0.0, "missing")),
        (b"N/A", (0.0, "missing")),
        (b"Null", (0.0, "missing")),
        (b"NaN", (0.0, "not-finite")),
        (b"-Infinity", (0.0, "not-finite")),
        (b"+5", (0.0, "not-a-number")),
        (b"1e1", (0.0, "not-a-number")),
        (b"1e400", (0.0, "not-a-number")),
        (b"0x10", (0.0, "not-a-number")),
        (b"1_6", (0.0, "not-a-number")),
        (b"6,5", (0.0, "not-a-number")),
        (b".5", (0.0, "not-a-number")),
        (b"5.", (0.0, "not-a-number")),
        (b"--1", (0.0, "not-a-number")),
        ("５".encode(), (0.0, "not-a-number")),
    ],
)
def test_a_pixel_is_digits_with_an_optional_decimal_part_and_nothing_else(text, result):
    """One by one and among many others alike."""
    assert judge_pixel(text, 16.0) == result
    data, starts, ends = bounds([b"5", text, b"1.5"])
    values, ranks = judge_many(data, starts, ends, layout())
    assert values[1] == result[0] or result[1]
    assert ranks[1] == (RANKS[result[1]] if result[1] else FINE)


numbers = st.from_regex(rb"\A[0-9]{1,18}(\.[0-9]{1,18})?\Z")
noise = st.lists(st.sampled_from(list(b'0123456789..-+e "\tnaif')), max_size=20).map(bytes)
padded = st.tuples(st.sampled_from([b"", b" ", b" \t" * 9]), numbers).map(b"".join)
quoted = numbers.map(lambda number: b'" ' + number + b'"')


@given(st.lists(st.one_of(numbers, noise, padded, quoted), min_size=1, max_size=40))
def test_many_cells_are_judged_as_each_alone(cells):
    """Values are the nearest float64 in both."""
    data, starts, ends = bounds(cells)
    wanted = layout(darkest=1e12)
    values, ranks = judge_many(data, starts, ends, wanted)
    for cell, value, rank in zip(cells, values.tolist(), ranks.tolist(), strict=True):
        alone, reason = judge_pixel(pixel_text(cell, b" \t"), 1e12)
        assert rank == (RANKS[reason] if reason else FINE)
        assert reason or value == alone


def test_every_cell_of_up_to_four_bytes_has_the_code_that_it_should():
    """All strings over digits, dot, quote, space and letters that decide between the codes."""
    cells = [bytes(c) for n in range(5) for c in product(b'059.:/ "', repeat=n) if c.count(34) < 1]
    for first in (b"7", b"7.0", b'"' * 64):  # the first line says which forms to look for
        lines = b"\n".join([first.replace(b'"', b""), *cells, b""])
        if b'"' in first:
            lines = b'"1",' * 63 + b'"1"\n' + b"".join(b'"%b"\n' % cell for cell in cells)
        b = np.frombuffer(lines, np.uint8)
        grid, _ = tokenize(lines, b",", 1, inside_quotes(b) if b'"' in lines else None)
        codes = grid.codes[:, 0].tolist()[-len(cells) :]
        for cell, code in zip(cells, codes, strict=True):
            whole = cell.removesuffix(b".0") if first == b"7.0" else cell
            plain = whole.isdigit() and len(whole) <= 2
            assert code == (int(whole) if plain else NO_CODE), (first, cell)


@given(st.binary(max_size=300), st.integers(0, 200))
def test_inside_quotes_is_the_parity_of_the_quotes_so_far(data, quotes):
    data = data + b'"' * quotes + data
    expected = [data[: i + 1].count(b'"') % 2 == 1 for i in range(len(data))]
    assert inside_quotes(np.frombuffer(data, np.uint8)).tolist() == expected


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=12)))
def test_text_columns_hold_each_cell_without_its_quotes(cells):
    """Quoted where CSV asks for it, empty cells included."""
    written = [
        b'"%b"' % cell.encode().replace(b'"', b'""')
        if '"' in cell or "," in cell
        else cell.encode()
        for cell in cells
    ]
    data, starts, ends = bounds(written)
    column = text_column(data, starts, ends, quotes=b'"' in data)
    column.validate(full=True)
    assert column.to_pylist() == cells


def test_slices_are_compact():
    """The array owns its few bytes and does not keep the whole block alive."""
    data = b"x" * 100_000 + b"ab,cd\n"
    starts = np.array([100_000, 100_003], np.int32)
    column = slices(data, starts, starts + 2)
    assert column.to_pylist() == ["ab", "cd"]
    assert column.get_total_buffer_size() < 1000
