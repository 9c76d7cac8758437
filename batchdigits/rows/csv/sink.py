"""The sink that writes rows as CSV."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow.csv import WriteOptions, write_csv

from batchdigits.errors import UnusableInputError
from batchdigits.rows.arrow import is_any
from batchdigits.rows.contract import Stream

NEEDS_QUOTES = b'",\r\n'
TEXTS = ("string", "large_string", "string_view")
NUMBERS = ("integer", "floating", "boolean")
MOST_TEXT = 128 << 20  # bytes of text in a batch that its dictionaries hold once
_NO_TEXT = "<value out of range"  # what Arrow writes for a time that has no text


class CsvSink:
    """A `Sink` for CSV: UTF-8, commas, a line feed after each record, quotes where they are needed.

    A float is the shortest text that reads back as the same float32 or float64; a null is an empty
    cell. `encode` raises UnusableInputError for a value that no text stands for.
    """

    def __init__(self, stream: Stream, schema: pa.Schema) -> None:
        self._stream = stream
        self._write_header = schema.names

    def encode(self, batch: pa.RecordBatch) -> pa.Buffer | bytes:
        if batch.num_rows == 0:
            return b""
        _refuse_giants(batch)
        columns = [
            column if is_any(column.type, *NUMBERS) else _as_text(column, name)
            for column, name in zip(batch.columns, batch.schema.names, strict=True)
        ]
        texts = [column for column in columns if pa.types.is_large_string(column.type)]
        return _written(columns) if all(map(_is_easy, texts)) else _joined(columns)

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


def _refuse_giants(batch: pa.RecordBatch) -> None:
    """Refuse texts that dictionaries hold once, if all rows together would fill the memory."""
    size = 0
    for column in batch.columns:
        if pa.types.is_dictionary(column.type) and is_any(column.type.value_type, *TEXTS):
            lengths = pc.binary_length(column.dictionary).take(column.indices)
            size += pc.sum(lengths).as_py() or 0
    if size > MOST_TEXT:
        raise UnusableInputError(
            f"{batch.num_rows} rows would take {size:,} bytes as CSV, since long texts repeat; "
            "leave their columns out with --keep, or write Parquet: --format parquet, or --output "
            "NAME.parquet"
        )


def _as_text(column: pa.Array, name: str) -> pa.Array:
    # large_string: the joined lines of a batch may exceed 2 GiB where text columns are long.
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    try:
        text = column.cast(pa.large_string())
        if is_any(column.type, *TEXTS):
            text.validate(full=True)
    except pa.ArrowException as error:
        detail = " ".join(str(error).split())
        raise _unwritable(name, column.type, detail) from error
    if is_any(column.type, "temporal") and pc.any(pc.starts_with(text, _NO_TEXT)).as_py():
        raise _unwritable(name, column.type, "a date beyond the years 1 to 9999")
    return pc.fill_null(text, "") if text.null_count else text


def _unwritable(name: str, kind: pa.DataType, detail: str) -> UnusableInputError:
    return UnusableInputError(
        f"a value of the column {name!r} ({kind}) can't be written as CSV ({detail}); leave the "
        "column out with --keep, or write Parquet: --format parquet, or --output NAME.parquet"
    )


def _is_easy(text: pa.Array) -> bool:
    """Return whether no cell needs quotes, and Arrow's writer has room for all of them."""
    # Searching all bytes at once costs a tenth of searching each cell, and few files need quotes.
    characters = _text_bytes(text).to_pybytes()
    return len(characters) <= MOST_TEXT and not any(mark in characters for mark in NEEDS_QUOTES)


def _written(columns: list[pa.Array]) -> pa.Buffer:
    """The lines as Arrow writes them: fastest, but by other rules for quotes than ours."""
    batch = pa.RecordBatch.from_arrays(columns, names=[str(i) for i in range(len(columns))])
    options = WriteOptions(include_header=False, quoting_style="none", batch_size=batch.num_rows)
    stream = pa.BufferOutputStream()
    write_csv(batch, stream, options)
    return stream.getvalue()


def _joined(columns: list[pa.Array]) -> pa.Buffer:
    """The same lines with quotes where they are needed, and of any length."""
    cells = [
        _quoted(column) if pa.types.is_large_string(column.type) else _number_text(column)
        for column in columns
    ]
    cells[-1] = _join(cells[-1], _text("\n"))
    return _text_bytes(_join(*cells, between=","))


def _number_text(column: pa.Array) -> pa.Array:
    text = column.cast(pa.large_string())
    return pc.fill_null(text, "") if text.null_count else text


def _quoted(text: pa.Array) -> pa.Array:
    if _is_easy(text):
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
