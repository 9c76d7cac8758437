"""The bare parts that every scoring needs, each alone, as CPU time a row; and the product.

CPU time counts all threads of this process, so nothing else may run while something is measured.
"""

from __future__ import annotations

import threading
import time
import zipfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from batchdigits.engines.onnx.session import import_runtime
from support.measure import cores, show

Work = Callable[[], int]

PIXEL_NAMES = [f"pixel_{i}" for i in range(64)]
ENGINE_BLOCKS = (256, 512, 1024, 2048)
READ_BATCHES = (16_384, 65_536)
CSV_BLOCKS = (1 << 20, 1 << 22)
TRIAL_ROWS = 65_536
CHUNK_ROWS = 65_536


@dataclass(frozen=True, slots=True)
class Part:
    """One bare part at its best settings; `work` does it once and returns its number of rows."""

    name: str
    settings: str
    work: Work

    def alone(self) -> float:
        """Return the CPU time in seconds a row, with nothing else running."""
        return cpu_seconds(self.work)

    def on_all_cores(self) -> float:
        """Return the CPU time while every core does this part: they share caches and memory."""
        return cpu_seconds(self.work, cores())


@dataclass(frozen=True, slots=True)
class Scored:
    """The input of the parts: a scored file's columns, and its pixels ready for the engine."""

    columns: list[pa.RecordBatch]
    pixels: NDArray[np.float32]


def cpu_seconds(work: Callable[[], int], threads: int = 1) -> float:
    """Return the CPU seconds a row while each thread does `work`, which returns its rows."""
    started = time.process_time()
    with ThreadPoolExecutor(threads) as pool:
        rows = sum(pool.map(lambda _: work(), range(threads)))
    return (time.process_time() - started) / rows


def best_of(name: str, choices: Mapping[str, Work], rounds: int = 3) -> Part:
    """Choose the cheapest of several settings, each tried `rounds` times in turn."""
    tried: dict[str, float] = dict.fromkeys(choices, float("inf"))
    for _ in range(rounds):
        for settings, choice in choices.items():
            show(f"{name}: trying {settings}")
            tried[settings] = min(tried[settings], cpu_seconds(choice))
    settings = min(tried, key=tried.__getitem__)
    return Part(name, settings, choices[settings])


def parquet_reading(path: Path) -> Part:
    """Read every column of the file into Arrow, with one thread or pyarrow's own."""

    def read(batch: int, threads: bool) -> int:
        file = pq.ParquetFile(path)
        return sum(b.num_rows for b in file.iter_batches(batch_size=batch, use_threads=threads))

    return best_of(
        "reading",
        {
            f"{batch} rows, {'its threads' if threads else 'one thread'}": partial(
                read, batch, threads
            )
            for batch in READ_BATCHES
            for threads in (False, True)
        },
    )


def csv_reading(path: Path) -> Part:
    """Read every column of the file into Arrow, with the pixels' type given, unchecked."""
    types = {"id": pa.string(), "form": pa.string(), **dict.fromkeys(PIXEL_NAMES, pa.uint8())}

    def read(block: int, threads: bool, quotes: bool) -> int:
        table = pc.read_csv(
            path,
            read_options=pc.ReadOptions(use_threads=threads, block_size=block),
            parse_options=pc.ParseOptions(quote_char='"' if quotes else False),
            convert_options=pc.ConvertOptions(column_types=types, check_utf8=False),
        )
        return int(table.num_rows)

    return best_of(
        "reading",
        {
            f"{block >> 20} MiB, {'its threads' if threads else 'one thread'}"
            f"{'' if quotes else ', no quotes'}": partial(read, block, threads, quotes)
            for block in CSV_BLOCKS
            for threads in (False, True)
            for quotes in (False, True)
        },
        rounds=2,
    )


