"""docs/import.md: its script and its commands run, in the page's order."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from pages import DOCS, table
from paths import ROOT, SAMPLE_DATA

from batchdigits.training.importing.keras_layers import READERS
from batchdigits.training.importing.scalers import _READERS as SCALERS

PAGE = (DOCS / "import.md").read_text(encoding="utf-8")
SCRIPT = "".join(re.findall(r"(?ms)^```python\n(.*?)^```\n", PAGE))
COMMANDS = re.findall(r"(?ms)^```bash\n(.*?)^```\n(?:```text\n(.*?)^```\n)?", PAGE)


def run(commands: str, folder: Path) -> str:
    """What commands print; `batchdigits` is the package in this checkout."""
    script = f'batchdigits() {{ "{sys.executable}" -m batchdigits "$@"; }}\nset -e\n{commands}'
    ran = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_the_script_ends_with_a_bundle_that_answers_like_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page's own lines, with fewer epochs."""
    pytest.importorskip("tensorflow")
    monkeypatch.chdir(tmp_path)
    import keras

    keras.utils.set_random_seed(0)  # other tests of this process made TensorFlow ask for one
    names: dict[str, Any] = {}
    exec(compile(SCRIPT.replace("epochs=10", "epochs=3"), "import.md", "exec"), names)  # noqa: S102
    model, scaler, rows = names["cl"], names["sc"], names["x_test_raw"]
    expected = model.predict(scaler.transform(rows), verbose=0)
    found = names["bundle"].predict(rows, probabilities=True)
    for digit in range(10):
        np.testing.assert_allclose(np.array(found[f"proba_{digit}"]), expected[:, digit], atol=1e-4)
    assert (tmp_path / "bundles" / "digits" / "digits-1.bundle").is_file()


@pytest.mark.slow
def test_every_command_on_the_page_runs_after_the_script(tmp_path: Path) -> None:
    shutil.copytree(SAMPLE_DATA, tmp_path / "sample_data")
    files = 'cl.save("model.keras"); import joblib\n'
    files += 'joblib.dump(sc, "scaler.joblib"); joblib.dump(tr, "binarizer.joblib")\n'
    (tmp_path / "script.py").write_text(SCRIPT + files)
    run(f'"{sys.executable}" script.py', tmp_path)
    assert joblib.load(tmp_path / "binarizer.joblib").classes_.tolist() == list(range(10))
    for commands, shown in COMMANDS:
        printed = run(commands, tmp_path)
        pattern = re.escape(shown).replace("…", ".*")
        assert re.search(pattern, printed), (commands, shown, printed)
    assert (tmp_path / "scored" / "digits.predictions.csv").is_file()


def test_every_layer_and_scaler_is_on_the_page() -> None:
    assert set(READERS) <= set(re.findall(r"\w+", PAGE))
    cells = [row[0].strip("`") for row in table(PAGE, "saved", "computes", "mean", "scale")]
    assert cells[: len(SCALERS)] == list(SCALERS)
