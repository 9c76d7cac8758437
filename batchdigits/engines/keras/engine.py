"""The reference engine: the fitted scaler, the Keras model, the binarizer's classes."""

from __future__ import annotations

import importlib.metadata
import logging
import os
import re
import tempfile
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.archive.classes import Classes
from batchdigits.cli.quiet import quiet_descriptor
from batchdigits.engines.contract import MostProbable, most_probable
from batchdigits.engines.keras.model_file import (
    check_keras_archive,
    check_keras_sizes,
    check_keras_weights,
)
from batchdigits.engines.keras.pickles import load_label_binarizer, load_scaler
from batchdigits.errors import BundleError, missing_extra
from batchdigits.images import PIXELS
from batchdigits.text import listing

BLOCK_ROWS = 1024

# Older versions of these let a bundle get round the allow-lists.
OLDEST = {"joblib": (1, 6, 0), "keras": (3, 15, 1), "scikit-learn": (1, 6, 0)}

_LOGGER = logging.getLogger("batchdigits")


class KerasEngine:
    """Runs `model.keras` of a bundle behind the scaler in `scaler.joblib`.

    members    the bundle's checked members
    classes    the manifest's classes; the binarizer's must be the same
    libraries  the versions that the bundle was made with; others are logged as a warning

    Raises BundleError for members that are not as expected or not allowed, MissingExtraError
    where Keras, scikit-learn or joblib is missing or too old.
    """

    name = "keras"

    def __init__(
        self,
        members: Mapping[str, bytes],
        classes: Classes,
        libraries: Mapping[str, str] | None = None,
    ) -> None:
        self.classes = len(classes)
        import_keras()
        _warn_of_other_versions(libraries or {})
        self._scaler = load_scaler(members["scaler.joblib"])
        _check_scaler(self._scaler)
        _check_classes(load_label_binarizer(members["label_binarizer.joblib"]), classes)
        self._model = _load_model(members["model.keras"], len(classes))
        self._lock = threading.Lock()

    def probabilities(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Return probabilities, float32 (n, k), for pixels, uint8 or float32 (n, 64) in 0..16.

        May be called from several threads: they take turns, since Keras is not made for threads.
        """
        result = np.empty((len(pixels), self.classes), np.float32)
        # The golden rows judge what a scaler makes of a number; a warning would not help.
        with self._lock, np.errstate(all="ignore"):
            for begin in range(0, len(pixels), BLOCK_ROWS):
                block = pixels[begin : begin + BLOCK_ROWS].astype(np.float64)
                scaled = self._scaler.transform(block).astype(np.float32)
                result[begin : begin + len(block)] = self._model(scaled, training=False).numpy()
        return result

    def most_probable(self, pixels: NDArray[Any]) -> MostProbable:
        """Return the most probable class of each row of pixels, and its probability."""
        return most_probable(self.probabilities(pixels))


def import_keras() -> Any:
    """Import `keras` on TensorFlow, with nothing printed on standard error.

    Raises MissingExtraError where Keras, TensorFlow, scikit-learn or joblib is missing, or so old
    that the allow-lists are not safe.
    """
    check_versions()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    try:
        with quiet_descriptor():
            import keras
            import tensorflow as tf
    except ImportError as error:
        package = (error.name or str(error)).partition(".")[0]
        raise missing_extra(f"{package} is not installed", "train") from error
    tf.get_logger().setLevel(logging.ERROR)
    return keras


def check_versions() -> None:
    """Raise MissingExtraError where a package is missing, or so old that allow-lists leak."""
    for package, oldest in OLDEST.items():
        _check_version(package, oldest)


def _check_version(package: str, oldest: tuple[int, ...]) -> None:
    try:
        version = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError as error:
        raise missing_extra(f"{package} is not installed", "train") from error
    if tuple(map(int, re.findall(r"\d+", version)[:3])) < oldest:
        needed = ".".join(map(str, oldest))
        raise missing_extra(
            f"{package} {version} is too old to open a bundle safely, expected {needed} or later",
            "train",
        )


def _warn_of_other_versions(libraries: Mapping[str, str]) -> None:
    for package in ("scikit-learn", "keras"):
        installed = importlib.metadata.version(package)
        if libraries.get(package, installed) != installed:
            _LOGGER.warning(
                "the bundle was made with %s %s, here is %s: its golden rows decide",
                *(package, libraries[package], installed),
            )


def _check_scaler(scaler: Any) -> None:
    facts = vars(scaler)
    for name in ("mean_", "scale_"):
        values = facts.get(name)
        kind = f"{values.dtype} {values.shape}" if isinstance(values, np.ndarray) else values
        if kind not in (f"float64 ({PIXELS},)", f"float32 ({PIXELS},)"):
            raise BundleError(
                f"scaler.joblib: {name} is {str(kind)[:40]}, expected {PIXELS} floats"
            )
        if not np.isfinite(values).all():
            raise BundleError(f"scaler.joblib: {name} holds a value that is not a finite number")
    switches = [
        name for name in ("copy", "with_mean", "with_std") if type(facts.get(name)) is not bool
    ]
    if switches or facts.get("n_features_in_", PIXELS) != PIXELS:
        raise BundleError(
            f"scaler.joblib: {listing(switches) or 'n_features_in_'} is not as StandardScaler sets "
            f"it when it is fitted on {PIXELS} pixels"
        )


def _check_classes(binarizer: Any, classes: Classes) -> None:
    fitted = getattr(binarizer, "classes_", None)
    labels = fitted.tolist() if isinstance(fitted, np.ndarray) and fitted.ndim == 1 else []
    # Types as well: True, 1 and 1.0 are equal.
    if _typed(labels) != _typed(classes.values):
        raise BundleError(
            f"label_binarizer.joblib has classes {str(labels)[:80]}, the manifest "
            f"{str(list(classes.values))[:80]}: rebuild the bundle with train"
        )


def _typed(labels: Iterable[Any]) -> list[tuple[type, Any]]:
    return [(type(label), label) for label in labels]


def _load_model(data: bytes, classes: int) -> Any:
    """Check the Keras model in `data`, then load it from a private folder."""
    config = check_keras_archive(data)
    check_keras_weights(data)
    import keras
    import tensorflow as tf

    with tempfile.TemporaryDirectory(prefix="batchdigits-") as folder:  # of mode 0700
        path = Path(folder, "model.keras")
        path.write_bytes(data)
        try:
            check_keras_sizes(config, len(data))
            model = keras.saving.load_model(path, compile=False, safe_mode=True)
        except (*_LOAD_ERRORS, tf.errors.OpError) as error:
            raise BundleError(
                f"model.keras can't be loaded ({' '.join(str(error).split())[:200]})"
            ) from error
    shapes = (getattr(model, "input_shape", None), getattr(model, "output_shape", None))
    if shapes != ((None, PIXELS), (None, classes)):
        raise BundleError(
            f"model.keras turns {shapes[0]} into {shapes[1]}, "
            f"expected (None, {PIXELS}) into (None, {classes})"
        )
    return model


# Keras and h5py raise these for an archive that they did not write.
_LOAD_ERRORS = (
    *(ValueError, TypeError, LookupError, AttributeError, ImportError, OSError),
    *(RuntimeError, NotImplementedError, AssertionError, ArithmeticError),
)
