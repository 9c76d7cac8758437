"""The script that people write by hand: pandas, joblib and Keras, the whole file in memory.

    python benchmarks/scripts/keras_script.py INPUT OUTPUT MODEL_FOLDER [--batch 8192]

MODEL_FOLDER holds model.keras, scaler.joblib and label_binarizer.joblib. Without --batch, Keras
uses its own default of 32 rows.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import joblib
import keras
import numpy as np
import pandas as pd

PIXELS = [f"pixel_{i}" for i in range(64)]


def main() -> None:
    """Read, scale, predict, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--batch", type=int, help="rows of one call (default: Keras')")
    arguments = parser.parse_args()

    model = keras.models.load_model(arguments.model / "model.keras")
    scaler = joblib.load(arguments.model / "scaler.joblib")
    binarizer = joblib.load(arguments.model / "label_binarizer.joblib")

    if arguments.input.suffix == ".csv":
        frame = pd.read_csv(arguments.input, dtype={"id": str, **dict.fromkeys(PIXELS, np.uint8)})
    else:
        frame = pd.read_parquet(arguments.input)
    pixels = scaler.transform(frame[PIXELS].to_numpy(np.float32))
    probabilities = model.predict(pixels, batch_size=arguments.batch, verbose=0)
    result = frame.drop(columns=PIXELS)
    result["prediction"] = binarizer.inverse_transform(probabilities)
    result["confidence"] = probabilities.max(axis=1)
    if arguments.output.suffix == ".csv":
        result.to_csv(arguments.output, index=False)
    else:
        result.to_parquet(arguments.output, index=False)


if __name__ == "__main__":
    main()
