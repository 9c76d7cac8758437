"""Score a Parquet file with a scikit-learn pipeline: StandardScaler, MLPClassifier.

    python benchmarks/scripts/peer_sklearn.py INPUT OUTPUT MODEL_FOLDER WORKERS

The classifier has the bundle's weights: MLPClassifier computes one hidden layer of rectified linear
units and softmax, as the bundle's network does. The pipeline is saved in
MODEL_FOLDER/pipeline.joblib on first use, with the libraries of the train extra.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

PIXELS = [f"pixel_{i}" for i in range(64)]
CHUNK_ROWS = 65_536


def main() -> None:
    """Read, predict, write, a chunk at a time."""
    source, target, folder, _workers = sys.argv[1:5]
    saved = Path(folder, "pipeline.joblib")
    if not saved.exists():
        joblib.dump(build(Path(folder)), saved)
    pipeline = joblib.load(saved)
    writer = None
    for batch in pq.ParquetFile(source).iter_batches(CHUNK_ROWS):
        frame = batch.to_pandas()
        probabilities = pipeline.predict_proba(frame[PIXELS].to_numpy(np.float32))
        result = frame.drop(columns=PIXELS)
        result["prediction"] = pipeline.classes_[probabilities.argmax(axis=1)]
        result["confidence"] = probabilities.max(axis=1).astype(np.float32)
        writer = _written(writer, target, result)
    if writer is not None:
        writer.close()


def build(folder: Path) -> Any:
    """Return a fitted pipeline with the scaler and the weights of the bundle's members."""
    import keras
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline

    scaler = joblib.load(folder / "scaler.joblib")
    classes = joblib.load(folder / "label_binarizer.joblib").classes_
    weights = keras.models.load_model(folder / "model.keras").get_weights()
    coefs, biases = weights[0::2], weights[1::2]
    hidden = tuple(len(bias) for bias in biases[:-1])
    # One step of fit lays out the classifier; then the weights are replaced.
    blank = np.zeros((len(classes), len(PIXELS)), np.float32)
    classifier = MLPClassifier(hidden, max_iter=1).fit(blank, classes)
    classifier.coefs_, classifier.intercepts_ = list(coefs), list(biases)
    return make_pipeline(scaler, classifier)


def _written(writer: pq.ParquetWriter | None, target: str, frame: pd.DataFrame) -> pq.ParquetWriter:
    rows = pa.Table.from_pandas(frame, preserve_index=False)
    writer = writer or pq.ParquetWriter(target, rows.schema)
    writer.write_table(rows)
    return writer


if __name__ == "__main__":
    main()
