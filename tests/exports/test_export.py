"""`bundles export` without MLflow: the files, and what is refused."""

from __future__ import annotations

import hashlib
import io
import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import joblib
import numpy as np
import onnxruntime
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from paths import SAMPLE_DATA
from small_bundles import make_bundle

import batchdigits
from batchdigits.archive.bundle_file import read_bundle
from batchdigits.archive.classes import Classes
from batchdigits.bundles.__main__ import main
from batchdigits.engines.keras.engine import import_keras
from batchdigits.errors import BundleError, OutputError
from batchdigits.exports import mlflow_folder
from batchdigits.exports.mlflow_folder import check_folder, write_mlflow_model
from batchdigits.store.choice import packaged_bundle

SAMPLE = SAMPLE_DATA / "digits.parquet"

Export = Callable[..., tuple[int, str, str]]


@pytest.fixture
def export(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Export:
    """Exports the packaged bundle, or `bundle`, from an empty folder."""
    monkeypatch.chdir(tmp_path)

    def export(*arguments: str, bundle: Path | None = None) -> tuple[int, str, str]:
        code = main(["export", str(bundle or packaged_bundle()), *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return export


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    """The sample's pixels, float32 (1797, 64)."""
    table = pq.read_table(SAMPLE)
    return np.column_stack([table[f"pixel_{n}"] for n in range(64)]).astype(np.float32)


@pytest.fixture(scope="module")
def labels(pixels: np.ndarray) -> list[int]:
    """What predict says of the sample."""
    found: list[int] = batchdigits.open_bundle().predict(pixels)["prediction"].to_pylist()
    return found


def test_the_onnx_file_is_the_member_and_gives_the_labels(
    export: Export, pixels: np.ndarray, labels: list[int]
) -> None:
    """Byte for byte; what is printed is enough to run it with nothing but ONNX Runtime."""
    code, out, err = export("--onnx", "digits.onnx", "--json")
    assert (code, err) == (0, "")
    said = json.loads(out)
    (one,) = said["exports"]
    data = Path("digits.onnx").read_bytes()
    assert data == read_bundle(packaged_bundle()).members["model.onnx"]
    assert one["digest"] == f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert "pixels tensor(float) [N, 64]" in one["takes"]
    assert "probabilities tensor(float) [N, 10]" in one["gives"]
    session = onnxruntime.InferenceSession("digits.onnx")
    (found,) = session.run(["probabilities"], {"pixels": pixels})
    assert [said["classes"][place] for place in found.argmax(axis=1)] == labels


def test_the_keras_file_gives_the_labels_behind_the_scaler(
    export: Export, pixels: np.ndarray, labels: list[int]
) -> None:
    """As the page says: the bundle is a ZIP that holds the scaler."""
    code, out, _ = export("--keras", "digits.keras")
    assert code == 0
    assert "scaled: (pixels - mean_) / scale_" in out
    with zipfile.ZipFile(packaged_bundle()) as archive:
        scaler = joblib.load(archive.open("scaler.joblib"))
    model = import_keras().saving.load_model("digits.keras", compile=False)
    scaled = (pixels - scaler.mean_) / scaler.scale_
    found = model.predict(scaled.astype(np.float32), verbose=0)
    assert found.argmax(axis=1).tolist() == labels


def test_the_text_names_file_bundle_ports_and_classes(export: Export, tmp_path: Path) -> None:
    bundle = tmp_path / "letters.bundle"
    bundle.write_bytes(make_bundle(Classes("string", ("a", "b", "c")), version=7))
    code, out, _ = export("--onnx", "out.onnx", bundle=bundle)
    assert code == 0
    assert out == (
        "out.onnx: onnx of digits@7; takes pixels tensor(float) [N, 64], 0..16, not scaled; "
        "gives probabilities tensor(float) [N, 3]; classes a, b, c\n"
    )


def test_a_file_that_exists_stays(export: Export) -> None:
    """Nothing else is written either, until --overwrite says so."""
    Path("digits.keras").write_text("mine")
    code, _, err = export("--onnx", "digits.onnx", "--keras", "digits.keras")
    assert code == 73
    assert "digits.keras: exists; give --overwrite" in err
    assert Path("digits.keras").read_text() == "mine"
    assert not Path("digits.onnx").exists()
    assert export("--keras", "digits.keras", "--overwrite")[0] == 0
    assert zipfile.is_zipfile("digits.keras")


def test_the_bundle_is_not_overwritten_by_its_own_member(export: Export, tmp_path: Path) -> None:
    bundle = tmp_path / "one.bundle"
    bundle.write_bytes(make_bundle())
    code, _, err = export("--onnx", "one.bundle", "--overwrite", bundle=bundle)
    assert (code, "is the bundle itself" in err) == (2, True)
    assert bundle.read_bytes() == make_bundle()


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--onnx", ""),
        ("--onnx", "one.keras", "--keras", "./one.keras"),
        ("--keras", "digits.h5"),
    ],
)
def test_what_can_not_be_asked_is_a_usage_error(
    arguments: tuple[str, ...], export: Export, tmp_path: Path
) -> None:
    code, out, err = export(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_told(export: Export) -> None:
    code, _, err = export("--onnx", "nowhere/digits.onnx")
    assert (code, "there is no folder nowhere; make it" in err) == (73, True)


def test_a_bundle_that_fails_its_golden_rows_is_not_exported(
    export: Export, tmp_path: Path
) -> None:
    bundle = tmp_path / "bad.bundle"
    bundle.write_bytes(make_bundle(golden_classes=Classes("int64", (2, 1, 0))))
    code, _, err = export("--onnx", "bad.onnx", bundle=bundle)
    assert (code, "golden rows differ" in err) == (78, True)
    assert not Path("bad.onnx").exists()


def test_a_keras_model_that_is_none_is_not_exported(export: Export, tmp_path: Path) -> None:
    """Checked as the keras engine does, before anything is written."""
    bundle = tmp_path / "odd.bundle"
    bundle.write_bytes(make_bundle())
    code, _, err = export("--onnx", "odd.onnx", "--keras", "odd.keras", bundle=bundle)
    assert (code, "model.keras" in err) == (78, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["odd.bundle"]


def test_keras_weights_in_another_file_are_not_exported(export: Export, tmp_path: Path) -> None:
    """They would be whatever lies there when Keras opens the exported file."""
    h5py = pytest.importorskip("h5py")
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        file["layers"] = h5py.ExternalLink("other.h5", "layers")
    model = io.BytesIO()
    with (
        zipfile.ZipFile(
            io.BytesIO(read_bundle(packaged_bundle()).members["model.keras"])
        ) as source,
        zipfile.ZipFile(model, "w") as target,
    ):
        for name in source.namelist():
            data = weights.getvalue() if name.endswith(".h5") else source.read(name)
            target.writestr(name, data)
    bundle = tmp_path / "odd.bundle"
    bundle.write_bytes(make_bundle(model__keras=model.getvalue()))
    code, _, err = export("--keras", "odd.keras", bundle=bundle)
    assert (code, "lie in other files: layers" in err) == (78, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["odd.bundle"]


def test_a_signature_that_is_a_link_is_not_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it points at is none of the bundle's."""
    monkeypatch.setattr(mlflow_folder, "check_mlflow", lambda: None)
    monkeypatch.setattr(mlflow_folder, "_save", lambda _bundle, data, new: data.rename(new))
    bundle = tmp_path / "one.bundle"
    bundle.write_bytes(packaged_bundle().read_bytes())
    (tmp_path / "one.bundle.sig").write_text("{}")
    write_mlflow_model(read_bundle(bundle), tmp_path / "model", overwrite=False)
    assert sorted(path.suffix for path in (tmp_path / "model").iterdir()) == [".bundle", ".sig"]
    (tmp_path / "one.bundle.sig").unlink()
    for target in ("absent", "one.bundle"):
        (tmp_path / "one.bundle.sig").symlink_to(target)
        with pytest.raises(BundleError, match=r"bundle\.sig: can't be read as a signature"):
            write_mlflow_model(read_bundle(bundle), tmp_path / "other", overwrite=False)
        (tmp_path / "one.bundle.sig").unlink()
    assert not (tmp_path / "other").exists()


def test_the_expected_digest_is_enforced(export: Export) -> None:
    code, _, err = export("--onnx", "one.onnx", "--expect-digest", f"sha256:{'0' * 64}")
    assert (code, "not the bundle that you trust" in err) == (78, True)


def test_without_mlflow_its_extra_is_named(
    export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing is written."""
    monkeypatch.setitem(sys.modules, "mlflow", None)
    code, _, err = export("--onnx", "digits.onnx", "--mlflow", "model")
    assert (code, "pip install '.[mlflow]'" in err) == (69, True)
    assert list(tmp_path.iterdir()) == []


def test_only_an_mlflow_model_is_replaced(tmp_path: Path) -> None:
    """An empty folder is as good as none; anybody else's folder stays."""
    check_folder(tmp_path / "absent", overwrite=False)
    folder = tmp_path / "model"
    folder.mkdir()
    check_folder(folder, overwrite=False)
    (folder / "thesis.tex").touch()
    with pytest.raises(OutputError, match="is not an MLflow model"):
        check_folder(folder, overwrite=True)
    (folder / "MLmodel").touch()
    check_folder(folder, overwrite=True)
    with pytest.raises(OutputError, match="give --overwrite"):
        check_folder(folder, overwrite=False)


def test_what_mlflow_loads_scores_as_predict(tmp_path: Path, labels: list[int]) -> None:
    """Its half that needs no MLflow: pixels in a data frame, labels and confidences out."""
    from batchdigits.exports.mlflow_model import _load_pyfunc

    (tmp_path / "one.bundle").write_bytes(packaged_bundle().read_bytes())
    names = [f"pixel_{n}" for n in range(64)]
    frame = pq.read_table(SAMPLE, columns=names).to_pandas()
    scored = pa.Table.from_pandas(_load_pyfunc(str(tmp_path)).predict(frame))
    assert scored.column_names == ["prediction", "confidence"]
    assert scored["prediction"].to_pylist() == labels


def test_what_mlflow_loads_keeps_the_index(tmp_path: Path) -> None:
    """So that predictions can be joined to the rows that they belong to; arrays have none."""
    from batchdigits.exports.mlflow_model import _load_pyfunc

    (tmp_path / "one.bundle").write_bytes(packaged_bundle().read_bytes())
    model = _load_pyfunc(str(tmp_path))
    names = [f"pixel_{n}" for n in range(64)]
    some = pq.read_table(SAMPLE, columns=names).to_pandas().iloc[[5, 3, 9]]
    scored = model.predict(some)
    assert scored.index.tolist() == [5, 3, 9]
    assert model.predict(some.to_numpy()).to_dict("list") == scored.to_dict("list")
