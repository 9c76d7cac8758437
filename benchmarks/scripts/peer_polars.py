"""Score a Parquet file with polars: a lazy frame, one call of ONNX Runtime a batch, streamed out.

python benchmarks/scripts/peer_polars.py INPUT OUTPUT MODEL_FOLDER WORKERS
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnxruntime
import polars as pl

PIXELS = [f"pixel_{i}" for i in range(64)]
NEW = {"prediction": pl.Int64, "confidence": pl.Float32}


def main() -> None:
    """Read, score, write, in polars' streaming engine."""
    source, target, folder, workers = sys.argv[1:5]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(workers)
    session = onnxruntime.InferenceSession(Path(folder, "model.onnx"), options)

    def score(frame: pl.DataFrame) -> pl.DataFrame:
        pixels = frame.select(PIXELS).to_numpy().astype(np.float32)
        (probabilities,) = session.run(["probabilities"], {"pixels": pixels})
        return frame.drop(PIXELS).with_columns(
            prediction=probabilities.argmax(axis=1), confidence=probabilities.max(axis=1)
        )

    rows = pl.scan_parquet(source)
    schema = rows.drop(PIXELS).collect_schema() | NEW
    rows.map_batches(score, schema=schema, streamable=True).sink_parquet(target)


if __name__ == "__main__":
    main()
