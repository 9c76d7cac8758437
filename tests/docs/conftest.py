"""A folder with the outputs of one run, which several pages are compared with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from paths import SAMPLE_DATA
from processes import run_command


@pytest.fixture(scope="session")
def scored_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bad sample, scored to Parquet with probabilities, and the summary in summary.json."""
    folder = tmp_path_factory.mktemp("docs")
    shutil.copy(SAMPLE_DATA / "bad.csv", folder)
    ran = run_command(
        "predict", "bad.csv", "--output", "out.parquet", "--probabilities", cwd=folder
    )
    assert ran.returncode == 3, ran.stderr
    (folder / "summary.json").write_text(ran.stdout, encoding="utf-8")
    return folder


@pytest.fixture
def summary(scored_folder: Path) -> dict[str, Any]:
    """The JSON line that the run printed."""
    record: dict[str, Any] = json.loads((scored_folder / "summary.json").read_text("utf-8"))
    return record
