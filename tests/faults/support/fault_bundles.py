"""Small real bundles that predict takes, and changes to them."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pyarrow as pa
from onnx import numpy_helper
from small_bundles import DIGITS, make_bundle, make_model, make_pixels

from batchdigits.archive.reference import Reference
from batchdigits.engines.golden import build_golden
from batchdigits.engines.onnx.engine import OnnxEngine


def sound_bundle(model: onnx.ModelProto | None = None, **members: Any) -> bytes:
    """A bundle whose network is `model`, right in every member except those given."""
    data = (model or make_model()).SerializeToString()
    pixels = make_pixels(40)
    pixels[:, 63] = 0
    probabilities = OnnxEngine(data, len(DIGITS)).probabilities(pixels)
    targets = probabilities.argmax(axis=1)
    golden = build_golden(pixels, DIGITS.array().take(pa.array(targets)), probabilities)
    reference = Reference.measure(pixels.astype(np.float64), targets, len(DIGITS)).to_json(DIGITS)
    filled = {"model__onnx": data, "golden__parquet": golden, "reference__json": reference}
    return make_bundle(**{**filled, **members})


def overflowing_model() -> onnx.ModelProto:
    """A network that gives NaN for rows whose last pixel has ink, and only for those."""
    model = make_model()
    weights = model.graph.initializer[0]
    values = numpy_helper.to_array(weights).copy()
    values[63] = np.finfo(np.float32).max
    weights.CopyFrom(numpy_helper.from_array(values, weights.name))
    return model