def engine(bundle: Path, pixels: NDArray[np.float32]) -> Part:
    """Run ONNX Runtime on arrays that are ready, with one thread and blocks of the best size."""
    session = open_session(bundle)

    def score(block: int, limit: int) -> int:
        rows = 0
        while rows < limit:
            for at in range(0, len(pixels), block):
                session.run(None, {"pixels": pixels[at : at + block]})
            rows += len(pixels)
        return rows

    trials = {f"blocks of {block}": partial(score, block, TRIAL_ROWS) for block in ENGINE_BLOCKS}
    best = best_of("engine", trials, rounds=5)
    block = ENGINE_BLOCKS[list(trials).index(best.settings)]
    return Part(best.name, best.settings, partial(score, block, 8 * TRIAL_ROWS))


def parquet_writing(columns: list[pa.RecordBatch], path: Path) -> Part:
    """Write the columns of the predictions, compressed and with checksums like the product's."""

    def write(dictionary: list[str] | bool) -> int:
        with pq.ParquetWriter(
            _own(path),
            columns[0].schema,
            compression="zstd",
            compression_level=1,
            write_page_checksum=True,
            use_dictionary=dictionary,
        ) as writer:
            for batch in columns:
                writer.write_batch(batch, row_group_size=131_072)
        return sum(batch.num_rows for batch in columns)

    return best_of(
        "writing",
        {
            "dictionaries": partial(write, True),
            "a dictionary of the labels": partial(write, ["prediction"]),
        },
    )


def _own(path: Path) -> Path:
    """Return a path for this thread alone."""
    return path.with_name(f"{threading.get_ident()}-{path.name}")


def csv_writing(columns: list[pa.RecordBatch], path: Path) -> Part:
    """Write the columns of the predictions as text."""

    def write(style: str) -> int:
        options = pc.WriteOptions(quoting_style=style, quoting_header=style)
        with pc.CSVWriter(_own(path), columns[0].schema, write_options=options) as writer:
            for batch in columns:
                writer.write_batch(batch)
        return sum(batch.num_rows for batch in columns)

    return best_of(
        "writing",
        {f"quotes {style}": partial(write, style) for style in ("none", "needed")},
    )


def load_scored(source: Path, predictions: Path) -> Scored:
    """Load the predictions of a scored Parquet file, and the pixels of its first rows."""
    columns = list(pq.ParquetFile(predictions).iter_batches(batch_size=CHUNK_ROWS))
    first = next(pq.ParquetFile(source).iter_batches(TRIAL_ROWS, columns=PIXEL_NAMES))
    pixels = np.column_stack([column.to_numpy() for column in first.columns])
    return Scored(columns, pixels.astype(np.float32))


def open_session(bundle: Path) -> Any:
    """Open the bundle's model in ONNX Runtime, with one thread."""
    with zipfile.ZipFile(bundle) as archive:
        model = archive.read("model.onnx")
    onnxruntime = import_runtime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


@dataclass(frozen=True, slots=True)
class Run:
    """One call of the product: its seconds by the clock, and the CPU time of all threads."""

    seconds: float
    cpu_seconds: float


def score_here(source: Path, target: Path, bundle: Path, **options: Any) -> Run:
    """Score a file in this process, whose imports are done, with options of `batchdigits.score`."""
    import batchdigits

    for path in (target, target.with_name(f"{target.stem}.receipt.json")):
        path.unlink(missing_ok=True)
    started, cpu = time.perf_counter(), time.process_time()
    summary = batchdigits.score(source, output=target, bundle=bundle, **options)
    run = Run(time.perf_counter() - started, time.process_time() - cpu)
    if summary.exit_code != 0:
        raise SystemExit(f"{source}: ended with {summary.exit_code}: {summary.inputs[0].error}")
    return run


def steady(large: Run, small: Run, rows: int) -> Run:
    """Return the seconds a row, from two files that differ by `rows`: no start, no end."""
    return Run(
        (large.seconds - small.seconds) / rows, (large.cpu_seconds - small.cpu_seconds) / rows
    )
