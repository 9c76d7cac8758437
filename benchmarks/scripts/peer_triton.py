"""Score a Parquet file through Triton Inference Server, as NVIDIA's PyTriton starts it.

    python benchmarks/scripts/peer_triton.py INPUT OUTPUT MODEL_FOLDER WORKERS

The server calls ONNX Runtime; this process reads, asks it for one chunk after the other, and
writes.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pyarrow as pa
import pyarrow.parquet as pq
from pytriton.client import ModelClient
from pytriton.decorators import batch as batched
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

PIXELS = [f"pixel_{i}" for i in range(64)]
CHUNK_ROWS = 65_536
HTTP, GRPC, METRICS = 28_000, 28_001, 28_002


def main() -> None:
    """Start the server, and score through it."""
    source, target, folder, workers = sys.argv[1:5]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(workers)
    session = onnxruntime.InferenceSession(Path(folder, "model.onnx"), options)

    @batched
    def infer(pixels: Any) -> Any:
        return session.run(["probabilities"], {"pixels": pixels.astype(np.float32)})

    config = TritonConfig(http_port=HTTP, grpc_port=GRPC, metrics_port=METRICS, log_verbose=0)
    with Triton(config=config) as triton:
        triton.bind(
            model_name="digits",
            infer_func=infer,
            inputs=[Tensor(name="pixels", dtype=np.uint8, shape=(64,))],
            outputs=[Tensor(name="probabilities", dtype=np.float32, shape=(10,))],
            config=ModelConfig(max_batch_size=CHUNK_ROWS),
        )
        triton.run()
        with ModelClient(f"grpc://localhost:{GRPC}", "digits") as client:
            _score(source, target, client)


def _score(source: str, target: str, client: Any) -> None:
    """Read the next chunk while the server is busy with this one."""
    writer = None
    with ThreadPoolExecutor(1) as reader:
        batches = pq.ParquetFile(source).iter_batches(CHUNK_ROWS)
        batch = next(batches, None)
        while batch is not None:
            following = reader.submit(next, batches, None)
            pixels = np.column_stack([batch[name].to_numpy() for name in PIXELS])
            probabilities = client.infer_batch(pixels)["probabilities"]
            others = batch.drop_columns(PIXELS)
            others = others.append_column("prediction", pa.array(probabilities.argmax(axis=1)))
            others = others.append_column("confidence", pa.array(probabilities.max(axis=1)))
            writer = writer or pq.ParquetWriter(target, others.schema)
            writer.write_batch(others)
            batch = following.result()
    if writer:
        writer.close()


if __name__ == "__main__":
    main()
