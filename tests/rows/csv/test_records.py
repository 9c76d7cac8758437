"""Quotes that span lines, and quotes that are stray; test_csv_reference.py tries them at random."""

from __future__ import annotations

import numpy as np
import pytest
from csv_sources import HEADER, MIB, PIXELS, line, read, scored, source_of
from hypothesis import given
from hypothesis import strategies as st

from batchdigits.errors import UnusableInputError
from batchdigits.rows.csv import cells, records


@pytest.mark.parametrize(("size", "fits"), [((1 << 16) - 1, True), (1 << 16, False)])
def test_a_quote_closes_within_64_kib_or_is_stray(size, fits):
    """The distance from the quote that a line leaves open to the one that closes it."""
    text = "a" * 100 + "\n" + "b" * (size - 101)
    data = f'{HEADER}\n{line("first")}\n"{text}",{",".join(["2"] * 64)}\n{line("last")}\n'
    for block_bytes in (100, 1 << 16, MIB):
        ids, _, rejects = scored(data, block_bytes=block_bytes)
        assert (ids[0], ids[-1]) == ("first", "last")
        assert (text in ids) == fits
        assert ("stray-quote" in [reason for _, reason, _, _ in rejects]) != fits


def test_a_stray_quote_costs_its_own_row_only():
    """In any cell, opening, closing or in the middle, however many rows follow."""
    for cell in range(65):
        for broken in ('"{}', '{}"', '{}"{}'):
            cells = ["b", *["1"] * 64]
            cells[cell] = broken.format(cells[cell], cells[cell])
            text = "\n".join([HEADER, line("a"), ",".join(cells), line("c"), line("d"), ""])
            ids, _, _ = scored(text)
            assert [i for i in ids if i not in (cells[0], '"b')] == ["a", "c", "d"]


def test_two_stray_quotes_in_the_first_column_swallow_no_row():
    """Each would be a row if its quote were a letter: one is rejected, the next one read."""
    text = "\n".join([HEADER, line('"a'), line('b"'), line("c")])
    ids, _, rejects = scored(text)
    assert ids == ['b"', "c"]
    assert rejects == [(2, "stray-quote", None, None)]


def test_text_of_several_lines_works_in_every_column():
    """First, in the middle and last, with quotes, delimiters and any line end inside."""
    names = ["first", *PIXELS[:32], "middle", *PIXELS[32:], "last"]
    text = 'two\n"lines",\r\nand\rmore\n'
    quoted = '"' + text.replace('"', '""') + '"'
    for place in ("first", "middle", "last"):
        row = [
            quoted if n == place else "t" if n in names[:1] + names[33:34] else "3" for n in names
        ]
        data = ",".join(names) + "\r\n" + (",".join(row) + "\r\n") * 50
        for block_bytes in (50, 1000, MIB):
            source = source_of(data, block_bytes=block_bytes)
            batches = read(source)
            assert [v for b in batches for v in b.passthrough.column(place).to_pylist()] == [
                text
            ] * 50
            assert sum(b.lines for b in batches) == 250
            assert not any(b.rejects for b in batches)


def test_lines_that_open_a_quote_for_the_next_one_take_time_in_proportion(monkeypatch):
    """Each of 20,000 lines would else be read on for 64 KiB: the bytes read are counted."""
    read_on = []
    read_spanning = records.read_spanning

    def counted(data, quote, stop, delimiter):
        read_on.append(min(stop - quote, records.RECORD_LIMIT))
        return read_spanning(data, quote, stop, delimiter)

    monkeypatch.setattr(records, "read_spanning", counted)
    text = HEADER + "\n" + line("a") + "\n" + 'a","c\n' * 20_000 + line("b") + "\n"
    ids, _, rejects = scored(text)
    assert ids == ["a", "b"]
    assert len(rejects) == 20_000
    assert {reason for _, reason, _, _ in rejects} == {"stray-quote"}
    assert sum(read_on) < 5 * len(text)


@pytest.mark.parametrize("piece", ['a","c\n', '"a\n', 'a,"b""c\n', 'x,"' + "y" * 300 + "\n"])
def test_many_open_quotes_under_many_columns_are_rejects_or_refused(piece):
    names = ",".join([HEADER, *(f"c{i}" for i in range(1900))])
    text = names + "\n" + piece * (100_000 // len(piece))
    if piece == 'a","c\n':
        with pytest.raises(UnusableInputError, match="too many of its lines leave a quote open"):
            scored(text)
        return
    _, _, rejects = scored(text)
    assert {reason for _, reason, _, _ in rejects} <= {"stray-quote", "too-few-cells"}


LINES = st.lists(st.lists(st.sampled_from(["1", '"1"', '""', '"a""b"', 'a"', '"', ""])), min_size=1)


@given(LINES, st.sampled_from(["\n", "\r\n"]), st.integers(1, 9))
def test_lines_that_are_surely_closed_are_closed_one_by_one(rows, end, span):
    text = "".join(",".join(row) + end for row in rows).encode()
    b = np.frombuffer(text, np.uint8)
    whole = records._all_regular(b, cells.inside_quotes(b), 44)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "SPAN", span)
        assert records._all_regular(b, cells.inside_quotes(b), 44) == whole
    if records.surely_closed(text, b","):
        for row in rows:
            line_ = ",".join(row).encode()
            read_ = records.read_line(line_, 0, len(line_), b",")
            assert read_.quotes is records.Quotes.CLOSED


@given(st.lists(st.sampled_from(["1", '"1"', '""', '"a""b"', "a", ""]), min_size=1))
def test_lines_with_every_quote_in_its_place_are_surely_closed(row):
    assert records.surely_closed(f"{','.join(row)}\r\n".encode() * 2, b",")
