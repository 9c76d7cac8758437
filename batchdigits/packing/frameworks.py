"""TensorFlow and the rest of the train extra: asked for, silenced, and made repeatable."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import logging
import os
import platform
from collections.abc import Mapping

from batchdigits.engines.keras.engine import import_keras
from batchdigits.errors import MissingExtraError

# Import name and the name it is installed by.
_PACKAGES = {
    "joblib": "joblib",
    "keras": "keras",
    "onnx": "onnx",
    "sklearn": "scikit-learn",
    "tensorflow": "tensorflow-cpu",
    "tf2onnx": "tf2onnx",
}
_VERSIONS_OF = ("joblib", "keras", "numpy", "onnx", "onnxruntime", "scikit-learn", "tf2onnx")


def prepare_frameworks() -> None:
    """Import what training needs, without a word on standard error, repeatable from here on.

    Raises MissingExtraError that names what is not installed and the extra that brings it.
    """
    require_packages("training", _PACKAGES, "train")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # A step of networks this small is over before a second thread has begun its part: two threads
    # took nearly twice the processor time, and the number of cores would decide the weights.
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    import_keras()
    import absl.logging
    import tensorflow as tf

    absl.logging.set_verbosity(absl.logging.ERROR)
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    tf.config.experimental.enable_op_determinism()


def require_packages(who: str, packages: Mapping[str, str], extra: str) -> None:
    """Raise MissingExtraError that names what `who` needs and is not installed, and its extra.

    `packages` maps import names to the names they are installed by.
    """
    missing = [
        name for module, name in packages.items() if importlib.util.find_spec(module) is None
    ]
    if missing:
        raise MissingExtraError(
            f"{who} needs {', '.join(missing)}: pip install 'batchdigits[{extra}]'"
        )


def library_versions() -> dict[str, str]:
    """Versions of Python and of every library that had a hand in a bundle."""
    import tensorflow as tf

    found = {name: importlib.metadata.version(name) for name in _VERSIONS_OF}
    return {**found, "python": platform.python_version(), "tensorflow": tf.__version__}
