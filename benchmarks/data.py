"""Make data for the benchmarks: real digits resampled with jitter, any number of rows, seeded.

    python benchmarks/data.py 2000000 /tmp/forms.parquet
    python benchmarks/data.py 2000000 /tmp/forms.csv
    python benchmarks/data.py 2000000 /tmp/forms-lists.parquet --lists

Every row is one of the digits in sample_data, with each inked pixel moved by -1, 0 or 1 within
0..16, an `id` (text) and a `form` (text, sixteen rows a form). The same arguments give the same
rows in every format.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

SAMPLE = Path(__file__).parents[1] / "sample_data" / "digits.parquet"
CHUNK = 65_536
PIXEL_NAMES = [f"pixel_{i}" for i in range(64)]


def batches(rows: int, *, seed: int = 0, lists: bool = False) -> Iterator[pa.RecordBatch]:
    """Yield record batches with `id`, `form` and the pixels, `rows` rows in all."""
    digits = _digits()
    generator = np.random.default_rng(seed)
    for start in range(0, rows, CHUNK):
        count = min(CHUNK, rows - start)
        yield _batch(_jittered(digits, count, generator), start, lists=lists)


def write(path: Path, rows: int, *, seed: int = 0, lists: bool = False) -> None:
    """Write the rows as the path's ending says, .parquet or .csv."""
    stream = batches(rows, seed=seed, lists=lists)
    first = next(stream, None) or _batch(np.empty((0, 64), np.uint8), 0, lists=lists)
    if path.suffix == ".csv":
        options = pc.WriteOptions(quoting_style="none", quoting_header="none")
        writer = pc.CSVWriter(path, first.schema, write_options=options)
    else:
        writer = pq.ParquetWriter(path, first.schema, compression="snappy")
    with writer:
        writer.write_batch(first)
        for batch in stream:
            writer.write_batch(batch)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", type=int)
    parser.add_argument("path", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lists", action="store_true", help="one list column (Parquet only)")
    arguments = parser.parse_args(argv)
    write(arguments.path, arguments.rows, seed=arguments.seed, lists=arguments.lists)
    return 0


def _digits() -> NDArray[np.uint8]:
    table = pq.read_table(SAMPLE, columns=PIXEL_NAMES)
    return np.column_stack([column.to_numpy() for column in table.columns]).astype(np.uint8)


def _jittered(
    digits: NDArray[np.uint8], count: int, generator: np.random.Generator
) -> NDArray[np.uint8]:
    chosen = digits[generator.integers(0, len(digits), count)]
    noise = generator.integers(-1, 2, chosen.shape, np.int8)
    moved = np.clip(chosen.astype(np.int8) + noise, 0, 16).astype(np.uint8)
    return np.where(chosen > 0, moved, chosen)


def _batch(pixels: NDArray[np.uint8], start: int, *, lists: bool) -> pa.RecordBatch:
    number = np.arange(start, start + len(pixels))
    columns = {
        "id": pa.array([f"{n:09d}" for n in number], pa.string()),
        "form": pa.array([f"form-{n // 16:07d}" for n in number], pa.string()),
    }
    if lists:
        flat = pa.array(pixels.reshape(-1))
        columns["pixels"] = pa.FixedSizeListArray.from_arrays(flat, 64)
    else:
        by_column = np.ascontiguousarray(pixels.T)
        columns |= {name: pa.array(by_column[i]) for i, name in enumerate(PIXEL_NAMES)}
    return pa.record_batch(columns)


if __name__ == "__main__":
    sys.exit(main())
