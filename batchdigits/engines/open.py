"""Opening an engine: by its name, over the checked bytes of a bundle."""

from __future__ import annotations

from batchdigits.archive.bundle_file import BundleFile
from batchdigits.engines.contract import Engine
from batchdigits.errors import BundleError, UsageError

ENGINES = ("onnx", "keras")
DEFAULT_ENGINE = "onnx"


def check_engine(name: str) -> None:
    """Raise UsageError for an engine that there is not."""
    if name not in ENGINES:
        raise UsageError(f"engine {name!r} is unknown, known are {' and '.join(ENGINES)}")


def open_engine(bundle: BundleFile, name: str = DEFAULT_ENGINE) -> Engine:
    """The engine of that name for a checked bundle; its golden rows are not replayed here.

    Raises UsageError for an unknown name, BundleError for a model that can't be used,
    MissingExtraError where the keras engine's packages are not installed.
    """
    check_engine(name)
    try:
        return _open(bundle, name)
    except BundleError as error:
        raise BundleError(f"{bundle.path}: {error}") from error


def _open(bundle: BundleFile, name: str) -> Engine:
    # Each engine imports a framework that the other one's user need not have.
    if name == "keras":
        from batchdigits.engines.keras.engine import KerasEngine

        return KerasEngine(bundle.members, bundle.manifest.classes, bundle.manifest.libraries)
    from batchdigits.engines.onnx.engine import OnnxEngine

    return OnnxEngine(bundle.members["model.onnx"], len(bundle.manifest.classes))
