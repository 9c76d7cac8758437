"""The only way from a checked bundle to an engine: open it by name, then replay the golden rows.

A model that is not yet in a bundle has no golden rows. Packing makes an engine of it through the
class itself: `OnnxEngine(model_bytes, classes)`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batchdigits.archive.bundle_file import BundleFile
from batchdigits.engines.contract import Engine
from batchdigits.errors import UsageError, naming

if TYPE_CHECKING:
    from batchdigits.engines.golden import Replay


@dataclass(frozen=True, slots=True)
class EngineKind:
    """One line of the table of engines.

    open      makes the engine of a bundle; the golden rows are replayed elsewhere
    measures  whether it can measure strangeness
    lean      whether it needs neither pandas nor NumPy's threads
    """

    open: Callable[[BundleFile], Engine]
    measures: bool
    lean: bool


def _open_onnx(bundle: BundleFile) -> Engine:
    from batchdigits.engines.onnx.engine import OnnxEngine

    return OnnxEngine(bundle.members["model.onnx"], len(bundle.manifest.classes))


def _open_keras(bundle: BundleFile) -> Engine:
    from batchdigits.engines.keras.engine import KerasEngine

    return KerasEngine(bundle.members, bundle.manifest.classes, bundle.manifest.libraries)


# Each `open` imports a framework that the users of the other engines need not have.
ENGINES = {
    "onnx": EngineKind(_open_onnx, measures=True, lean=True),
    "keras": EngineKind(_open_keras, measures=False, lean=False),
}
DEFAULT_ENGINE = "onnx"


def check_engine(name: str) -> None:
    """Raise UsageError for an unknown engine."""
    if name not in ENGINES:
        raise UsageError(f"engine {name!r} is unknown; use {' or '.join(ENGINES)}")


def open_checked(bundle: BundleFile, engine: str = DEFAULT_ENGINE) -> Engine:
    """Open the engine of that name for a bundle and replay the bundle's golden rows through it.

    Raises UsageError for an unknown name, BundleError for a model that can't be used or golden
    rows that differ, MissingExtraError where the engine's packages are not installed.
    """
    return _open_and_replay(bundle, engine)[0]


_OPENED: dict[tuple[str, str], Engine] = {}
_LOCK = threading.Lock()


def open_once(bundle: BundleFile, engine: str = DEFAULT_ENGINE) -> Engine:
    """Open an engine as `open_checked` does, but only once a process for each bundle's digest.

    A process that is sent a copy of the same bundle with every task opens one engine for all.
    """
    with _LOCK:
        key = bundle.digest, engine
        if key not in _OPENED:
            _OPENED[key] = open_checked(bundle, engine)
        return _OPENED[key]


def replay_bundle(bundle: BundleFile, engine: str = DEFAULT_ENGINE) -> Replay:
    """Open a bundle as `open_checked` does, and return how its golden rows did."""
    return _open_and_replay(bundle, engine)[1]


def _open_and_replay(bundle: BundleFile, name: str) -> tuple[Engine, Replay]:
    check_engine(name)
    from batchdigits.engines.golden import replay

    with naming(bundle.path):
        engine = ENGINES[name].open(bundle)
    return engine, replay(engine, bundle)
