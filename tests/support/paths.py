"""Where the files are that tests read: one place, whatever folder a test is in."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "batchdigits"
SAMPLE_DATA = ROOT / "sample_data"
FORMAT_1_BUNDLE = ROOT / "tests" / "data" / "digits-format-1.bundle"
