"""One input file as a source of rows, whatever its format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchdigits.errors import NoInputError
from batchdigits.files.digest import digest_file
from batchdigits.files.formats import Input
from batchdigits.files.streams import Snapshot, open_input
from batchdigits.rows.batch import RowOptions, Source


@dataclass(frozen=True, slots=True)
class OpenSource:
    """A source and the file under it.

    `digest()` is the sha256 of the file's bytes; a stream knows it once it was read to its end.
    `verify_unchanged()` raises TryAgainError if the file is no longer the one that was opened.
    """

    source: Source[Any]
    digest: Callable[[], str]
    verify_unchanged: Callable[[], None]


def open_source(entry: Input, options: RowOptions) -> OpenSource:
    """Open an input whose content `check_content` has let pass, and read its header or schema.

    Raises NoInputError, UnusableInputError or UsageError, each naming the input and the fix.
    """
    if entry.kind == "parquet":
        return _open_parquet(entry, options)
    from batchdigits.rows.csv_source import CsvSource

    stream = open_input(entry)
    try:
        source = CsvSource(stream, options, entry.name)
    except BaseException:
        stream.close()
        raise
    return OpenSource(source, stream.digest, stream.verify_unchanged)


def _open_parquet(entry: Input, options: RowOptions) -> OpenSource:
    from batchdigits.rows.parquet_source import ParquetSource

    path = _path(entry)
    snapshot = Snapshot.of(path)
    source = ParquetSource(path, options, entry.name)
    return OpenSource(source, lambda: digest_file(path), lambda: snapshot.verify(path))


def _path(entry: Input) -> Path:
    if entry.path is None:
        raise NoInputError(f"{entry.name}: Parquet can't be read from standard input; name a file")
    return entry.path
