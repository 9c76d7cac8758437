"""A store of small bundles, and the subcommands of `bundles` that change what its aliases mean."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from paths import ROOT
from small_bundles import make_bundle, make_model, make_pixels

from batchdigits.archive.bundle_file import read_bundle
from batchdigits.archive.classes import Classes
from batchdigits.engines.golden import build_golden
from batchdigits.engines.onnx.engine import OnnxEngine
from batchdigits.store.store import Store

Run = Callable[..., tuple[int, str, str]]

CLASSES = Classes("int64", (0, 1, 2))


def bundle_of(seed: int, version: int) -> bytes:
    """A bundle with weights of its own."""
    model = make_model(seed=seed).SerializeToString()
    pixels = make_pixels(40)
    probabilities = OnnxEngine(model, 3).probabilities(pixels)
    labels = CLASSES.array().take(pa.array(probabilities.argmax(axis=1)))
    golden = build_golden(pixels, labels, probabilities)
    return make_bundle(version=version, model__onnx=model, golden__parquet=golden)


def promote(run: Run, version: int, *more: str) -> tuple[int, str, str]:
    return run("promote", f"digits@{version}", "--alias", "production", *more)


def rollback(run: Run, *more: str) -> tuple[int, str, str]:
    return run("rollback", "digits", "--alias", "production", *more)


def right_of(store: Store, version: int, rows: Path) -> float:
    """The accuracy by NumPy alone."""
    table = pq.read_table(rows)
    pixels = np.stack([table[f"pixel_{i}"].to_numpy() for i in range(64)], axis=1)
    model = read_bundle(store.path("digits", version)).members["model.onnx"]
    probabilities = OnnxEngine(model, 3).probabilities(np.ascontiguousarray(pixels))
    return float((probabilities.argmax(axis=1) == table["label"].to_numpy()).mean())


def own_path() -> dict[str, str]:
    """The environment in which another process imports this package."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}
