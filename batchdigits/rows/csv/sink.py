"""The sink that writes rows as CSV."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from batchdigits.rows.arrow import is_any
from batchdigits.rows.contract import Stream

NEEDS_QUOTES = b'",\r\n'


class CsvSink:
    """A `Sink` for CSV: UTF-8, commas, a line feed after each record, quotes where they are needed.

    A float is the shortest text that reads back as the same float32 or float64; a null is an empty
    cell.
    """

    def __init__(self, stream: Stream, schema: pa.Schema) -> None:
        self._stream = stream
        self._write_header = schema.names

    def encode(self, batch: pa.RecordBatch) -> pa.Buffer | bytes:
        if batch.num_rows == 0:
            return b""
        cells = [_as_text(column) for column in batch.columns]
        cells[-1] = _join(cells[-1], _text("\n"))
        return _text_bytes(_join(*cells, between=","))

    def write(self, encoded: pa.Buffer | bytes) -> None:
        self._flush_header()
        self._stream.write(encoded)

    def close(self) -> None:
        self._flush_header()

    def _flush_header(self) -> None:
        if self._write_header:
            names = pa.array(self._write_header, pa.large_string())
            self._stream.write((",".join(_quoted(names).to_pylist()) + "\n").encode())
            self._write_header = []


def _as_text(column: pa.Array) -> pa.Array:
    # large_string: the joined lines of a batch may exceed 2 GiB where text columns are long.
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    text = column.cast(pa.large_string())
    if text.null_count:
        text = pc.fill_null(text, "")
    return text if is_any(column.type, "integer", "floating", "boolean") else _quoted(text)


def _quoted(text: pa.Array) -> pa.Array:
    # Searching all bytes at once costs a tenth of searching each cell, and few files need quotes.
    characters = _text_bytes(text).to_pybytes()
    if not any(mark in characters for mark in NEEDS_QUOTES):
        return text
    needs = pc.match_substring_regex(text, f"[{NEEDS_QUOTES.decode()}]")
    if not pc.any(needs).as_py():
        return text
    doubled = pc.replace_substring(text, '"', '""')
    quote = _text('"')
    return pc.if_else(needs, _join(quote, doubled, quote), text)


def _text(value: str) -> pa.Scalar:
    return pa.scalar(value, pa.large_string())


def _join(*parts: pa.Array | pa.Scalar, between: str = "") -> pa.Array:
    return pc.binary_join_element_wise(*parts, _text(between))


def _text_bytes(lines: pa.Array) -> pa.Buffer:
    """The characters of a large_string array, end to end, without a copy."""
    _, offsets, data = lines.buffers()
    if data is None:  # no text has any characters
        return pa.py_buffer(b"")
    bounds = memoryview(offsets).cast("q")
    first, last = bounds[lines.offset], bounds[lines.offset + len(lines)]
    return data.slice(first, last - first)
