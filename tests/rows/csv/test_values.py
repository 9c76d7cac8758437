"""Many cells judged at once get the values and reasons that each gets alone."""

from __future__ import annotations

import pytest
from csv_sources import bounds
from hypothesis import given
from hypothesis import strategies as st

from batchdigits.rows.csv.layout import CsvLayout
from batchdigits.rows.csv.values import judge_many, judge_pixel, pixel_text
from batchdigits.rows.rejects import FINE, RANKS


def layout(darkest=16.0):
    names = tuple(f"pixel_{i}" for i in range(64))
    return CsvLayout(b",", names, tuple(range(64)), (), darkest, None, None)


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
        (b"-0", (0.0, None)),
        (b"-0.0", (0.0, None)),
        (b"-1e-400", (0.0, None)),  # the nearest float64 is -0
        (b"-1e-17", (0.0, "out-of-range")),
        (b"", (0.0, "missing")),
        (b"N/A", (0.0, "missing")),
        (b"Null", (0.0, "missing")),
        (b"NaN", (0.0, "not-finite")),
        (b"-Infinity", (0.0, "not-finite")),
        (b"+5", (5.0, None)),
        (b"+.5", (0.5, None)),
        (b"1e1", (10.0, None)),
        (b"1.3e+01", (13.0, None)),
        (b"1E+01", (10.0, None)),
        (b"1.300000000000000000e+01", (13.0, None)),
        (b"1." + b"3" * 60 + b"e0", (1 + 1 / 3, None)),
        (b"1e-17", (1e-17, None)),
        (b"1e-400", (0.0, None)),
        (b"1e400", (0.0, "out-of-range")),
        (b"1e" + b"9" * 400, (0.0, "out-of-range")),
        (b"1D+01", (0.0, "not-a-number")),
        (b"1e", (0.0, "not-a-number")),
        (b"1e+", (0.0, "not-a-number")),
        (b"e1", (0.0, "not-a-number")),
        (b"+-5", (0.0, "not-a-number")),
        (b"1 6", (0.0, "not-a-number")),
        (b"0x10", (0.0, "not-a-number")),
        (b"1_6", (0.0, "not-a-number")),
        (b"6,5", (0.0, "not-a-number")),
        (b".5", (0.5, None)),
        (b"5.", (5.0, None)),
        (b".", (0.0, "not-a-number")),
        (b"+", (0.0, "not-a-number")),
        (b"nan(1)", (0.0, "not-a-number")),
        (b"--1", (0.0, "not-a-number")),
        ("５".encode(), (0.0, "not-a-number")),
    ],
)
def test_a_pixel_is_a_decimal_number_as_other_tools_write_it_and_nothing_else(text, result):
    """One by one and among many others alike."""
    assert judge_pixel(text, 16.0) == result
    data, starts, ends = bounds([b"5", text, b"1.5"])
    values, ranks = judge_many(data, starts, ends, layout())
    assert values[1] == result[0] or result[1]
    assert ranks[1] == (RANKS[result[1]] if result[1] else FINE)


numbers = st.from_regex(
    rb"\A[+-]?([0-9]{1,18}(\.[0-9]{0,18})?|\.[0-9]{1,18})([eE][+-]?[0-9]{1,3})?\Z"
)
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


@pytest.mark.parametrize("bad", [b"nan", b"inf", b"1e400", b"x" * 20, b"1D+01", b"", b"-3e0"])
def test_a_bad_cell_among_thousands_of_long_ones_costs_only_itself(bad):
    data, starts, ends = bounds([b"1.300000000000000000e+01"] * 3000 + [bad] + [b"1e+00"] * 3000)
    values, ranks = judge_many(data, starts, ends, layout())
    assert (values[:3000] == 13).all()
    assert (values[3001:] == 1).all()
    assert (ranks != FINE).tolist() == [False] * 3000 + [True] + [False] * 3000
