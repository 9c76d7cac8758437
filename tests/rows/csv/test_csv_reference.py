"""The reader against a reference that goes through the file byte by byte.

The reference shares no code with the reader but the list of reasons.
"""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from batchdigits.rows.csv import blocks as csv_blocks
from batchdigits.rows.csv import header as csv_header
from batchdigits.rows.csv import records as csv_records
from batchdigits.rows.csv.source import CsvSource
from batchdigits.rows.options import ReadOptions
from batchdigits.rows.rejects import REASONS

RANK = {reason: rank for rank, reason in enumerate(REASONS)}
LIMIT = 600  # bytes that a record over several lines may take here, so that tests can pass it


class Stream:
    """Bytes that come in pieces of at most `most`."""

    def __init__(self, data: bytes, most: int) -> None:
        self.file = io.BytesIO(data)
        self.most = most
        self.raw_bytes_read = 0
        self.raw_size = len(data)

    def read(self, size: int, /) -> bytes:
        return self.file.read(min(size, self.most))

    def close(self) -> None:
        self.file.close()


def read_with_source(data, options, block_bytes, most):
    """Every row as the reader gives it, and its counts."""
    source = CsvSource(Stream(data, most), options, "x.csv", block_bytes)
    seen = []
    lines = 0
    for block in source.blocks():
        rows = source.check(block)
        rows.passthrough.validate(full=True)
        rows.rejected.validate(full=True)
        flags = rows.pixels.flags
        assert flags.f_contiguous if rows.pixels.dtype == "uint8" else flags.c_contiguous
        assert rows.pixels.shape == (rows.rows - len(rows.rejects), 64)
        good = range(rows.rows) if rows.good is None else rows.good.tolist()
        passed = [tuple(row.values()) for row in rows.passthrough.to_pylist()]
        refused = [tuple(row.values()) for row in rows.rejected.to_pylist()]
        here = {}
        for row, pixels, texts in zip(good, rows.pixels, passed, strict=True):
            here[row] = ("row", tuple(map(float, pixels)), texts)
        for reject, texts in zip(rows.rejects, refused, strict=True):
            here[reject.row] = (
                "reject",
                lines + reject.line,
                reject.reason,
                reject.column,
                reject.value,
                reject.raw,
                texts,
            )
        assert sorted(here) == list(range(rows.rows))
        seen += [here[row] for row in range(rows.rows)]
        lines += rows.lines
    return seen, lines, source._cutter.tail_lines


def split_lines(data):
    """(text, line end) of each physical line."""
    parts = re.split(rb"(\r\n|\r|\n)", data)
    pairs = list(zip(parts[0::2], [*parts[1::2], b""], strict=True))
    return pairs if pairs[-1] != (b"", b"") else pairs[:-1]


def parse(text, delimiter):
    """Cells of a text that may hold line ends, as (raw, quoted), or 'stray' or 'open'.

    Stops at the first line end outside quotes: returns (cells, position of that line end).
    """
    cells, state, raw = [], "start", b""
    i = 0
    while i < len(text):
        c = text[i : i + 1]
        if state == "start" and c == b'"':
            state, raw = "quoted", raw + c
        elif state == "quoted":
            raw += c
            if c == b'"':
                if text[i + 1 : i + 2] == b'"':
                    raw, i = raw + b'"', i + 1
                else:
                    state = "closed"
        elif c == delimiter or c in b"\r\n":
            cells.append((raw, state == "closed"))
            if c != delimiter:
                return cells, i
            state, raw = "start", b""
        elif state == "closed":
            return "stray", i
        else:
            state, raw = "plain", raw + c
        i += 1
    if state == "quoted":
        return "open", i
    cells.append((raw, state == "closed"))
    return cells, i


def pixel(raw, darkest):
    text = raw.strip(b" \t")
    if len(text) >= 2 and text.startswith(b'"') and text.endswith(b'"'):
        text = text[1:-1].strip(b" \t")
    number = rb"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"
    if re.fullmatch(number, text):
        return abs(float(text)) if 0 <= float(text) <= darkest else "out-of-range"
    if text.lower() in (b"", b"na", b"n/a", b"#n/a", b"<na>", b"null", b"none", b"\\n", b"?"):
        return "missing"
    if text.lower().lstrip(b"+-") in (b"nan", b"inf", b"infinity") and text[1:2] not in b"+-":
        return "not-finite"
    return "not-a-number"


def text_of(cell, *, is_pixel):
    raw, quoted = cell
    if quoted:
        return raw[1:-1].replace(b'""', b'"')
    trimmed = raw.strip(b" \t")
    if is_pixel and re.fullmatch(rb'"[^"]*"', trimmed):
        return trimmed[1:-1]
    return raw


