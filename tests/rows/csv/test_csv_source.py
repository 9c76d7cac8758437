"""A CSV is read once, to its end, and its lines add up."""

from __future__ import annotations

import pytest
from csv_sources import HEADER, Stream, line, read, run, source_of

from batchdigits.errors import InternalError
from batchdigits.rows.csv.source import CsvSource
from batchdigits.rows.options import ReadOptions


def test_progress_is_the_part_of_the_stored_file_and_close_may_come_twice():
    source = source_of(f"{HEADER}\n{line('a')}\n")
    assert source.progress() is None
    source._stream.raw_size = source._stream.raw_bytes_read * 2
    assert source.progress() == 0.5
    source.close()
    source.close()


def test_reading_imports_no_pandas():
    """`pyarrow.array` would, where pandas is installed, and cost more than scoring a small file."""
    code = """
import sys
sys.path.insert(0, sys.argv[1])
from csv_sources import *
lines = [line("a"), line("b", "5.25"), line("c", "x"), line('"d'), line("e", "1" * 30)]
text = "\\n".join([HEADER, *lines])
(rows,) = read(source_of(text))
assert len(rows.rejects) == 3
assert "pandas" not in sys.modules
"""
    run(code)


@pytest.mark.parametrize(("rows", "lines"), [(1, 1), (3, 3)])
def test_counts_that_miss_or_double_a_line_are_an_internal_error(rows, lines):
    source = source_of(f"{HEADER}\n{line('a')}\n{line('b')}\n\n")
    (part,) = read(source)
    source.verify(part.rows, part.lines)
    with pytest.raises(InternalError, match="x.csv: the lines do not add up"):
        source.verify(rows, lines)


def test_the_stream_is_read_to_its_end():
    """So that whoever hashes it while it is read has seen every byte."""
    stream = Stream(f"{HEADER}\n{line('a')}\n\n\n".encode())
    source = CsvSource(stream, ReadOptions(), "x.csv", 64)
    read(source)
    assert stream.read(1) == b""
