"""Score a Parquet file with an MLflow pyfunc model of the ONNX flavour, chunk by chunk.

    python benchmarks/scripts/peer_mlflow.py INPUT OUTPUT MODEL_FOLDER WORKERS

The model is saved into MODEL_FOLDER/mlflow on first use.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

PIXELS = [f"pixel_{i}" for i in range(64)]
CHUNK_ROWS = 65_536


def main() -> None:
    """Read, predict, write, a chunk at a time."""
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    source, target, folder, _workers = sys.argv[1:5]
    saved = Path(folder, "mlflow")
    if not saved.exists():
        import onnx

        mlflow.onnx.save_model(onnx.load(Path(folder, "model.onnx")), saved)
    model = mlflow.pyfunc.load_model(str(saved))
    writer = None
    for batch in pq.ParquetFile(source).iter_batches(CHUNK_ROWS):
        frame = batch.to_pandas()
        probabilities = model.predict(frame[PIXELS].to_numpy(np.float32))
        if isinstance(probabilities, dict):
            probabilities = probabilities["probabilities"]
        result = frame.drop(columns=PIXELS)
        result["prediction"] = np.argmax(probabilities, axis=1)
        result["confidence"] = np.max(probabilities, axis=1)
        writer = _written(writer, target, result)
    if writer is not None:
        writer.close()


def _written(writer: pq.ParquetWriter | None, target: str, frame: pd.DataFrame) -> pq.ParquetWriter:
    rows = pa.Table.from_pandas(frame, preserve_index=False)
    writer = writer or pq.ParquetWriter(target, rows.schema)
    writer.write_table(rows)
    return writer


if __name__ == "__main__":
    main()
