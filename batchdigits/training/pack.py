"""Puts a trained model, its proof and its facts into the bytes of a bundle."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.archive.bundle_file import build_bundle
from batchdigits.archive.manifest import Classes, Manifest
from batchdigits.archive.reference import Unseen
from batchdigits.archive.thresholds import Thresholds
from batchdigits.engines.golden import build_golden
from batchdigits.engines.onnx.engine import OnnxEngine
from batchdigits.training.calibration import Calibration
from batchdigits.training.card import write_card
from batchdigits.training.data import Labelled
from batchdigits.training.evaluation import Evaluation
from batchdigits.training.fit import Fitted
from batchdigits.training.frameworks import library_versions
from batchdigits.training.golden_rows import choose_golden
from batchdigits.training.keras_file import keras_bytes
from batchdigits.training.onnx_export import Agreement
from batchdigits.training.reference import build_reference
from batchdigits.training.review_threshold import ReviewThreshold
from batchdigits.training.settings import Settings
from batchdigits.training.split import Split
from batchdigits.training.strangeness import Usual


@dataclass(frozen=True, slots=True)
class Trained:
    """All that one training gave, before it has a version.

    model          the ONNX graph, proven equal to `fitted`
    evaluation     on rows that the measured model had not seen
    calibration    None where no temperature was asked for
    usual          what its digits look like
    review         from which confidence on rows are accepted; None where none was asked for
    unseen         what predict makes of rows it was not fitted on; None where there are none
    seen_accuracy  on the rows it was trained on
    sweep          facts of the search that chose the settings; None where there was none
    """

    data: Labelled
    split: Split
    settings: Settings
    fitted: Fitted
    model: bytes
    agreement: Agreement
    evaluation: Evaluation
    calibration: Calibration | None
    usual: Usual
    review: ReviewThreshold | None
    unseen: Unseen | None
    seen_accuracy: float
    command: str
    created: str
    sweep: Mapping[str, Any] | None = None


def pack_bundle(trained: Trained, name: str, version: int) -> bytes:
    """The bundle's bytes. The same arguments give the same bytes."""
    manifest = _manifest(trained, name, version)
    members = _members(trained, manifest.classes)
    card = write_card(
        manifest,
        trained.evaluation,
        trained.calibration,
        members,
        is_tutorial=trained.data.source == "sklearn.datasets.load_digits",
    )
    return build_bundle(manifest, {**members, "card.md": card})


def _manifest(trained: Trained, name: str, version: int) -> Manifest:
    settings, data = trained.settings, trained.data
    return Manifest(
        name=name,
        version=version,
        created=trained.created,
        classes=Classes.of(data.binarizer.classes_),
        architecture={
            "name": settings.arch,
            "hyperparameters": {
                "layers": settings.layers,
                "units": settings.units,
                "dropout": settings.dropout,
            },
        },
        data={
            "description": data.description,
            "digest": data.digest,
            "rows": len(data.targets),
            "source": data.source,
        },
        split=trained.split.facts,
        metrics={
            **trained.evaluation.as_facts(),
            "seen_in_training": {
                "accuracy": trained.seen_accuracy,
                "rows": len(trained.split.train),
            },
            "onnx_agreement": trained.agreement.as_facts(),
            **_calibration_facts(trained.calibration),
            **({} if trained.sweep is None else {"sweep": trained.sweep}),
        },
        libraries=library_versions(),
        thresholds=Thresholds.parse(
            {
                **({} if trained.review is None else trained.review.as_facts()),
                **trained.usual.as_facts(),
            }
        ),
        recipe={
            **settings.as_facts(),
            "epochs_run": trained.fitted.epochs,
            "copies_made": trained.fitted.copies,
        },
        command=trained.command,
    )


def _calibration_facts(calibration: Calibration | None) -> dict[str, Any]:
    return {} if calibration is None else {"calibration": calibration.as_facts()}


def _members(trained: Trained, classes: Classes) -> dict[str, bytes]:
    """Every member but the manifest and the card."""
    data, train = trained.data, trained.split.train
    return {
        "model.keras": keras_bytes(trained.fitted.model),
        "scaler.joblib": _joblib_bytes(trained.fitted.scaler),
        "label_binarizer.joblib": _joblib_bytes(data.binarizer),
        "model.onnx": trained.model,
        "golden.parquet": _golden(trained, classes),
        "reference.json": build_reference(
            data.pixels[train], data.targets[train], classes, trained.unseen
        ),
    }


def _golden(trained: Trained, classes: Classes) -> bytes:
    """Golden rows out of the held-out ones, or out of all where none are held out."""
    held, data = trained.split.held, trained.data
    candidates = held if len(held) else trained.split.train
    engine = OnnxEngine(trained.model, len(classes))
    found = engine.probabilities(data.pixels[candidates].astype(np.float32))
    rows = choose_golden(data.targets[candidates], found, candidates)
    return _golden_bytes(engine, data.pixels[rows].astype(np.float32), classes)


def _golden_bytes(engine: OnnxEngine, pixels: NDArray[np.float32], classes: Classes) -> bytes:
    probabilities = engine.probabilities(pixels)
    labels = classes.array().take(probabilities.argmax(axis=1))
    return build_golden(pixels, labels, probabilities)


def _joblib_bytes(fitted: Any) -> bytes:
    import joblib

    sink = io.BytesIO()
    joblib.dump(fitted, sink)
    return sink.getvalue()
