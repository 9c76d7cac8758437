"""Score a Parquet file with Ray Data: one ONNX Runtime session for each actor.

python benchmarks/scripts/peer_ray.py INPUT OUTPUT MODEL_FOLDER WORKERS
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import ray

PIXELS = [f"pixel_{i}" for i in range(64)]


class Scorer:
    """An actor, which makes its session once."""

    def __init__(self, model: str) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(model, options)

    def __call__(self, batch: Any) -> Any:
        """The other columns, prediction and confidence."""
        pixels = np.column_stack([batch[name].to_numpy() for name in PIXELS]).astype(np.float32)
        (probabilities,) = self.session.run(["probabilities"], {"pixels": pixels})
        others = batch.drop_columns(PIXELS)
        others = others.append_column("prediction", pa.array(probabilities.argmax(axis=1)))
        return others.append_column("confidence", pa.array(probabilities.max(axis=1)))


def main() -> None:
    """Read, score, write, in Ray's own pipeline."""
    source, target, model, workers = sys.argv[1:5]
    shutil.rmtree(target, ignore_errors=True)
    ray.init(num_cpus=int(workers), include_dashboard=False, logging_level="error")
    ray.data.DataContext.get_current().enable_progress_bars = False
    ray.data.read_parquet(source).map_batches(
        Scorer,
        fn_constructor_args=(str(Path(model, "model.onnx").absolute()),),
        batch_format="pyarrow",
        batch_size=8192,
        compute=ray.data.ActorPoolStrategy(size=max(1, int(workers) - 1)),
    ).write_parquet(target)
    ray.shutdown()


if __name__ == "__main__":
    main()
