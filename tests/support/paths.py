"""Where the files are that tests read: one place, whatever folder a test is in."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "batchdigits"
SAMPLE_DATA = ROOT / "sample_data"
SHARED = os.environ.get("BATCHDIGITS_SHARED")  # read before the tests unset such variables
FORMAT_1_BUNDLE = ROOT / "tests" / "data" / "digits-format-1.bundle"
DIGITS_2_BUNDLE = ROOT / "tests" / "data" / "digits-2.bundle"  # in the package before digits 3


def shared_data() -> Path:
    """Return the folder of real inputs that are no part of the repo; skip the test without it."""
    folder = Path(SHARED or ROOT.parent / "shared") / "data"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent: real inputs beside the repo, see BATCHDIGITS_SHARED")
    return folder
