"""Small real bundles: a network of a few units as ONNX, its golden rows, made-up other members."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pyarrow as pa
from onnx import TensorProto, helper, numpy_helper

from batchdigits.archive.bundle_file import build_bundle
from batchdigits.archive.classes import Classes
from batchdigits.archive.manifest import Manifest
from batchdigits.archive.reference import Reference
from batchdigits.engines.golden import build_golden
from batchdigits.engines.onnx.engine import OnnxEngine

DIGITS = Classes("int64", (0, 1, 2))


def make_model(
    classes: int = 3, *, units: int = 16, seed: int = 0, best: bool = False, **ports: Any
) -> onnx.ModelProto:
    """Gemm, Relu, Gemm, Softmax; `ports` are other names, types or shapes for input and output.

    `best` adds the outputs that tell the most probable class.
    """
    random = np.random.default_rng(seed)

    def weights(name: str, *shape: int, scale: float) -> onnx.TensorProto:
        return numpy_helper.from_array(random.normal(0, scale, shape).astype(np.float32), name)

    source, target = ports.get("input", "pixels"), ports.get("output", "probabilities")
    nodes = [
        helper.make_node("Gemm", [source, "W1", "b1"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["active"]),
        helper.make_node("Gemm", ["active", "W2", "b2"], ["logits"]),
        helper.make_node("Softmax", ["logits"], [target], axis=-1),
    ]
    rows = ports.get("rows", "N")
    kind = ports.get("type", TensorProto.FLOAT)
    outputs = [helper.make_tensor_value_info(target, kind, [rows, classes])]
    if best:
        nodes += [
            helper.make_node("ArgMax", [target], ["best"], axis=1, keepdims=0),
            helper.make_node("ReduceMax", [target], ["confidence"], axes=[1], keepdims=0),
        ]
        outputs += [
            helper.make_tensor_value_info("best", TensorProto.INT64, [rows]),
            helper.make_tensor_value_info("confidence", kind, [rows]),
        ]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info(source, kind, [rows, 64])],
        outputs,
        [
            weights("W1", 64, units, scale=0.03),
            weights("b1", units, scale=0.1),
            weights("W2", units, classes, scale=0.3),
            weights("b2", classes, scale=0.1),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def make_pixels(rows: int, *, seed: int = 1) -> np.ndarray:
    """Random pixels, uint8 (rows, 64), 0..16."""
    return np.random.default_rng(seed).integers(0, 17, (rows, 64)).astype(np.uint8)


def make_facts(classes: Classes = DIGITS, *, version: int = 1) -> Manifest:
    """A manifest for a bundle of these classes."""
    return Manifest(
        name="digits",
        version=version,
        created="2026-01-31T02:00:00Z",
        classes=classes,
        architecture={"name": "mlp", "hyperparameters": {"units": 16}},
        data={"description": "random", "digest": "sha256:" + "0" * 64, "rows": 30},
        split={"test_share": 0.3},
        metrics={"accuracy": 0.975},
        libraries={},
    )


def _reference(classes: Classes, pixels: np.ndarray, probabilities: np.ndarray) -> bytes:
    places = probabilities.argmax(axis=1)
    return Reference.measure(pixels.astype(np.float64), places, len(classes)).to_json(classes)


def make_bundle(
    classes: Classes = DIGITS,
    *,
    version: int = 1,
    golden_classes: Classes | None = None,
    **members: bytes,
) -> bytes:
    """The bytes of a bundle; `golden_classes` label the golden rows, `members` replace members."""
    model = members.pop("model__onnx", None) or make_model(len(classes)).SerializeToString()
    pixels = make_pixels(40)
    probabilities = OnnxEngine(
        make_model(len(classes)).SerializeToString(), len(classes)
    ).probabilities(pixels)
    places = pa.array(probabilities.argmax(axis=1))
    labels = (golden_classes or classes).array().take(places)
    filled = {
        "model.onnx": model,
        "golden.parquet": build_golden(pixels, labels, probabilities),
        "card.md": b"# digits\n\nA made-up model.\n",
        "reference.json": _reference(classes, pixels, probabilities),
        **dict.fromkeys(("model.keras", "scaler.joblib", "label_binarizer.joblib"), b"made up"),
        **{name.replace("__", "."): data for name, data in members.items()},
    }
    return build_bundle(make_facts(classes, version=version), filled)