def decode(text):
    try:
        return None if b"\0" in text else text.decode()
    except UnicodeDecodeError:
        return None


class Reference:
    def __init__(self, names, header, delimiter=b",", darkest=16.0, limit=1 << 16):
        self.names, self.header, self.delimiter = names, header, delimiter
        self.darkest, self.limit = darkest, limit
        self.pixels = [names.index(f"pixel_{i}") for i in range(64)]
        self.texts = [i for i in range(len(names)) if i not in self.pixels]

    def complete(self, text, *, first=False):
        cells, _ = parse(text, self.delimiter)
        if cells == "open" and first:
            cells = self.with_open_quote_as_letter(text)
        if isinstance(cells, str) or len(cells) != len(self.names):
            return False
        return all(isinstance(pixel(cells[i][0], self.darkest), float) for i in self.pixels)

    def open_quote(self, text):
        """Where the quote is that the line leaves open."""
        for i in range(len(text)):
            before = text[:i]
            if text[i : i + 1] == b'"' and parse(before, self.delimiter)[0] != "open":
                at_start = not before or before.endswith(self.delimiter)
                inner = text[i + 1 :].replace(b'""', b"")
                if at_start and b'"' not in inner:
                    return i
        raise AssertionError(text)

    def with_open_quote_as_letter(self, text):
        i = self.open_quote(text)
        cells = [] if i == 0 else parse(text[:i], self.delimiter)[0][:-1]
        return cells + [(cell, False) for cell in text[i:].split(self.delimiter)]

    def spanning(self, lines, at):
        """How many lines the record takes whose first line leaves a quote open, or None."""
        first = lines[at][0]
        rest = b"".join(text + end for text, end in lines[at:]) + b"\n"
        cells, end = parse(rest, self.delimiter)
        if isinstance(cells, str) or len(cells) != len(self.names):
            return None
        record = rest[:end]
        last_quoted = record.rfind(b'"')
        if last_quoted - self.open_quote(first) > self.limit:
            return None
        count = len(split_lines(record))
        if any(self.complete(text) for text, _ in lines[at + 1 : at + count - 1]):
            return None
        last = lines[at + count - 1][0]
        if self.complete(last):
            alone, _ = parse(last, self.delimiter)
            literal = any(b'"' in raw and not raw.startswith(b'"') for raw, _ in alone)
            if not literal or self.complete(first, first=True):
                return None
        return count

    def rows(self, body):
        lines = split_lines(body)
        tail = 0
        while lines and not lines[-1][0].strip(b" \t"):
            lines.pop()
            tail += 1
        seen, at = [], 0
        while at < len(lines):
            count = 1
            cells, _ = parse(lines[at][0], self.delimiter)
            if cells == "open":
                count = self.spanning(lines, at) or 1
            parts = [text + end for text, end in lines[at : at + count]]
            parts[-1] = lines[at + count - 1][0]
            raw = b"".join(parts)
            if count > 1:
                cells, _ = parse(raw, self.delimiter)
            seen.append(self.row(raw, cells, at))
            at += count
        return seen, len(lines), tail

    def row(self, raw, cells, line):
        shaped = not isinstance(cells, str) and len(cells) == len(self.names)
        values = [pixel(cells[i][0], self.darkest) for i in self.pixels] if shaped else []
        faults = [(RANK[v], i) for i, v in enumerate(values) if isinstance(v, str)]
        texts = tuple(
            decode(text_of(cells[i], is_pixel=False)) if shaped else None for i in self.texts
        )
        reasons = [
            "bad-encoding" * (decode(raw) is None),
            "blank-line" * (not raw.strip(b" \t")),
            "stray-quote" * isinstance(cells, str),
            "repeated-header" * (raw == self.header),
            "too-few-cells" * (not shaped and len(cells) < len(self.names)),
            "too-many-cells" * (not shaped and len(cells) > len(self.names)),
        ]
        reason = next(filter(None, reasons), None)
        if reason == "too-few-cells":
            texts = tuple(
                decode(text_of(cells[i], is_pixel=False)) if i < len(cells) else None
                for i in self.texts
            )
        column = value = None
        if reason is None and faults:
            rank, first = min(faults)
            reason = list(REASONS)[rank]
            position = self.pixels[first]
            column = self.names[position]
            value = text_of(cells[position], is_pixel=True).decode(errors="replace")
        if reason is None:
            return "row", tuple(float(np.float32(v)) for v in values), texts
        text = raw.decode(errors="replace")[:4096]
        return "reject", line, reason, column, value, text, texts


