"""Where scored rows and rejects go: Parquet or CSV, onto any binary stream.

`encode` is a pure function of its batch and may run in any thread; `write` takes what it gave, in
order, in one thread. `close` completes the file but leaves the stream open.
"""

from __future__ import annotations

from typing import Any, Protocol

import pyarrow as pa

from batchdigits.errors import UnusableInputError, listing


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
    # Each imports functions of Arrow that the other one does without.
    if kind == "csv":
        from batchdigits.rows.csv_sink import CsvSink

        return CsvSink(stream, schema)
    from batchdigits.rows.parquet_sink import ParquetSink

    return ParquetSink(stream, schema)


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
