"""Export a trained Keras network and its scaler to ONNX, as Keras' documentation shows it.

    python benchmarks/scripts/export_plain.py MODEL_FOLDER OUTPUT.onnx

MODEL_FOLDER holds model.keras and scaler.joblib. The graph takes `pixels` (N x 64).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import joblib
import keras
import numpy as np


def main() -> None:
    """Load, put the scaler in front, export."""
    folder, target = Path(sys.argv[1]), sys.argv[2]
    model = keras.models.load_model(folder / "model.keras")
    scaler = joblib.load(folder / "scaler.joblib")
    pixels = keras.Input((64,), name="pixels")
    scale = 1 / scaler.scale_
    scaled = keras.layers.Rescaling(scale, -scaler.mean_ * scale)(pixels)
    whole = keras.Model(pixels, model(scaled))
    whole(np.zeros((1, 64), np.float32))  # what was never called can't be exported
    whole.export(target, format="onnx", verbose=False)


if __name__ == "__main__":
    main()
