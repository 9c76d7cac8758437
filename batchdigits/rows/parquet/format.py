"""The functions of the Parquet format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from batchdigits.errors import NoInputError
from batchdigits.files.names import InputFile
from batchdigits.rows.contract import Format, Source
from batchdigits.rows.options import Machine, ReadOptions
from batchdigits.rows.parquet.sink import ParquetSink
from batchdigits.rows.parquet.stored import open_stored


def _open_source(input_file: InputFile, options: ReadOptions, machine: Machine) -> Source[Any]:
    from batchdigits.rows.parquet.source import ParquetSource

    if input_file.path is None:
        raise NoInputError("-: Parquet can't be read from standard input; name a file")
    return ParquetSource(input_file.path, options, input_file.name, machine)


def _read_columns(path: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(
        open_stored(path), pre_buffer=False, page_checksum_verification=True
    ) as file:
        yield from file.iter_batches(columns=columns, use_threads=False)


def _read_schema(path: Path) -> pa.Schema:
    return pq.read_schema(open_stored(path))


FORMAT = Format(
    open_source=_open_source,
    open_sink=ParquetSink,
    unwritable=lambda _schema: (),
    read_columns=_read_columns,
    read_schema=_read_schema,
    cell_bytes=4,  # most cells that scoring adds are float32
    is_text=False,
)
