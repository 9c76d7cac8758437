"""Score a Parquet file that DuckDB reads: Arrow batches, one call of ONNX Runtime each.

python benchmarks/scripts/peer_duckdb.py INPUT OUTPUT MODEL_FOLDER WORKERS
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import onnxruntime
import pyarrow as pa

PIXELS = [f"pixel_{i}" for i in range(64)]
BATCH_ROWS = 65_536


def main() -> None:
    """Read, score, write, in DuckDB's queries."""
    source, target, folder, workers = sys.argv[1:5]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(workers)
    session = onnxruntime.InferenceSession(Path(folder, "model.onnx"), options)

    def score(batch: pa.RecordBatch) -> pa.RecordBatch:
        pixels = np.column_stack([batch[name].to_numpy() for name in PIXELS]).astype(np.float32)
        (probabilities,) = session.run(["probabilities"], {"pixels": pixels})
        others = batch.drop_columns(PIXELS)
        others = others.append_column("prediction", pa.array(probabilities.argmax(axis=1)))
        return others.append_column("confidence", pa.array(probabilities.max(axis=1)))

    batches = duckdb.connect().read_parquet(source).to_arrow_reader(BATCH_ROWS)
    first = score(batches.read_next_batch())

    def scored() -> Iterator[pa.RecordBatch]:
        yield first
        yield from map(score, batches)

    rows = pa.RecordBatchReader.from_batches(first.schema, scored())
    duckdb.connect().from_arrow(rows).write_parquet(target)


if __name__ == "__main__":
    main()
