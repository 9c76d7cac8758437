"""Blocks are cut between records, wherever bytes and lines happen to end."""

from __future__ import annotations

import pytest
from csv_sources import HEADER, MIB, Stream, line, read, run, scored, source_of

from batchdigits.rows.csv.blocks import BLOCK_LINES
from batchdigits.rows.csv.source import CsvSource
from batchdigits.rows.options import ReadOptions


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_make_no_difference(end):
    text = end.join([HEADER, line("a", "5"), line("é", "16"), ""])
    assert scored(text) == (["a", "é"], [[5] * 64, [16] * 64], [])
    assert scored(text.removesuffix(end)) == scored(text)


def test_a_line_over_one_mebibyte_is_rejected_without_being_held():
    """Its beginning is kept as raw text; the rows around it are read."""
    memory = """
import resource, sys
sys.path.insert(0, sys.argv[1])
from csv_sources import *
piece = b"9," * (1 << 19)
pieces = [HEADER.encode() + b"\\n", line("a").encode() + b"\\n", *[piece] * 64]
pieces.append(b"\\n" + line("b").encode())
source = CsvSource(Stream(*pieces), ReadOptions(), "x.csv")
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
a, long, b = [source.check(block) for block in source.blocks()]
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base
assert a.passthrough.to_pylist() + b.passthrough.to_pylist() == [{"id": "a"}, {"id": "b"}]
assert long.rejects[0].reason == "line-too-long"
assert long.rejects[0].raw == "9," * 2048
assert (long.rows, long.lines, long.rejected.to_pylist()) == (1, 1, [{"id": None}])
print(grown)
"""
    assert int(run(memory)) < 30_000  # KiB, of a line of 64 MiB


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("block_bytes", [MIB // 4, MIB, 3 * MIB])
def test_a_line_may_have_one_mebibyte_and_not_a_byte_more(end, block_bytes):
    """Wherever blocks are cut, and whether or not it is the last line."""
    tail = line("").encode()
    fits = b"x" * (MIB - len(tail)) + tail
    for body in ([fits], [b"x" + fits], [fits, b"x" + fits, line("b").encode(), b"y" + fits]):
        data = end.join([HEADER.encode(), *body])
        seen = []
        for rows in read(source_of(data, block_bytes=block_bytes)):
            seen += [r.reason for r in rows.rejects] + rows.pixels[:, 0].tolist()
        assert seen == ["line-too-long" if len(part) > MIB else 1 for part in body]


def test_blank_lines_in_the_middle_are_rejects_and_at_the_end_are_none():
    """However many there are, and however they fall into blocks."""
    for count in (1, 3, 20_000):
        gap = " \n" * count
        text = f"{HEADER}\n{line('a')}\n{gap}{line('b')}\n{gap}\t"
        source = source_of(text, block_bytes=1 << 12)
        batches = read(source)
        rejects = [r for b in batches for r in b.rejects]
        assert [r.reason for r in rejects] == ["blank-line"] * count
        assert sum(b.rows for b in batches) == count + 2
        assert source._cutter.tail_lines == count + 1
        assert rejects[0].raw == " "


def test_blank_lines_beyond_what_is_held_are_still_counted():
    """Past 1 MiB of them only their number is kept, not their spaces."""
    gap = (" " * 99 + "\n") * 20_000
    source = source_of(f"{HEADER}\n{line('a')}\n{gap}{line('b')}", block_bytes=1 << 16)
    batches = read(source)
    assert sum(b.rows for b in batches) == 20_002
    assert sum(len(b.rejects) for b in batches) == 20_000


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("text", ["", "x", '"'])
def test_a_block_has_a_bounded_number_of_lines(text, end):
    """Short lines become many rejects: those of one block must not fill the memory."""
    count = 3 * BLOCK_LINES + 7
    body = [line("a"), *[text] * count, line("b"), ""]
    source = source_of(HEADER + "\n" + end.join(body))
    parts = read(source)
    assert max(part.rows for part in parts) <= BLOCK_LINES
    assert sum(len(part.rejects) for part in parts) == count
    assert sum(part.lines for part in parts) == count + 2
    ids = [name for part in parts for name in part.passthrough["id"].to_pylist()]
    assert ids == ["a", "b"]


def test_a_record_that_spans_lines_is_not_cut_where_lines_are_counted():
    """Blocks of many lines are cut between records only."""
    text = '"' + "x\n" * 100 + '"'
    records = [line(text) for _ in range(2 * BLOCK_LINES // 100)]
    ids, _, rejects = scored("\n".join([HEADER, *records, ""]), block_bytes=64 * MIB)
    assert (ids, rejects) == ([text.strip('"')] * len(records), [])


def test_a_stream_may_give_one_byte_at_a_time():
    data = f"\ufeff{HEADER}\r\n{line('a')}\r\n".encode()
    source = CsvSource(Stream(*[data[i : i + 1] for i in range(len(data))]), ReadOptions(), "x.csv")
    assert [rows.passthrough.to_pylist() for rows in read(source)] == [[{"id": "a"}]]
