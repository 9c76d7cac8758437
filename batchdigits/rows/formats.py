"""Where scored rows and rejects go: Parquet or CSV, onto any binary stream.

`encode` is a pure function of its batch and may run in any thread; `write` takes what it gave, in
order, in one thread. `close` completes the file but leaves the stream open.
"""

from __future__ import annotations

import pyarrow as pa

from batchdigits.errors import UnusableInputError
from batchdigits.rows.contract import Sink, Stream
from batchdigits.text import listing


def open_sink(kind: str, stream: Stream, schema: pa.Schema) -> Sink:
    """The sink for `kind`, "csv" or "parquet"."""
    # Each imports functions of Arrow that the other one does without.
    if kind == "csv":
        from batchdigits.rows.csv.sink import CsvSink

        return CsvSink(stream, schema)
    from batchdigits.rows.parquet.sink import ParquetSink

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
