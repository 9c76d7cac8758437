"""The bytes of a bundle from its contents, a name and a version."""

from __future__ import annotations

import io
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.archive.bundle_file import build_bundle
from batchdigits.archive.classes import Classes
from batchdigits.archive.manifest import Manifest
from batchdigits.engines.golden import build_golden
from batchdigits.engines.onnx.engine import OnnxEngine
from batchdigits.packing.card import write_card
from batchdigits.packing.contents import Contents
from batchdigits.packing.frameworks import library_versions
from batchdigits.packing.keras_file import keras_bytes
from batchdigits.packing.onnx.multiplications import count_in_graph, count_in_network


def pack_bundle(contents: Contents, name: str, version: int) -> bytes:
    """The bundle's bytes. The same arguments give the same bytes."""
    classes = Classes.of(contents.binarizer.classes_)
    manifest = Manifest(
        name=name,
        version=version,
        created=contents.created,
        classes=classes,
        architecture={**contents.architecture, "multiplications": _multiplications(contents)},
        data=contents.data,
        split=contents.split,
        metrics={
            **contents.scores.as_facts(),
            "onnx_agreement": asdict(contents.agreement),
            **contents.metrics,
        },
        libraries=library_versions(),
        thresholds=contents.thresholds,
        recipe=contents.recipe,
        command=contents.command,
    )
    members = {
        "model.keras": keras_bytes(contents.model.model),
        "scaler.joblib": _joblib_bytes(contents.model.scaler),
        "label_binarizer.joblib": _joblib_bytes(contents.binarizer),
        "model.onnx": contents.onnx,
        "golden.parquet": _golden_bytes(contents.onnx, contents.golden, classes),
        "reference.json": contents.reference.to_json(classes),
    }
    members["card.md"] = write_card(manifest, contents.scores, members)
    return build_bundle(manifest, members)


def _multiplications(contents: Contents) -> dict[str, int]:
    return {
        "network": count_in_network(contents.model.model),
        "compiled": count_in_graph(contents.onnx),
    }


def _golden_bytes(onnx: bytes, pixels: NDArray[np.float32], classes: Classes) -> bytes:
    probabilities = OnnxEngine(onnx, len(classes)).probabilities(pixels)
    labels = classes.array().take(probabilities.argmax(axis=1))
    return build_golden(pixels, labels, probabilities)


def _joblib_bytes(fitted: Any) -> bytes:
    import joblib

    sink = io.BytesIO()
    joblib.dump(fitted, sink)
    return sink.getvalue()
