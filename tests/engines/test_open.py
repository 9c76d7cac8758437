"""An engine is opened in one way, and its golden rows are replayed every time."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from batchdigits.archive.classes import Classes
from batchdigits.engines.contract import as_measuring
from batchdigits.engines.open import ENGINES, open_checked, open_once, replay_bundle
from batchdigits.errors import BundleError, UsageError


def test_opening_a_bundle_imports_no_training_library(bundle_maker: Any) -> None:
    """Predict must start fast and run where only its requirements are installed."""
    script = """
import sys
from batchdigits.archive.bundle_file import read_bundle
from batchdigits.engines.open import open_checked
bundle = read_bundle(sys.argv[1])
open_checked(bundle)
bundle.manifest.classes.array()
heavy = {"tensorflow", "keras", "sklearn", "pandas", "joblib", "onnx", "tf2onnx", "h5py"}
print(sorted((heavy | {"pyarrow.compute"}) & set(sys.modules)))
"""
    command = [sys.executable, "-c", script, bundle_maker().path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_engine_lists_the_known(bundle_maker: Any) -> None:
    """The message is a usage error."""
    with pytest.raises(UsageError, match="'torch' is unknown; use onnx or keras"):
        open_checked(bundle_maker(), "torch")


def test_an_engine_opens_from_a_bundle(bundle_maker: Any, pixels: np.ndarray) -> None:
    """And says which bundle was bad where it does not."""
    engine = open_checked(bundle_maker())
    assert (engine.name, engine.classes) == ("onnx", 3)
    assert engine.probabilities(pixels[:5]).shape == (5, 3)
    with pytest.raises(BundleError, match=r"digits-1\.bundle: model\.onnx is not an ONNX model"):
        open_checked(bundle_maker(model__onnx=b"no model"))


def test_no_engine_opens_without_its_golden_rows(bundle_maker: Any) -> None:
    """Their figures are there for those who want them."""
    replay = replay_bundle(bundle_maker())
    assert (replay.rows, replay.differing) == (40, 0)
    assert replay.worst < replay.tolerance
    bad = bundle_maker(golden_classes=Classes("int64", (2, 1, 0)))
    for opening in (open_checked, open_once, replay_bundle):
        with pytest.raises(BundleError, match=r"digits-1\.bundle: .* golden rows differ"):
            opening(bad)


def test_one_engine_serves_all_copies_of_a_bundle(bundle_maker: Any) -> None:
    assert open_once(bundle_maker()) is open_once(bundle_maker())
    assert open_checked(bundle_maker()) is not open_checked(bundle_maker())


def test_the_table_says_what_an_engine_can_do(bundle_maker: Any) -> None:
    """An engine may still be unable to: a bundle without that output measures nothing."""
    assert [name for name, kind in ENGINES.items() if kind.measures] == ["onnx"]
    assert as_measuring(open_checked(bundle_maker())) is None
