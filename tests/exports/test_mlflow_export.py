"""`bundles export --mlflow`, used by a real MLflow where batchdigits is not installed.

Left out unless MLFLOW_PYTHON names the Python of MLflow's environment; .ci/mlflow makes one.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from paths import ROOT, SAMPLE_DATA
from small_bundles import make_bundle

import batchdigits
from batchdigits.archive.classes import Classes
from batchdigits.store.choice import packaged_bundle

pytestmark = pytest.mark.mlflow

ROWS = 1797

LOAD = """
import json, sys
import mlflow, numpy, pandas
model = mlflow.pyfunc.load_model("model")
def shown(frame):
    return [frame["prediction"].tolist(), frame["confidence"].tolist()]
"""

FACTS = """
facts = model.metadata
print(json.dumps([*(s.to_dict() for s in (facts.signature.inputs, facts.signature.outputs)),
                  facts.metadata]))
"""


def run(folder: Path, *command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command of MLflow's Python in `folder`, with nothing of this process' environment."""
    return subprocess.run(
        [os.environ["MLFLOW_PYTHON"], *command],
        cwd=folder,
        env={
            "PATH": f"{Path(os.environ['MLFLOW_PYTHON']).parent}:{os.defpath}",
            "HOME": str(folder),
            "MLFLOW_DISABLE_TELEMETRY": "true",
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )


def export(folder: Path, bundle: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """The command, from the working tree: it is installed nowhere that MLflow could find it."""
    command = ["-m", "batchdigits.bundles", "export", bundle, "--mlflow", "model", *flags]
    return run(folder, *command, PYTHONPATH=str(ROOT))


def in_mlflow(folder: Path, script: str) -> Any:
    """What a script that has loaded the model prints last, as JSON."""
    ran = run(folder, "-c", LOAD + script)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the packaged bundle, exported as `model`."""
    folder = tmp_path_factory.mktemp("mlflow")
    ran = export(folder, packaged_bundle())
    assert (ran.returncode, ran.stderr) == (0, "")
    return folder


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[int], list[float]]:
    """Labels and confidences of the sample, as predict writes them."""
    output = tmp_path_factory.mktemp("predict") / "digits.csv"
    assert batchdigits.score(SAMPLE_DATA / "digits.csv", output=output).exit_code == 0
    with output.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [int(row["prediction"]) for row in rows], [float(row["confidence"]) for row in rows]


def check(found: list[list[Any]], expected: tuple[list[int], list[float]]) -> None:
    """Every label the same, every confidence but for the last bits of float32."""
    assert len(found[0]) == ROWS
    assert found[0] == expected[0]
    assert found[1] == pytest.approx(expected[1], abs=1e-6)


def test_mlflow_models_predict_gives_the_labels_of_predict(
    folder: Path, expected: tuple[list[int], list[float]]
) -> None:
    """On all 1,797 digits, as the CSV that predict reads."""
    command = ["-m", "mlflow", "models", "predict", "--env-manager", "local", "-m", "model"]
    ran = run(folder, *command, "-t", "csv", "-i", SAMPLE_DATA / "digits.csv", "-o", "out.json")
    assert ran.returncode == 0, ran.stderr
    rows = json.loads((folder / "out.json").read_text())["predictions"]
    check([[row[name] for row in rows] for name in ("prediction", "confidence")], expected)


@pytest.mark.parametrize(
    "frame",
    [
        f"pandas.read_parquet({str(SAMPLE_DATA / 'digits.parquet')!r})",
        f"pandas.read_csv({str(SAMPLE_DATA / 'digits.csv')!r})",
        f"pandas.read_csv({str(SAMPLE_DATA / 'digits.csv')!r}).filter(like='pixel').astype(float)",
    ],
    ids=["uint8", "int64", "float64"],
)
def test_pixels_of_every_type_score_the_same(
    frame: str, folder: Path, expected: tuple[list[int], list[float]]
) -> None:
    """As Parquet, pandas and scikit-learn hand them over."""
    check(in_mlflow(folder, f"print(json.dumps(shown(model.predict({frame}))))"), expected)


def test_it_scores_with_its_own_code(folder: Path) -> None:
    """The copy beside the model: batchdigits is not installed there."""
    path = in_mlflow(folder, "import batchdigits; print(json.dumps(batchdigits.__file__))")
    assert Path(path) == folder / "model" / "code" / "batchdigits" / "__init__.py"
    assert run(folder, "-c", "import batchdigits").returncode != 0


def test_the_folder_says_what_it_is(folder: Path) -> None:
    """Signature, input example, pinned requirements, and which bundle it came from."""
    inputs, outputs, metadata = in_mlflow(folder, FACTS)
    assert [column["name"] for column in inputs] == [f"pixel_{n}" for n in range(64)]
    types = {column["name"]: column["type"] for column in outputs}
    assert types == {"prediction": "long", "confidence": "float"}
    assert metadata == {"batchdigits": batchdigits.open_bundle().facts}
    requirements = (folder / "model" / "requirements.txt").read_text().split()
    names = [requirement.partition("==")[0] for requirement in requirements]
    assert names == ["mlflow", "numpy", "onnxruntime", "pandas", "pyarrow"]
    assert all(requirement.count("==") == 1 for requirement in requirements)
    example = "print(json.dumps(shown(model.predict(model.input_example))))"
    labels, confidences = in_mlflow(folder, example)
    assert len(labels) == 3
    assert all(0 < confidence <= 1 for confidence in confidences)


def test_a_row_that_can_not_be_scored_is_named(folder: Path) -> None:
    """Nothing is dropped and nothing made up; predictions keep the index of their rows."""
    script = """
rows = pandas.concat([model.input_example] * 2, ignore_index=True)
assert model.predict(rows.iloc[[4, 1]]).index.tolist() == [4, 1]
rows.loc[4, "pixel_3"] = 99
try:
    model.predict(rows)
except Exception as error:
    print(json.dumps(str(error)))
"""
    assert "row 4 is out-of-range (pixel_3)" in in_mlflow(folder, script)


def test_text_labels_come_back_as_text(tmp_path: Path) -> None:
    bundle = tmp_path / "letters.bundle"
    bundle.write_bytes(make_bundle(Classes("string", ("a", "b", "c"))))
    assert export(tmp_path, bundle).returncode == 0
    labels, _ = in_mlflow(tmp_path, "print(json.dumps(shown(model.predict(model.input_example))))")
    assert set(labels) <= {"a", "b", "c"}
    _, (label, _), _ = in_mlflow(tmp_path, FACTS)
    assert label["type"] == "string"


def test_a_model_is_replaced_only_when_told(tmp_path: Path) -> None:
    """As a whole, with the signature that lies beside the bundle, and without leftovers."""
    bundle = tmp_path / "one.bundle"
    shutil.copy(packaged_bundle(), bundle)
    assert export(tmp_path, bundle).returncode == 0
    before = (tmp_path / "model" / "MLmodel").read_bytes()
    refused = export(tmp_path, bundle)
    assert (refused.returncode, "give --overwrite" in refused.stderr) == (73, True)
    assert (tmp_path / "model" / "MLmodel").read_bytes() == before
    (tmp_path / "one.bundle.sig").write_text("{}")
    assert export(tmp_path, bundle, "--overwrite").returncode == 0
    assert (tmp_path / "model" / "MLmodel").read_bytes() != before
    data = tmp_path / "model" / "data" / "bundle"
    name = f"digits-{batchdigits.open_bundle().manifest.version}.bundle"
    assert {path.name for path in data.iterdir()} == {name, f"{name}.sig"}
    assert not [path.name for path in tmp_path.iterdir() if path.name.endswith(".tmp")]
