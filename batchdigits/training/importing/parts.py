"""The parts of a model, from files or from memory: network, scaler, labels, and who wrote them.

What is in memory is saved first and then read like a file. So there is one way in, and nothing of
an object is taken over but the numbers that its own library saves.
"""

from __future__ import annotations

import io
import os
import pickle
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from batchdigits.errors import UsageError
from batchdigits.text import one_line
from batchdigits.training.importing.keras_files import read_keras
from batchdigits.training.importing.labels import Labels, as_labels, read_labels
from batchdigits.training.importing.network import Network
from batchdigits.training.importing.options import check_divisor
from batchdigits.training.importing.pickled import read_record
from batchdigits.training.importing.saved import Saved, read_saved
from batchdigits.training.importing.scalers import UNSCALED, Affine, dividing_by, read_scaler
from batchdigits.training.importing.sklearn_models import read_classifier

Original: TypeAlias = Callable[[NDArray[Any]], NDArray[Any]]
"""The model in memory: pixels (n, 64) in 0..16 to what it gives for them, (n, width)."""


@dataclass(frozen=True, slots=True)
class Parts:
    """A model in parts.

    divide    what pixels are divided by first, 1 for nothing
    scaler    what the scaler computes after that; None without one
    labels    of the network's outputs, in their order; `labels_from` names where they are from
    files     facts of each file: its part, name, digest, and what wrote it
    original  the model in memory; None where it came as a file
    """

    network: Network
    divide: float
    scaler: Affine | None
    labels: Labels
    labels_from: str
    files: tuple[dict[str, Any], ...]
    original: Original | None = None

    @property
    def affine(self) -> Affine:
        """What happens to the pixels before the network."""
        return dividing_by(self.divide).then(self.scaler or UNSCALED)


@dataclass(frozen=True, slots=True)
class InMemory:
    """A model in memory, as the keywords of `pack` give it; any part may also be a file's path.

    scaler_divide    the number that pixels are divided by before the scaler
    labels           those of the outputs, in their order, instead of a label_binarizer
    """

    model: Any
    scaler: Any = None
    scaler_divide: float | None = None
    label_binarizer: Any = None
    labels: Sequence[Any] | None = None


def read_parts(
    model: Saved, kind: str, scalers: Sequence[Saved | float], labels: Saved | Labels | None
) -> Parts:
    """Read the parts; `kind` is "keras" or "sklearn".

    scalers  at most one number, which comes first, and one saved scaler
    labels   a saved encoder, or the labels; None: those of a classifier of scikit-learn

    Raises UnusableInputError for parts that can't be rewritten, BundleError for parts that are
    hostile or damaged.
    """
    divide, scaler = 1.0, None
    files: list[dict[str, Any]] = []
    for part in scalers:
        if isinstance(part, Saved):
            record = read_record(part)
            scaler = read_scaler(record, part.name)
            files.append(_facts("scaler", part, f"scikit-learn {record.version}"))
        else:
            divide = float(part)
            files.append({"part": "scaler", "divides_by": divide})
    if kind == "keras":
        saved = read_keras(model)
        network, own, writer = saved.network, None, f"Keras {saved.version}"
    else:
        record = read_record(model)
        classifier = read_classifier(record, model.name)
        network, own, writer = (
            classifier.network,
            classifier.labels,
            f"scikit-learn {record.version}",
        )
        scaler = (scaler or UNSCALED).then(classifier.scaler)
    files.insert(0, _facts("model", model, writer))
    if isinstance(labels, Saved):
        record = read_record(labels)
        files.append(_facts("labels", labels, f"scikit-learn {record.version}"))
        return Parts(
            network, divide, scaler, read_labels(record, labels.name), labels.name, tuple(files)
        )
    given = own if labels is None else labels
    if given is None:
        raise UsageError(
            "--keras needs the labels of the network's outputs: give --label-binarizer or --labels"
        )
    where = model.name if labels is None else "--labels"
    return Parts(network, divide, scaler, given, where, tuple(files))


def parts_in_memory(given: InMemory) -> Parts:
    """Read the parts of a model that is in memory.

    Raises as `read_parts`, and UsageError for objects of other kinds.
    """
    if given.labels is not None and given.label_binarizer is not None:
        raise UsageError("--labels and --label-binarizer: give one of them")
    divide = given.scaler_divide
    if divide is not None:
        check_divisor(divide)
    scalers = [] if divide is None else [float(divide)]
    saved_scaler = [] if given.scaler is None else [_pickled(given.scaler, "scaler")]
    labels: Saved | Labels | None = None
    if given.labels is not None:
        labels = as_labels(list(given.labels), "--labels")
    elif given.label_binarizer is not None:
        labels = _pickled(given.label_binarizer, "label_binarizer")
    saved, kind = _saved_model(given.model)
    parts = read_parts(saved, kind, [*scalers, *saved_scaler], labels)
    if isinstance(given.model, str | os.PathLike):
        return parts
    return replace(parts, original=_original(given, kind, parts))


def _saved_model(model: Any) -> tuple[Saved, str]:
    if isinstance(model, str | os.PathLike):
        saved = read_saved(model)
        return saved, "keras" if saved.data.startswith((b"PK", b"\x89HDF")) else "sklearn"
    if hasattr(model, "predict_proba") and hasattr(model, "get_params"):
        return _pickled(model, "model"), "sklearn"
    if not (hasattr(model, "save") and hasattr(model, "get_config")):
        raise UsageError(
            f"model: expected a Keras model or a classifier of scikit-learn, got "
            f"{type(model).__name__}"
        )
    with tempfile.TemporaryDirectory(prefix="batchdigits-") as folder:
        path = Path(folder, "model.keras")
        try:
            model.save(path)
        except (ValueError, TypeError, NotImplementedError) as error:
            raise UsageError(
                f"model: Keras can't save it ({one_line(str(error))[:200]})"
            ) from error
        return Saved("model", path.read_bytes()), "keras"


def _pickled(part: Any, name: str) -> Saved:
    if isinstance(part, str | os.PathLike):
        return read_saved(part)
    if not hasattr(part, "get_params"):
        raise UsageError(
            f"{name}: expected an estimator of scikit-learn, got {type(part).__name__}"
        )
    import joblib

    sink = io.BytesIO()
    try:
        joblib.dump(part, sink)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise UsageError(f"{name}: joblib can't save it ({error})") from error
    return Saved(name, sink.getvalue())


def _original(given: InMemory, kind: str, parts: Parts) -> Original:
    """The model as its owner calls it: through the scaler, in the shape that it takes."""

    def answer(pixels: NDArray[Any]) -> NDArray[Any]:
        scaled: Any = pixels.astype(np.float64) / parts.divide
        if isinstance(given.scaler, str | os.PathLike):
            affine = read_scaler(read_record(read_saved(given.scaler)), "scaler")
            scaled = (scaled - affine.mean) / affine.scale
        elif given.scaler is not None:
            scaled = given.scaler.transform(scaled)
        if kind == "sklearn":
            return np.asarray(given.model.predict_proba(scaled))
        images = np.asarray(scaled, np.float32).reshape(len(pixels), *parts.network.shape)
        return np.asarray(given.model.predict(images, batch_size=1024, verbose=0))

    return answer


def _facts(part: str, saved: Saved, writer: str) -> dict[str, Any]:
    return {
        "part": part,
        "name": Path(saved.name).name,
        "digest": saved.digest,
        "written_by": writer.strip(),
    }
