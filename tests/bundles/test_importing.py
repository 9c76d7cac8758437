"""`bundles import`, and everything else with the bundle that it makes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from artefacts import ARTEFACTS, write_labelled
from bundle_store import Run
from pages import codes, reference, table
from paths import ROOT

from batchdigits import evaluate
from batchdigits.store.store import Store

HERE = ARTEFACTS / "keras2-functional-h5"
FILES = [
    *("--keras", f"{HERE}/model.h5", "--scaler", f"{HERE}/scaler.joblib"),
    *("--label-binarizer", f"{HERE}/labels.joblib"),
]

PREDICT = """
import sys
from batchdigits.predict import main
code = main(sys.argv[1:])
heavy = {"tensorflow", "keras", "sklearn", "joblib", "h5py", "pandas"} & set(sys.modules)
sys.exit(code or (f"imported {heavy}" if heavy else 0))
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_labelled(tmp_path / "rows.csv")


def test_an_imported_bundle_does_what_a_trained_one_does(
    here: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run("import", *FILES, "--data", "rows.csv")
    assert code == 0, err
    right = r"digits@1: \d+\.\d\d% of 300 labelled rows right, in bundles/digits/digits-1\.bundle\n"
    assert re.fullmatch(right, out)
    code, out, err = run("import", *FILES, "--data", "rows.csv", "--json")
    assert code == 0, err
    facts = json.loads(out)
    documented = dict(table(reference("bundles"), "`--json` of"))
    assert list(facts) == codes(documented["import"])
    assert (facts["name"], facts["version"], facts["rows"]) == ("digits", "2", 300)
    assert facts["bundle"] == "bundles/digits/digits-2.bundle"
    ran = subprocess.run(
        [sys.executable, "-c", PREDICT, "rows.csv", "--bundle", "digits@1", "--strangeness"],
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert evaluate.main(["rows.csv", "--bundle", "digits@1"]) == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] == facts["accuracy"]
    for command in (
        ("verify", "digits@1", "--engine", "keras"),
        ("diff", "digits@1", "digits@2", "--data", "rows.csv"),
        ("keygen", "ops"),
        ("sign", "digits@1", "--key", "ops.key"),
        ("promote", "digits@1", "--alias", "production", "--data", "rows.csv"),
        ("export", "digits@1", "--onnx", "digits.onnx", "--keras", "digits.keras"),
    ):
        code, _, err = run(*command)
        assert code == 0, err
    assert Store("bundles").aliases("digits") == {"production": 1}


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--keras", "gone.h5", "--labels", "0,1"], 66, "gone.h5: can't be read"),
        (["--keras", "rows.csv", "--labels", "0,1"], 65, "rows.csv: is no Keras model"),
        (["--sklearn", "rows.csv"], 65, "rows.csv: is no joblib or pickle file"),
        (["--sklearn", f"{HERE}/scaler.joblib"], 65, "holds a MinMaxScaler, expected an MLP"),
        ([*FILES[:4], "--labels", "0,1"], 65, "the model knows 0,1"),
        (["--keras", "model.h5"], 2, "--keras needs the labels"),
        ([], 2, "--keras and --sklearn"),
    ],
)
def test_what_does_not_fit_is_one_line_and_no_bundle(
    arguments: list[str], code: int, told: str, here: Path, run: Run
) -> None:
    found, out, err = run("import", *arguments, "--data", "rows.csv")
    assert (found, out) == (code, "")
    assert told in err
    assert err.count("\n") == 1
    assert sorted(path.name for path in here.parent.iterdir()) == ["rows.csv"]
