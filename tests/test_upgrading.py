"""What docs/upgrading.md says of the outputs, receipts and bundles of version 0.1.

The commit 6de1151 wrote tests/data/written-by-0.1 from sample_data/bad.csv, with the bundle that
tests/data keeps.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from paths import DIGITS_2_BUNDLE, FORMAT_1_BUNDLE, ROOT, SAMPLE_DATA

from batchdigits.predict import main as predict
from batchdigits.receipts import main as receipts
from batchdigits.report.__main__ import main as report
from batchdigits.review.__main__ import main as review

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Outputs of version 0.1, and the input where their receipt says it is."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "scored"
    shutil.copytree(ROOT / "tests" / "data" / "written-by-0.1", folder)
    shutil.copy(SAMPLE_DATA / "bad.csv", tmp_path)
    return folder


def scored(outputs: Path, capsys: Captured, *flags: str) -> tuple[int, dict[str, Any], str]:
    code = predict([str(outputs.parent / "bad.csv"), "--output", f"{outputs}/", *flags])
    told = capsys.readouterr()
    return code, json.loads(told.out)["inputs"][0], told.err


def test_finished_work_of_0_1_is_unchanged(outputs: Path, capsys: Captured) -> None:
    """With the same bundle nothing is scored, and no byte of it changes."""
    before = {path.name: path.read_bytes() for path in outputs.iterdir()}
    code, entry, _ = scored(outputs, capsys, "--bundle", str(FORMAT_1_BUNDLE))
    assert (code, entry["status"]) == (3, "unchanged")
    assert {path.name: path.read_bytes() for path in outputs.iterdir()} == before


def test_receipts_of_0_1_are_verified_with_their_bundle(outputs: Path, capsys: Captured) -> None:
    assert receipts(["verify", str(outputs), "--bundle", str(FORMAT_1_BUNDLE)]) == 0
    assert "20 rows scored again with digits@1" in capsys.readouterr().out
    assert receipts(["verify", str(outputs)]) == 78
    assert "its bundle digits@1" in capsys.readouterr().err


def test_the_bundle_of_this_version_replaces_outputs_of_0_1_only_on_purpose(
    outputs: Path, capsys: Captured
) -> None:
    code, _, error = scored(outputs, capsys)
    assert code == 73
    assert "was scored with digits@1, this run uses digits@3" in error
    code, entry, _ = scored(outputs, capsys, "--on-other", "keep")
    assert (code, entry["status"]) == (0, "kept")
    code, entry, _ = scored(outputs, capsys, "--overwrite")
    assert (code, entry["status"]) == (3, "scored")
    assert "decision" in (outputs / "bad.predictions.csv").read_text().splitlines()[0]


def test_the_earlier_packaged_bundle_stays_in_use_by_its_path(
    outputs: Path, tmp_path: Path, capsys: Captured
) -> None:
    """The page says to copy it out of the old package: what it scored is then unchanged."""
    kept = str(shutil.copy(DIGITS_2_BUNDLE, tmp_path))
    assert scored(outputs, capsys, "--overwrite", "--bundle", kept)[1]["status"] == "scored"
    assert scored(outputs, capsys, "--bundle", kept)[1]["status"] == "unchanged"
    code, _, error = scored(outputs, capsys)
    assert code == 73
    assert "was scored with digits@2, this run uses digits@3" in error
    assert receipts(["verify", str(outputs), "--bundle", kept]) == 0


def test_a_report_takes_receipts_of_0_1_and_a_review_asks_for_decisions(
    outputs: Path, tmp_path: Path, capsys: Captured
) -> None:
    """Version 0.1 wrote no decisions: there is nothing to be in doubt about."""
    assert report([str(outputs), "--output", str(tmp_path / "page.html")]) == 0
    made = ["make", str(outputs / "bad.predictions.csv"), "--output", str(tmp_path / "review")]
    assert review(made) == 65
    assert "no column 'decision'" in capsys.readouterr().err
