"""Score a Parquet file with Spark's mapInArrow and ONNX Runtime, on local[WORKERS].

    python benchmarks/scripts/peer_spark.py INPUT OUTPUT MODEL_FOLDER WORKERS

Spark needs a Java, on PATH or by JAVA_HOME.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PIXELS = [f"pixel_{i}" for i in range(64)]


def main() -> None:
    """Read, score, write, in Spark's own plan."""
    source, target, model, workers = sys.argv[1:5]
    data = Path(model, "model.onnx").read_bytes()
    os.environ["PYSPARK_PYTHON"] = sys.executable
    from pyspark.sql import SparkSession

    spark = (
        SparkSession.builder.master(f"local[{workers}]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.memory", "4g")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", "16384")
        .config("spark.sql.files.maxPartitionBytes", "16m")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")

    def score(batches: Iterator[Any]) -> Iterator[Any]:
        import numpy as np
        import onnxruntime
        import pyarrow as pa

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(data, options)
        for batch in batches:
            pixels = np.column_stack([batch[name].to_numpy() for name in PIXELS])
            (probabilities,) = session.run(["probabilities"], {"pixels": pixels.astype(np.float32)})
            columns = [batch["id"], batch["form"]]
            columns += [pa.array(probabilities.argmax(axis=1)), pa.array(probabilities.max(axis=1))]
            names = ["id", "form", "prediction", "confidence"]
            yield pa.RecordBatch.from_arrays(columns, names=names)

    schema = "id string, form string, prediction long, confidence float"
    frame = spark.read.parquet(f"file://{Path(source).absolute()}")
    scored = frame.mapInArrow(score, schema)
    scored.write.mode("overwrite").parquet(f"file://{Path(target).absolute()}")
    spark.stop()


if __name__ == "__main__":
    main()
