"""The pipeline without its checks, to see what they cost: no product flag does this.

Batches come straight from pyarrow and are converted to pixels unjudged: no value is compared, no
line counted, no page checksum verified or written. Nothing is hashed, nothing judged for suspicion,
nothing synced. Pipeline, engine, writing and renames are the product's own.
"""

from __future__ import annotations

import time
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
from many_files import Part
from measure import in_turn, make_data, ratios, spread

import batchdigits
from batchdigits.files.formats import Input
from batchdigits.rows.batch import RowOptions, Rows
from batchdigits.rows.open import OpenSource

PIXEL_NAMES = [f"pixel_{i}" for i in range(64)]
CSV_BLOCK = 1 << 20
_PARQUET_WRITER = pq.ParquetWriter
NO_DIGEST = f"sha256:{'0' * 64}"


@contextmanager
def unchecked() -> Iterator[None]:
    """Within, scoring in this process checks nothing."""
    with ExitStack() as patches:
        for name, replacement in _REPLACED.items():
            patches.enter_context(patch(name, replacement))
        yield


class _BareSource:
    """A `Source` that converts and never looks."""

    has_lines = False
    first_line = 0
    tail_lines = 0
    expected_lines = 0
    expected_rows = None

    def __init__(self, path: Path, kind: str, options: RowOptions) -> None:
        types = {"id": pa.string(), "form": pa.string(), **dict.fromkeys(PIXEL_NAMES, pa.uint8())}
        if kind == "csv":
            self._batches: Any = pc.open_csv(
                path,
                read_options=pc.ReadOptions(use_threads=False, block_size=CSV_BLOCK),
                convert_options=pc.ConvertOptions(column_types=types, check_utf8=False),
            )
            self.schema = pa.schema([("id", pa.string()), ("form", pa.string())])
        else:
            file = pq.ParquetFile(path)
            self._batches = file.iter_batches(batch_size=options.batch_rows, use_threads=False)
            others = [field for field in file.schema_arrow if field.name not in PIXEL_NAMES]
            self.schema = pa.schema(others)

    def blocks(self) -> Iterator[pa.RecordBatch]:
        """Record batches as they come."""
        yield from self._batches

    def check(self, block: pa.RecordBatch) -> Rows:
        """The batch as rows that are taken to be good."""
        pixels = np.empty((block.num_rows, len(PIXEL_NAMES)), np.uint8, order="F")
        for i, name in enumerate(PIXEL_NAMES):
            pixels[:, i] = block.column(name)
        others = block.select(self.schema.names)
        return Rows(pixels, others, (), others.slice(0, 0), block.num_rows)

    def progress(self) -> None:
        """Unknown."""

    def close(self) -> None:
        """Nothing is held."""


class _NoSuspicion:
    def __init__(self, *_evidence: object) -> None:
        pass

    def add(self, _rows: Rows) -> None:
        """Look away."""

    def verdict(self) -> None:
        """Nothing was seen."""


class _NoHash:
    def update(self, _data: bytes) -> None:
        """Forget."""

    def hexdigest(self) -> str:
        """Of nothing."""
        return NO_DIGEST.removeprefix("sha256:")


def _open(entry: Input, options: RowOptions) -> OpenSource:
    if entry.path is None:
        raise ValueError("a file is expected")
    source = _BareSource(entry.path, entry.kind or "csv", options)
    return OpenSource(source, lambda: NO_DIGEST, lambda: None)


def _without_checksums(*arguments: Any, **options: Any) -> pq.ParquetWriter:
    return _PARQUET_WRITER(*arguments, **{**options, "write_page_checksum": False})


def _nothing(*_arguments: object) -> None:
    pass


_REPLACED: dict[str, Any] = {
    "batchdigits.scoring.one_input.open_source": _open,
    "batchdigits.scoring.one_input.Suspicion": _NoSuspicion,
    "batchdigits.files.digest.hashlib": SimpleNamespace(sha256=_NoHash),
    "batchdigits.rows.parquet_sink.pq.ParquetWriter": _without_checksums,
    "os.fsync": _nothing,
}


def price(folder: Path, rows: int, pairs: int) -> Part:
    """Rows a second of the same pipeline in this process, with its checks and without."""

    def seconds(source: Path) -> float:
        output = folder / f"price{source.suffix}"
        for path in (output, output.with_name("price.receipt.json")):
            path.unlink(missing_ok=True)
        started = time.perf_counter()
        summary = batchdigits.score(source, output=output)
        taken = time.perf_counter() - started
        if summary.rows_predicted != rows:
            raise SystemExit(f"{source}: {summary.rows_predicted} of {rows} rows were predicted")
        return taken

    def bare(source: Path) -> float:
        with unchecked():
            return seconds(source)

    part = Part({})
    for kind in ("parquet", "csv"):
        source = make_data(folder, rows, kind)
        seconds(source)
        sides = {"checked": lambda s=source: seconds(s), "unchecked": lambda s=source: bare(s)}
        found = in_turn(pairs, sides)
        for side, times in found.items():
            rates = spread(rows / one / 1e6 for one in times)
            part.counts[f"{kind}, million rows/s, {side}"] = rates
        kept = ratios(found["unchecked"], found["checked"])
        part.counts[f"{kind}, checked over unchecked"] = kept
    return part
