"""Where scored rows and rejects go: Parquet or CSV, onto any binary stream.

`encode` is a pure function of its batch and may run in any thread; `write` takes what it gave, in
order, in one thread. `close` completes the file but leaves the stream open.
"""

from __future__ import annotations

from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from batchdigits.errors import UnusableInputError, listing

ROW_GROUP_ROWS = 131_072
"""Rows of a Parquet row group: its encoded columns stay in memory until it is complete."""

NEEDS_QUOTES = b'",\r\n'


class Stream(Protocol):
    """What a sink writes to: a binary file, or anything with its `write`."""

    def write(self, data: Any, /) -> int: ...


class Sink(Protocol):
    """What takes the rows of one output file, in order."""

    def encode(self, batch: pa.RecordBatch) -> Any: ...

    def write(self, encoded: Any) -> None: ...

    def close(self) -> None: ...


def open_sink(kind: str, stream: Stream, schema: pa.Schema) -> Sink:
    """The sink for `kind`, "csv" or "parquet"."""
    return CsvSink(stream, schema) if kind == "csv" else ParquetSink(stream, schema)


def check_schema(kind: str, schema: pa.Schema, where: str) -> None:
    """Refuse columns that the output format can't hold, before any work.

    Raises UnusableInputError naming them and the fix.
    """
    if kind != "csv":
        return
    wrong = [f"{f.name!r} ({f.type})" for f in schema if not _fits_csv(f.type)]
    if wrong:
        raise UnusableInputError(
            f"{where}: a CSV can't hold the columns {listing(wrong)}; leave them out with --keep, "
            "or write Parquet with --output NAME.parquet"
        )


class ParquetSink:
    """Rows as Parquet, zstd-compressed, every page with a checksum."""

    def __init__(self, stream: Stream, schema: pa.Schema) -> None:
        self._writer = pq.ParquetWriter(
            stream,
            schema,
            compression="zstd",
            compression_level=1,
            write_page_checksum=True,
            # Building dictionaries of ids and confidences costs as much as all other writing.
            use_dictionary=[field.name for field in schema if _has_few_values(field)],
        )

    def encode(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Nothing: the writer encodes."""
        return batch

    def write(self, encoded: pa.RecordBatch) -> None:
        """Append a batch to the row group at hand."""
        self._writer.write_batch(encoded, row_group_size=ROW_GROUP_ROWS)

    def close(self) -> None:
        """Write the footer."""
        self._writer.close()


def _has_few_values(field: pa.Field) -> bool:
    return bool(field.name == "prediction" or pa.types.is_dictionary(field.type))


class CsvSink:
    """Rows as CSV: UTF-8, comma, one line feed a record, quotes where a value needs them.

    Floats are the shortest text that reads back as the same float32 or float64; a null is an empty
    cell.
    """

    def __init__(self, stream: Stream, schema: pa.Schema) -> None:
        self._stream = stream
        self._write_header = schema.names

    def encode(self, batch: pa.RecordBatch) -> pa.Buffer | bytes:
        """The lines of a batch."""
        if batch.num_rows == 0:
            return b""
        cells = [_as_text(column) for column in batch.columns]
        cells[-1] = _join(cells[-1], _text("\n"))
        return _text_bytes(_join(*cells, between=","))

    def write(self, encoded: pa.Buffer | bytes) -> None:
        """Append lines."""
        self._flush_header()
        self._stream.write(encoded)

    def close(self) -> None:
        """Write the header if there was no row to write it for."""
        self._flush_header()

    def _flush_header(self) -> None:
        if self._write_header:
            names = pa.array(self._write_header, pa.large_string())
            self._stream.write((",".join(_quoted(names).to_pylist()) + "\n").encode())
            self._write_header = []


def _as_text(column: pa.Array) -> pa.Array:
    # large_string: the joined lines of a batch may pass 2 GiB where text columns are long.
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    text = column.cast(pa.large_string())
    if text.null_count:
        text = pc.fill_null(text, "")
    return _quoted(text) if _may_need_quotes(column.type) else text


def _quoted(text: pa.Array) -> pa.Array:
    # A look at all bytes at once costs a tenth of one at each cell, and few files have such cells.
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


def _may_need_quotes(arrow_type: pa.DataType) -> bool:
    return not (
        pa.types.is_integer(arrow_type)
        or pa.types.is_floating(arrow_type)
        or pa.types.is_boolean(arrow_type)
    )


def _fits_csv(arrow_type: pa.DataType) -> bool:
    if isinstance(arrow_type, pa.BaseExtensionType):
        return _fits_csv(arrow_type.storage_type)
    if pa.types.is_dictionary(arrow_type):
        return _fits_csv(arrow_type.value_type)
    return not (pa.types.is_nested(arrow_type) or _is_binary(arrow_type))


def _is_binary(arrow_type: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(arrow_type)
        or pa.types.is_large_binary(arrow_type)
        or pa.types.is_fixed_size_binary(arrow_type)
        or pa.types.is_binary_view(arrow_type)
    )
