"""Score a Parquet file through a KServe model server, by its binary gRPC protocol.

    python benchmarks/scripts/peer_kserve.py INPUT OUTPUT MODEL_FOLDER WORKERS

The server is a process of its own and calls ONNX Runtime; this process reads, asks it for one chunk
after the other, and writes.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

PIXELS = [f"pixel_{i}" for i in range(64)]
CHUNK_ROWS = 16_384
HTTP, GRPC = 28_010, 28_011
SECONDS_TO_START = 60


def serve(model: str, workers: str) -> None:
    """Serve the model until this process is ended."""
    import onnxruntime
    from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(workers)
    session = onnxruntime.InferenceSession(model, options)

    class Digits(Model):  # type: ignore[misc]  # its package has no hints here
        """The network, by KServe's interface."""

        def load(self) -> bool:
            """Return that the model is ready."""
            self.ready = True
            return True

        async def predict(self, payload: InferRequest, *_: Any, **__: Any) -> InferResponse:
            """Return the probabilities of a chunk."""
            pixels = payload.inputs[0].as_numpy().astype(np.float32)
            (probabilities,) = session.run(["probabilities"], {"pixels": pixels})
            output = InferOutput("probabilities", list(probabilities.shape), "FP32")
            output.set_data_from_numpy(probabilities, binary_data=True)
            return InferResponse(payload.id, self.name, [output])

    digits = Digits("digits")
    digits.load()
    ModelServer(http_port=HTTP, grpc_port=GRPC, workers=1).start([digits])


async def score(source: str, target: str) -> None:
    """Ask the server for each chunk, once it is ready."""
    from kserve import InferenceGRPCClient, InferInput, InferRequest

    client = InferenceGRPCClient(
        f"localhost:{GRPC}",
        channel_args=[
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
        ],
    )
    await _ready(client)
    writer = None
    for batch in pq.ParquetFile(source).iter_batches(CHUNK_ROWS):
        pixels = np.column_stack([batch[name].to_numpy() for name in PIXELS])
        given = InferInput("pixels", list(pixels.shape), "UINT8")
        given.set_data_from_numpy(pixels, binary_data=True)
        answer = await client.infer(InferRequest(model_name="digits", infer_inputs=[given]))
        probabilities = answer.outputs[0].as_numpy().reshape(len(pixels), -1)
        others = batch.drop_columns(PIXELS)
        others = others.append_column("prediction", pa.array(probabilities.argmax(axis=1)))
        others = others.append_column("confidence", pa.array(probabilities.max(axis=1)))
        writer = writer or pq.ParquetWriter(target, others.schema)
        writer.write_batch(others)
    if writer:
        writer.close()


async def _ready(client: Any) -> None:
    until = time.monotonic() + SECONDS_TO_START
    while True:
        try:
            if await client.is_model_ready("digits"):
                return
        except Exception:
            if time.monotonic() > until:
                raise
        await asyncio.sleep(0.1)


def main() -> None:
    """Start the server, score, and end it."""
    source, target, folder, workers = sys.argv[1:5]
    model = str(Path(folder, "model.onnx"))
    command = [sys.executable, __file__, "serve", model, workers]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            asyncio.run(score(source, target))
        finally:
            server.terminate()


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(*sys.argv[2:4])
    else:
        main()
