"""TensorFlow and the rest of the train extra: imported, silenced, and made repeatable."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import logging
import os
import platform
from collections.abc import Mapping

from batchdigits.engines.keras.engine import check_versions, import_keras
from batchdigits.errors import missing_extra

# Import names, and the names that pip installs them by.
_PACKAGES = {
    "joblib": "joblib",
    "keras": "keras",
    "onnx": "onnx",
    "sklearn": "scikit-learn",
    "tensorflow": "tensorflow-cpu",
    "tf2onnx": "tf2onnx",
}
_VERSIONS_OF = ("joblib", "keras", "numpy", "onnx", "onnxruntime", "scikit-learn", "tf2onnx")


def prepare_frameworks(*, repeatable: bool = True) -> None:
    """Import the packages of the train extra without output; from then on results repeat.

    Without `repeatable`, TensorFlow keeps its settings: they are those of the whole process. Raises
    MissingExtraError as `require_training` does.
    """
    require_training()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # A step of networks this small ends before a second thread has begun: two threads took nearly
    # twice the processor time, and the number of cores would decide the weights.
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    import_keras()
    import absl.logging
    import tensorflow as tf

    absl.logging.set_verbosity(absl.logging.ERROR)
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    if repeatable:
        tf.config.experimental.enable_op_determinism()


def require_training(who: str = "training") -> None:
    """Raise MissingExtraError, which names the missing packages, before any is imported.

    It names those that are too old for the allow-lists too. `who` is what needs them.
    """
    require_packages(who, _PACKAGES, "train")
    check_versions()


def require_packages(who: str, packages: Mapping[str, str], extra: str) -> None:
    """Raise MissingExtraError if any of the packages that `who` needs is not installed.

    `packages` maps import names to the names that pip installs them by; `extra` has them all.
    """
    missing = [
        name for module, name in packages.items() if importlib.util.find_spec(module) is None
    ]
    if missing:
        raise missing_extra(f"{who} needs {', '.join(missing)}", extra)


def library_versions() -> dict[str, str]:
    """The versions of Python and of every library that helps to make a bundle."""
    import tensorflow as tf

    versions = {name: importlib.metadata.version(name) for name in _VERSIONS_OF}
    return {**versions, "python": platform.python_version(), "tensorflow": tf.__version__}
