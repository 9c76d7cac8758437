"""One input file as a source of rows, whatever its format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchdigits.errors import NoInputError
from batchdigits.files.digest import digest_file
from batchdigits.files.names import InputFile
from batchdigits.files.streams import Snapshot, open_input
from batchdigits.rows.contract import Source
from batchdigits.rows.options import ONE_THREAD, Machine, ReadOptions


@dataclass(frozen=True, slots=True)
class OpenSource:
    """A source and the file under it.

    `digest()` is the sha256 of the file's bytes; a stream knows it once it was read to its end.
    `verify_unchanged()` raises TryAgainError if the file is no longer the one that was opened.
    """

    source: Source[Any]
    digest: Callable[[], str]
    verify_unchanged: Callable[[], None]


def open_source(
    input_file: InputFile, options: ReadOptions, machine: Machine = ONE_THREAD
) -> OpenSource:
    """Open an input whose content `check_content` has let pass, and read its header or schema.

    Raises NoInputError, UnusableInputError or UsageError, each naming the input and the fix.
    """
    if input_file.kind == "parquet":
        return _open_parquet(input_file, options, machine)
    from batchdigits.rows.csv.source import CsvSource

    stream = open_input(input_file)
    try:
        source = CsvSource(stream, options, input_file.name)
    except BaseException:
        stream.close()
        raise
    return OpenSource(source, stream.digest, stream.verify_unchanged)


def _open_parquet(input_file: InputFile, options: ReadOptions, machine: Machine) -> OpenSource:
    from batchdigits.rows.parquet.source import ParquetSource

    path = _path(input_file)
    snapshot = Snapshot.of(path)
    source = ParquetSource(path, options, input_file.name, machine)
    return OpenSource(source, lambda: digest_file(path), lambda: snapshot.verify(path))


def _path(input_file: InputFile) -> Path:
    if input_file.path is None:
        raise NoInputError(
            f"{input_file.name}: Parquet can't be read from standard input; name a file"
        )
    return input_file.path
