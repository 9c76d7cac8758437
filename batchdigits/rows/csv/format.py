"""The functions of the CSV format. Sources and sinks are imported when they are opened."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from batchdigits.files.names import InputFile, split_name
from batchdigits.files.streams import open_input
from batchdigits.rows.arrow import BYTES, is_any
from batchdigits.rows.contract import Format, Sink, Source, Stream
from batchdigits.rows.options import Machine, ReadOptions
from batchdigits.threads import require_threads

# Bytes read at once of an output file. A record, which Arrow wants to begin in one block and end in
# the next, is seldom so long, but a text of a Parquet input may be.
BLOCK_BYTES = 1 << 24
MOST_BLOCK_BYTES = (1 << 31) - 1  # what Arrow can count
# Arrow's reader of CSV reads ahead. With fewer threads than these it may wait for ever.
ARROW_THREADS = 8


def _open_source(input_file: InputFile, options: ReadOptions, _machine: Machine) -> Source[Any]:
    from batchdigits.rows.csv.source import CsvSource

    stream = open_input(input_file)
    try:
        return CsvSource(stream, options, input_file.name)
    except BaseException:
        stream.close()
        raise


def _open_sink(stream: Stream, schema: pa.Schema, _few_values: Collection[str]) -> Sink:
    from batchdigits.rows.csv.sink import CsvSink

    return CsvSink(stream, schema)


def _unwritable(schema: pa.Schema) -> list[pa.Field]:
    return [field for field in schema if not _fits(field.type)]


def _fits(arrow_type: pa.DataType) -> bool:
    if isinstance(arrow_type, pa.BaseExtensionType):
        return _fits(arrow_type.storage_type)
    if pa.types.is_dictionary(arrow_type):
        return _fits(arrow_type.value_type)
    return not is_any(arrow_type, "nested", *BYTES)


def _read_columns(
    path: Path, columns: Sequence[str], block_bytes: int = BLOCK_BYTES, done: int = 0
) -> Iterator[pa.RecordBatch]:
    """Read some columns; not the first `done` rows, which were read with smaller blocks."""
    rows = 0
    try:
        with _opened(path, columns, block_bytes) as reader:
            for batch in reader:
                rows += batch.num_rows
                if rows > done:
                    yield batch.slice(max(0, batch.num_rows - (rows - done)))
    except pa.ArrowInvalid as error:
        block_bytes = _larger(block_bytes, error)
    else:
        return
    yield from _read_columns(path, columns, block_bytes, max(rows, done))


def _read_schema(path: Path, block_bytes: int = BLOCK_BYTES) -> pa.Schema:
    try:
        with _opened(path, [], block_bytes) as reader:
            return pa.schema([pa.field(name, pa.string()) for name in reader.schema.names])
    except pa.ArrowInvalid as error:
        block_bytes = _larger(block_bytes, error)
    return _read_schema(path, block_bytes)


def _larger(block_bytes: int, error: pa.ArrowInvalid) -> int:
    """Return the next size of blocks if a record was too long for these. Raises other errors."""
    if "straddling" not in str(error) or block_bytes == MOST_BLOCK_BYTES:
        raise error
    return min(2 * block_bytes, MOST_BLOCK_BYTES)


@contextmanager
def _opened(path: Path, columns: Sequence[str], block_bytes: int) -> Iterator[Any]:
    """Open some columns of an output file, all of them without any names, as text."""
    import pyarrow.csv as pc

    require_threads(ARROW_THREADS)
    compression = {"gz": "gzip", "zst": "zstd"}.get(split_name(path.name)[2] or "")
    with path.open("rb") as raw, pa.input_stream(raw, compression=compression) as stream:
        yield pc.open_csv(
            stream,
            read_options=pc.ReadOptions(block_size=block_bytes, use_threads=False),
            parse_options=pc.ParseOptions(newlines_in_values=True),
            convert_options=pc.ConvertOptions(
                include_columns=columns, column_types=dict.fromkeys(columns, pa.string())
            ),
        )


FORMAT = Format(
    open_source=_open_source,
    open_sink=_open_sink,
    unwritable=_unwritable,
    read_columns=_read_columns,
    read_schema=_read_schema,
    cell_bytes=10,
    is_text=True,
)
