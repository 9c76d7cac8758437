"""What a CSV may look like, and how it is refused when it is unusable as a whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from batchdigits.errors import BatchdigitsError, InternalError, UnusableInputError, UsageError
from batchdigits.rows.csv.blocks import BLOCK_LINES
from batchdigits.rows.csv.source import CsvSource
from batchdigits.rows.options import ReadOptions

PIXELS = [f"pixel_{i}" for i in range(64)]
HEADER = ",".join(["id", *PIXELS])
MIB = 1 << 20


class Stream:
    """Bytes made on the fly from pieces, so that a test can give more than it holds."""

    def __init__(self, *pieces):
        self.pieces = iter(pieces)
        self.rest = b""
        self.raw_bytes_read = 0
        self.raw_size = None

    def read(self, size, /):
        while not self.rest:
            piece = next(self.pieces, None)
            if piece is None:
                return b""
            self.rest = piece
        part, self.rest = self.rest[:size], self.rest[size:]
        self.raw_bytes_read += len(part)
        return part

    def close(self):
        self.pieces = iter(())


def line(name, value="1", delimiter=","):
    return delimiter.join([name, *[value] * 64])


def source_of(text, name="x.csv", block_bytes=MIB, **options):
    data = text if isinstance(text, bytes) else text.encode()
    return CsvSource(Stream(data), ReadOptions(**options), name, block_bytes)


def read(source):
    """All batches of a source."""
    return [source.check(block) for block in source.blocks()]


def scored(text, **options):
    """The ids and pixels of the rows, and (line, reason, column, value) of the rejects."""
    source = source_of(text, **options)
    ids, pixels, rejects, lines = [], [], [], source.first_line
    for rows in read(source):
        ids += rows.passthrough.column(0).to_pylist() if rows.passthrough.num_columns else []
        pixels += rows.pixels.tolist()
        rejects += [(lines + r.line, r.reason, r.column, r.value) for r in rows.rejects]
        lines += rows.lines
    return ids, pixels, rejects


def refusal(text, **options):
    with pytest.raises(BatchdigitsError) as caught:
        source_of(text, **options)
    message = str(caught.value)
    assert message.startswith("x.csv: ")
    assert "\n" not in message
    return caught.type, message


def run(code):
    """What a new interpreter prints that can import this file from the folder in argv."""
    command = [sys.executable, "-c", code, str(Path(__file__).parent)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_header_alone_has_no_rows():
    for text in (HEADER, HEADER + "\n", HEADER + "\r\n", HEADER + "\n\n \n"):
        source = source_of(text)
        assert read(source) == []
        assert source.schema.names == ["id"]
    assert source._cutter.tail_lines == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("\ufeff", "is empty"),
        ("\n" + HEADER, "blank"),
        (HEADER.encode("utf-16"), "UTF-8"),
        (HEADER.encode("utf-16-le"), "UTF-8"),
        ("é,".encode("latin-1") + HEADER.encode(), "0xe9"),
        (",".join(PIXELS[:63]), "missing 'pixel_63'"),
        (",".join([*PIXELS, "pixel_64"]), "65 pixel columns"),
        (",".join([*PIXELS, "a", "a"]), "'a'"),
        ("id,pixels", "no list columns"),
        ('"id,' + HEADER, "quote"),
        (b"x" * (MIB + 9), "longer than 1 MiB"),
        (",".join(["form7", *["3"] * 64]), "64 of the 65 cells"),
    ],
)
def test_a_file_without_a_usable_header_is_refused(text, said):
    """One line that names the input and what was found, as unusable input (exit code 65)."""
    kind, message = refusal(text)
    assert kind is UnusableInputError
    assert said in message


@pytest.mark.parametrize("row", [["5"] * 64, ["0.5"] * 65, ["-1", "1e3", "", *["2"] * 62]])
def test_a_first_line_of_numbers_asks_for_no_header(row):
    kind, message = refusal(",".join(row))
    assert kind is UnusableInputError
    assert "--no-header" in message


def test_the_default_header_of_pandas_is_a_header():
    """0 … 63, each once, in any order and beside other columns."""
    names = [str(i) for i in reversed(range(64))]
    ids, pixels, rejects = scored(",".join(["id", *names]) + "\na," + ",".join(map(str, [3] * 64)))
    assert (ids, rejects) == (["a"], [])
    assert pixels == [[3] * 64]


def test_a_header_of_numbers_met_again_is_no_row():
    """0 … 63 would pass for pixels of 0 … 255."""
    header = ",".join(str(i) for i in range(64))
    _, pixels, rejects = scored(f"{header}\n{header}\n{','.join(['255'] * 64)}\n", scale=255.0)
    assert pixels == [[16.0] * 64]
    assert rejects == [(2, "repeated-header", None, None)]


@pytest.mark.parametrize(
    ("delimiter", "typed"), [(";", "';'"), ("\t", "'\\t'"), (" ", "' '"), ("|", "'|'")]
)
def test_another_delimiter_is_named_and_works_when_given(delimiter, typed):
    text = HEADER.replace(",", delimiter) + "\n" + line("007", delimiter=delimiter) + "\n"
    kind, message = refusal(text)
    assert kind is UnusableInputError
    assert f"--delimiter {typed}" in message
    assert scored(text, delimiter=typed.strip("'")) == (["007"], [[1] * 64], [])


def test_a_comma_is_named_when_another_delimiter_was_given():
    assert "--delimiter ','" in refusal(HEADER, delimiter=";")[1]


@pytest.mark.parametrize("delimiter", ["", "ab", "5", "x", '"', "\n", "§", ".", "-"])
def test_what_cannot_delimit_is_a_usage_error(delimiter):
    assert refusal(HEADER, delimiter=delimiter)[0] is UsageError


def test_empty_cells_between_tabs_are_no_blank_line():
    """With tabs as delimiter a line of tabs is a row without values."""
    text = HEADER.replace(",", "\t") + "\n" + "\t" * 64 + "\n"
    _, _, rejects = scored(text, delimiter="\t")
    assert rejects == [(2, "missing", "pixel_0", "")]


def test_a_header_may_be_quoted_and_span_lines():
    header = '"i\nd",' + ",".join(f'"{name}"' for name in PIXELS)
    source = source_of(f"\ufeff{header}\n{line('a')}\n")
    assert source.schema.names == ["i\nd"]
    assert source.first_line == 3
    assert [rows.rows for rows in read(source)] == [1]


def test_columns_are_found_by_name_in_any_order():
    names = ["note", *reversed(PIXELS), ""]
    row = ["n", *map(str, reversed([i % 17 for i in range(64)])), "z"]
    source = source_of(",".join(names) + "\n" + ",".join(row))
    (rows,) = read(source)
    assert source.schema.names == ["note", ""]
    assert rows.pixels.tolist() == [[i % 17 for i in range(64)]]
    assert rows.passthrough.to_pylist() == [{"note": "n", "": "z"}]


def test_odd_cells_are_judged_in_pixel_order_whatever_the_order_in_the_file():
    """The reject names the first pixel, not the first cell of the line."""
    names = list(reversed(PIXELS))
    row = ["1"] * 64
    row[0], row[5], row[63] = "nan", "17", "5.25"
    row[1] = "inf"
    _, _, rejects = scored(",".join(names) + "\n" + ",".join(row))
    assert rejects == [(2, "not-finite", "pixel_62", "inf")]


def test_without_header_the_first_64_columns_are_pixels():
    text = ",".join([*["5"] * 64, "7", "x"]) + "\n" + ",".join([*["6"] * 64, "8", "y"]) + "\n"
    source = source_of(text, header=False)
    (rows,) = read(source)
    assert source.first_line == 1
    assert rows.passthrough.to_pydict() == {"column_65": ["7", "8"], "column_66": ["x", "y"]}
    assert rows.pixels[:, 0].tolist() == [5, 6]


def test_without_header_too_few_columns_are_refused():
    assert "63 columns" in refusal(",".join(["5"] * 63), header=False)[1]


def test_keep_narrows_and_orders_the_other_columns():
    names = ["a", *PIXELS, "b", "c"]
    row = ["1", *["2"] * 64, "3", "4"]
    source = source_of(",".join(names) + "\n" + ",".join(row), keep=("c", "a"))
    (rows,) = read(source)
    assert rows.passthrough.to_pylist() == [{"c": "4", "a": "1"}]


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
from test_csv_source import *
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
from test_csv_source import *
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


def test_a_stream_may_give_one_byte_at_a_time():
    data = f"\ufeff{HEADER}\r\n{line('a')}\r\n".encode()
    source = CsvSource(Stream(*[data[i : i + 1] for i in range(len(data))]), ReadOptions(), "x.csv")
    assert [rows.passthrough.to_pylist() for rows in read(source)] == [[{"id": "a"}]]


def test_the_stream_is_read_to_its_end():
    """So that whoever hashes it while it is read has seen every byte."""
    stream = Stream(f"{HEADER}\n{line('a')}\n\n\n".encode())
    source = CsvSource(stream, ReadOptions(), "x.csv", 64)
    read(source)
    assert stream.read(1) == b""


@pytest.mark.parametrize("cell", ["{}17", "17{}", '"{}17"', '"17{}"'])
def test_the_value_of_a_reject_is_not_cut_off_behind_its_blanks(cell):
    """However many spaces stand around a number, the reject tells the number."""
    row = ",".join(["a", cell.format(" " * 4100), *["1"] * 63])
    ((_, reason, column, value),) = scored(f"{HEADER}\n{row}\n")[2]
    assert (reason, column, value) == ("out-of-range", "pixel_0", "17")


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
