"""The pipeline without its checks, to measure their cost: no flag of the product does this.

Rows come straight from pyarrow (for CSV from its own reader, with the types given and without
quotes) and are converted to pixels unchecked: no value is compared, no line is counted, no page
checksum is verified or written. Nothing is hashed, judged for suspicion or synced. Pipeline,
engine, writing and renames are the product's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from batchdigits.files.names import InputFile
from batchdigits.monitoring.evidence import Evidence
from batchdigits.rows.contract import Rows
from batchdigits.rows.options import Machine, ReadOptions

PIXEL_NAMES = [f"pixel_{i}" for i in range(64)]
CSV_BLOCK = 1 << 20
_PARQUET_WRITER = pq.ParquetWriter
NO_DIGEST = f"sha256:{'0' * 64}"


@contextmanager
def unchecked() -> Iterator[None]:
    """Score without any check in this process, within the block."""
    with ExitStack() as patches:
        for name, replacement in _REPLACED.items():
            patches.enter_context(patch(name, replacement))
        yield


class _Bare:
    """The common part of sources that check nothing."""

    first_line = None
    expected_rows = None

    def verify(self, *_counts: int) -> None:
        """Look away."""

    def progress(self) -> None:
        """Unknown."""

    def digest(self) -> str:
        """Of nothing."""
        return NO_DIGEST

    def verify_unchanged(self) -> None:
        """Look away."""

    def close(self) -> None:
        """Nothing is held."""


class _BareParquet(_Bare):
    def __init__(self, path: Path, machine: Machine) -> None:
        self._file = pq.ParquetFile(path)
        self._batch_rows = machine.batch_rows
        others = [field for field in self._file.schema_arrow if field.name not in PIXEL_NAMES]
        self.schema = pa.schema(others)

    def blocks(self) -> Iterator[pa.RecordBatch]:
        """Record batches as they come."""
        yield from self._file.iter_batches(batch_size=self._batch_rows, use_threads=False)

    def check(self, block: pa.RecordBatch) -> Rows:
        """The batch as rows that are taken to be good."""
        return _rows(block, self.schema.names)


class _BareCsv(_Bare):
    """Blocks are cut at a line feed, and parsed by the workers, as the product does."""

    schema = pa.schema([("id", pa.string()), ("form", pa.string())])

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("rb") as file:
            self._names = file.readline().decode().strip().split(",")

    def blocks(self) -> Iterator[bytes]:
        """Whole lines of about a mebibyte."""
        with self._path.open("rb") as file:
            file.readline()
            while block := file.read(CSV_BLOCK):
                yield block + file.readline()

    def check(self, block: bytes) -> Rows:
        """The lines as rows that are taken to be good."""
        table = pc.read_csv(
            pa.BufferReader(block),
            read_options=pc.ReadOptions(
                use_threads=False, block_size=2 * CSV_BLOCK, column_names=self._names
            ),
            parse_options=pc.ParseOptions(quote_char=False),
            convert_options=pc.ConvertOptions(column_types=_TYPES, check_utf8=False),
        )
        (batch,) = table.combine_chunks().to_batches()
        return _rows(batch, self.schema.names)


_TYPES = {"id": pa.string(), "form": pa.string(), **dict.fromkeys(PIXEL_NAMES, pa.uint8())}


def _rows(batch: pa.RecordBatch, others: list[str]) -> Rows:
    pixels = np.empty((batch.num_rows, len(PIXEL_NAMES)), np.uint8, order="F")
    for i, name in enumerate(PIXEL_NAMES):
        pixels[:, i] = batch.column(name)
    kept = batch.select(others)
    return Rows(pixels, kept, (), kept.slice(0, 0), batch.num_rows)


class _NoHash:
    def __init__(self, _data: bytes = b"") -> None:
        pass

    def update(self, _data: bytes) -> None:
        """Forget."""

    def hexdigest(self) -> str:
        """Of nothing."""
        return NO_DIGEST.removeprefix("sha256:")


def _open(entry: InputFile, _options: ReadOptions, machine: Machine) -> Any:
    if entry.path is None:
        raise ValueError("a file is expected")
    parquet = entry.kind == "parquet"
    return _BareParquet(entry.path, machine) if parquet else _BareCsv(entry.path)


def _without_checksums(*arguments: Any, **options: Any) -> pq.ParquetWriter:
    return _PARQUET_WRITER(*arguments, **{**options, "write_page_checksum": False})


def _nothing(*_arguments: object) -> None:
    pass


_REPLACED: dict[str, Any] = {
    "batchdigits.scoring.one_input.open_source": _open,
    "batchdigits.monitoring.judge.Judge.judge": lambda *_: Evidence(),
    "batchdigits.monitoring.ranges.RangeEvidence.add": _nothing,
    "batchdigits.files.digest.hashlib": SimpleNamespace(sha256=_NoHash),
    "batchdigits.rows.parquet.sink.pq.ParquetWriter": _without_checksums,
    "os.fsync": _nothing,
}