TEXTS = st.sampled_from(
    ["", "007", " a ", '"a"', '"x,y"', '"x""y"', '5" pipe', '"a\nb"', '"a\r\n\r\nb"', 'x""', '""']
    + ['"', '"a', 'a"', '"a"b', '""x', '"",""', "é", '"é\n"', '"', '"a\n\n', '\n"', "1", '"1"']
)
CELLS = st.sampled_from(
    ["0", "16", "5.0", "15.25", "0.1", "16.0", "16.01", "17", "99", "100", "-1", "-0", "+5", "05"]
    + [" 5", "5\t", '"5"', '" 5 "', ' "5"', '"5" ', "", " ", '""', "NA", "nan", "-inf", "1e1", ".5"]
    + ["5.", "1.2.3", "0x10", "1_6", '"6,5"', "５", "1e400", '"', '5"', '"5', "null", "1" * 50]
    + ["0.30000000000000004", "00000000000000000000000000000000000000000005", "          5", ".0"]
    + ["1.0.0", "1.00", "10.0", "7.50", '"5.0"', '"5"""', "?", "\\N", "inf ", "--1", "1-", "+-inf"]
    + ["+0.5", "-0.0", "-.0", ".", "+", "1.3e+01", "1E+1", "1e-17", "-1e-17", "1e", "e1", "1e+"]
    + ["1.300000000000000000e+01", "-1.300000000000000000e+00", "1D+01", "1e2", "1.6.e1", "+-5"]
)
LINE_ENDS = st.sampled_from(["\n", "\r\n", "\r"])
NOISE = st.sampled_from([b'"', b",", b"\n", b"\r", b"\r\n", b" ", b"\0", b"\xe9", b'""', b"1,"])


@st.composite
def documents(draw):
    """A CSV body and the names of its columns, good rows and many sorts of bad ones."""
    before, after = draw(st.sampled_from([(0, 0), (1, 0), (0, 1), (1, 1), (2, 0)]))
    pixels = [f"pixel_{i}" for i in range(64)]
    if draw(st.booleans()):
        pixels[3], pixels[60] = pixels[60], pixels[3]
    names = ["a", "b"][:before] + pixels + ["z"][:after]
    usual = draw(st.sampled_from(["1", "5.0", '"3"', "2.5", " 4", "12"]))
    end = draw(LINE_ENDS)
    header = ",".join(names)
    lines = []
    for _ in range(draw(st.integers(0, 12))):
        kind = draw(
            st.sampled_from(["row", "row", "row", "odd", "odd", "blank", "short", "header"])
        )
        cells = [usual] * 64
        if kind == "odd":
            for place in draw(st.lists(st.sampled_from([0, 1, 31, 62, 63]), max_size=3)):
                cells[place] = draw(CELLS)
        texts = [draw(TEXTS) for _ in range(before + after)]
        line = ",".join(texts[:before] + cells + texts[before:])
        line = {"blank": draw(st.sampled_from(["", " ", "\t "])), "header": header}.get(kind, line)
        lines.append(line.rsplit(",", 1)[0] if kind == "short" else line)
    ends = [draw(LINE_ENDS) if draw(st.integers(0, 9)) == 0 else end for _ in lines]
    body = "".join(line + stop for line, stop in zip(lines, ends, strict=True)).encode()
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(body)))
        body = body[:place] + draw(NOISE) + body[place:]
    if draw(st.booleans()):
        body = body.removesuffix(end.encode())
    return names, header.encode(), end.encode(), body


@settings(max_examples=400, deadline=None)
@given(
    documents(), st.sampled_from([16, 100, 700, 1 << 20]), st.sampled_from([1, 7, 1000, 1 << 20])
)
def test_every_row_is_read_as_the_reference_reads_it(document, block_bytes, most):
    """Vectorised and exact, any cut, any size of read: the same rows, rejects and counts."""
    names, header, end, body = document
    assume(not (end == b"\r" and body.startswith(b"\n")))  # would be the header's CR LF
    expected = Reference(names, header, limit=LIMIT).rows(body)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_records, "RECORD_LIMIT", LIMIT)
        patch.setattr(csv_blocks, "RECORD_LIMIT", LIMIT)
        # The reference neither completes a layout nor refuses a file whose first rows all fail.
        patch.setattr(csv_header, "_completed", lambda layout, *_: layout)
        patch.setattr(csv_header, "advise", lambda *_, **_options: None)
        got = read_with_source(header + end + body, ReadOptions(), block_bytes, most)
    assert got == expected
