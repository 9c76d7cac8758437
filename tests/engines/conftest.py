"""Small real bundles, made and read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_bundles import DIGITS, make_bundle, make_model, make_pixels

from batchdigits.archive.bundle_file import BundleFile, read_bundle
from batchdigits.archive.classes import Classes


@pytest.fixture
def pixels() -> np.ndarray:
    return make_pixels(10_000)


@pytest.fixture
def model_maker() -> Any:
    return make_model


@pytest.fixture
def bundle_maker(tmp_path: Path) -> Any:
    """A function that makes, writes and reads a bundle."""

    def make(classes: Classes = DIGITS, **options: Any) -> BundleFile:
        path = tmp_path / "digits-1.bundle"
        path.write_bytes(make_bundle(classes, **options))
        return read_bundle(path)

    return make
