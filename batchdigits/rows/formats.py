"""The table of formats: each is a line of `files/names.py` and a folder `rows/NAME/`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from batchdigits.errors import UnusableInputError
from batchdigits.files.names import FORMATS, InputFile
from batchdigits.rows.contract import Format, Source
from batchdigits.rows.options import ONE_THREAD, Machine, ReadOptions
from batchdigits.text import listing

if TYPE_CHECKING:
    import pyarrow as pa


def find_format(kind: str) -> Format:
    """The functions of the format `kind`, a key of `FORMATS`; no other format is imported."""
    file_format: Format = import_module(f"batchdigits.rows.{kind}.format").FORMAT
    return file_format


def open_source(
    input_file: InputFile, options: ReadOptions, machine: Machine = ONE_THREAD
) -> Source[Any]:
    """Open an input file that `check_content` has accepted, and read its header or schema.

    Its rows have the columns that its folders stand for, too.
    Raises NoInputError, UnusableInputError or UsageError, each with the file's name and the fix.
    """
    open_file = find_format(input_file.kind).open_source
    if not input_file.partitions:
        return open_file(input_file, options, machine)
    from batchdigits.rows.partitions import PartitionedSource

    return PartitionedSource(
        lambda read: open_file(input_file, read, machine),
        options,
        input_file.partitions,
        input_file.name,
    )


def check_schema(kind: str, schema: pa.Schema, where: str) -> None:
    """Raise UnusableInputError, before any work, for columns that the output format can't hold."""
    columns = [f"{f.name!r} ({f.type})" for f in find_format(kind).unwritable(schema)]
    if columns:
        raise UnusableInputError(
            f"{where}: {FORMATS[kind].title} can't hold the columns {listing(columns)}; leave them "
            "out with --keep, or write Parquet: --format parquet, or --output NAME.parquet"
        )
