"""The thirty lines of an expert: Arrow batches, two threads, ONNX Runtime, and no check at all.

python benchmarks/scripts/peer_expert.py INPUT.parquet OUTPUT.parquet MODEL.onnx
"""

import sys
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnxruntime
import pyarrow as pa
import pyarrow.parquet as pq

PIXELS = [f"pixel_{i}" for i in range(64)]
THREADS, BATCH, BLOCK = 2, 65_536, 1024

source, target, model = sys.argv[1:4]
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(model, options)
# The bundle's model gives class and confidence itself.
outputs = [output.name for output in session.get_outputs()]
wanted = ["best", "confidence"] if "best" in outputs else outputs[:1]


def score(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The other columns, prediction and confidence."""
    pixels = np.column_stack([batch[name].to_numpy() for name in PIXELS])
    best, confidence = [], []
    for at in range(0, len(pixels), BLOCK):
        found = session.run(wanted, {"pixels": pixels[at : at + BLOCK].astype(np.float32)})
        best.append(found[0].argmax(axis=1) if len(found) == 1 else found[0])
        confidence.append(found[-1].max(axis=1) if len(found) == 1 else found[-1])
    others = batch.drop_columns(PIXELS).append_column("prediction", pa.array(np.concatenate(best)))
    return others.append_column("confidence", pa.array(np.concatenate(confidence)))


writer, running = None, deque()
with ThreadPoolExecutor(THREADS) as pool:
    for batch in pq.ParquetFile(source).iter_batches(BATCH):
        running.append(pool.submit(score, batch))
        if len(running) > THREADS:
            scored = running.popleft().result()
            writer = writer or pq.ParquetWriter(target, scored.schema)
            writer.write_batch(scored)
    for scored in (future.result() for future in running):
        writer = writer or pq.ParquetWriter(target, scored.schema)
        writer.write_batch(scored)
if writer:
    writer.close()
