"""The import: a model trained elsewhere -> rewrite -> prove -> pack -> publish."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from batchdigits.archive.reference import Reference, Unseen
from batchdigits.archive.thresholds import Thresholds
from batchdigits.clock import utc_text
from batchdigits.engines.onnx.engine import OnnxEngine
from batchdigits.errors import UsageError
from batchdigits.evaluation.confusion import ConfusionMatrix
from batchdigits.packing.contents import Contents, Scores
from batchdigits.packing.frameworks import prepare_frameworks, require_training
from batchdigits.packing.golden_rows import choose_golden
from batchdigits.packing.publish import check_store, publish_bundle
from batchdigits.training.data import Labelled, read_labelled
from batchdigits.training.importing.labels import parse_labels
from batchdigits.training.importing.options import ImportOptions, Terms
from batchdigits.training.importing.parts import InMemory, Parts, parts_in_memory, read_parts
from batchdigits.training.importing.proof import Proven, prove
from batchdigits.training.importing.rows import rows_in_memory, rows_of_classes
from batchdigits.training.importing.saved import read_saved

OnProgress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ImportResult:
    """A published bundle, what it holds, and the proof of it."""

    path: Path
    name: str
    version: int
    digest: str
    contents: Contents
    proven: Proven
    seconds: float


def import_files(options: ImportOptions, on_progress: OnProgress = lambda _: None) -> ImportResult:
    """Import a saved model as `options` say, and publish it as a bundle.

    Raises UsageError for options that don't fit, NoInputError for a file that can't be read,
    UnusableInputError for a model that can't be rewritten or that the rows do not prove, and for
    rows that can't be used, BundleError for a file that is hostile or damaged, MissingExtraError,
    and OutputError or TryAgainError for the store. Nothing is written before the end.
    """
    started = time.monotonic()
    check_store(options.checked().terms.store)
    # All files are judged before TensorFlow is loaded.
    parts = parts_of(options)
    data = read_labelled([options.data], options.label, options.rows)
    on_progress("loading the frameworks")
    prepare_frameworks()
    command = options.command_line()
    return _import(parts, data, options.terms, command, started=started, on_progress=on_progress)


def parts_of(options: ImportOptions) -> Parts:
    """Read the files that `options` name; raises as `import_files`."""
    kind = "keras" if options.keras is not None else "sklearn"
    model = read_saved(str(options.keras or options.sklearn))
    scalers = [] if options.scaler_divide is None else [options.scaler_divide]
    saved = [] if options.scaler is None else [read_saved(options.scaler)]
    encoder = None if options.label_binarizer is None else read_saved(options.label_binarizer)
    labels = encoder if options.labels is None else parse_labels(options.labels)
    require_training("importing")
    return read_parts(model, kind, [*scalers, *saved], labels)


def import_objects(given: InMemory, data: Any, label: str, terms: Terms) -> ImportResult:
    """Import a model that is in memory: as `import_files`, and compare it with the original.

    data  (pixels, labels), or the path of a labelled file with its labels in the column `label`
    """
    started = time.monotonic()
    check_store(terms.checked().store)
    prepare_frameworks(repeatable=False)
    _require_tensorflow()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of scalers that were fitted on named columns
        parts = parts_in_memory(given)
        rows = rows_in_memory(data, label)
        command = f"batchdigits.pack(model, …, name={terms.name!r})"
        return _import(parts, rows, terms, command, started=started)


def _require_tensorflow() -> None:
    """Raise UsageError if Keras was imported on something else before: no ONNX comes of that."""
    import keras

    backend = keras.backend.backend()
    if backend != "tensorflow":
        raise UsageError(
            f"pack needs Keras on TensorFlow, and here it runs on {backend}: save the model with "
            "model.save('model.keras'), and import the file with `bundles import`"
        )


def _import(
    parts: Parts,
    data: Labelled,
    terms: Terms,
    command: str,
    *,
    started: float,
    on_progress: OnProgress = lambda _: None,
) -> ImportResult:
    rows = rows_of_classes(data, parts.labels)
    proven = prove(parts, rows, terms, on_progress)
    contents = _contents(parts, rows, proven, terms, command)
    on_progress("packing")
    path, version, digest = publish_bundle(contents, terms.name, terms.store)
    seconds = time.monotonic() - started
    return ImportResult(path, terms.name, version, digest, contents, proven, seconds)


def _contents(parts: Parts, rows: Labelled, proven: Proven, terms: Terms, command: str) -> Contents:
    """All that the bundle holds. It claims nothing about a training that it did not see."""
    pixels, targets = rows.pixels, rows.targets
    engine = OnnxEngine(proven.onnx, rows.classes)
    probabilities = engine.probabilities(pixels.astype(np.float32))
    golden = choose_golden(targets, probabilities, np.arange(len(targets)))
    labels = rows.binarizer.classes_.tolist()
    matrix = ConfusionMatrix.of(labels, targets, probabilities.argmax(axis=1))
    unseen = Unseen.measure(probabilities, targets)
    calibration = proven.calibration
    return Contents(
        model=proven.model,
        binarizer=rows.binarizer,
        onnx=proven.onnx,
        agreement=proven.agreement,
        golden=pixels[golden].astype(np.float32),
        reference=Reference.measure(pixels, targets, rows.classes, unseen),
        scores=Scores(f"the {len(targets)} labelled rows given to import", matrix),
        created=terms.created or utc_text(),
        command=command,
        architecture={"name": "imported", "hyperparameters": parts.network.facts},
        data=rows.as_facts(),
        split={"kind": "imported"},
        metrics={} if calibration is None else {"calibration": calibration.as_facts()},
        thresholds=Thresholds.parse(proven.usual.as_facts()),
        recipe={"origin": "imported", "files": list(parts.files)},
    )
