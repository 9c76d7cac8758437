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

# Bytes read at once of an output file. No record is longer: its text columns come from an input
# record of at most 1 MiB.
BLOCK_BYTES = 1 << 24
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


def _read_columns(path: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    with _opened(path, columns) as reader:
        yield from reader


def _read_schema(path: Path) -> pa.Schema:
    with _opened(path, []) as reader:
        return pa.schema([pa.field(name, pa.string()) for name in reader.schema.names])


@contextmanager
def _opened(path: Path, columns: Sequence[str]) -> Iterator[Any]:
    """Open some columns of an output file, all of them without any names, as text."""
    import pyarrow.csv as pc

    require_threads(ARROW_THREADS)
    compression = {"gz": "gzip", "zst": "zstd"}.get(split_name(path.name)[2] or "")
    with path.open("rb") as raw, pa.input_stream(raw, compression=compression) as stream:
        yield pc.open_csv(
            stream,
            read_options=pc.ReadOptions(block_size=BLOCK_BYTES, use_threads=False),
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
