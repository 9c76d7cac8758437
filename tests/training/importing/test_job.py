"""The whole way: files or objects in, a bundle out, or one line and nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from artefacts import NAMES, answers_of, options_for
from saved_models import archive

import batchdigits
from batchdigits.archive.bundle_file import read_bundle
from batchdigits.engines.open import replay_bundle
from batchdigits.errors import BatchdigitsError, BundleError, UnusableInputError, UsageError
from batchdigits.training.data import Labelled
from batchdigits.training.importing import parts
from batchdigits.training.importing.job import import_files
from batchdigits.training.importing.options import ImportOptions

SOME = ["keras2-cnn-keras", "keras30-tutorial-keras"]


def check_import(name: str, folder: Path) -> None:
    """Import an artefact; its bundle passes both engines and answers like the original."""
    result = import_files(options_for(name, folder, min_accuracy="85%"))
    bundle = read_bundle(result.path)
    for engine in ("onnx", "keras"):
        replay = replay_bundle(bundle, engine)
        assert replay.worst <= 1e-4
    rows, classes, expected = answers_of(name)
    order = np.argsort(classes)
    assert list(bundle.manifest.classes.values) == [classes[place] for place in order]
    opened = batchdigits.open_bundle(result.path)
    table = opened.predict(rows.astype(np.float32), probabilities=True)
    for column, place in zip(table.column_names[-len(classes) :], order, strict=True):
        np.testing.assert_allclose(np.array(table[column]), expected[:, place], atol=1e-4)


@pytest.mark.usefixtures("digits")
@pytest.mark.parametrize("name", SOME)
def test_an_imported_bundle_answers_like_the_original(name: str, tmp_path: Path) -> None:
    check_import(name, tmp_path)


@pytest.mark.slow
@pytest.mark.usefixtures("digits")
@pytest.mark.parametrize("name", [name for name in NAMES if name not in SOME])
def test_so_does_every_other_one(name: str, tmp_path: Path) -> None:
    check_import(name, tmp_path)


@pytest.mark.usefixtures("digits")
def test_the_bundle_says_where_it_came_from_and_claims_no_training(tmp_path: Path) -> None:
    options = options_for("keras2-functional-h5", tmp_path, name="forms", calibrate=True)
    result = import_files(options)
    manifest = read_bundle(result.path).manifest
    assert manifest.recipe["origin"] == "imported"
    files = {file["part"]: file for file in manifest.recipe["files"]}
    assert files["model"]["written_by"] == "Keras 2.15.0"
    assert files["scaler"]["written_by"] == "scikit-learn 1.2.2"
    assert all(file["digest"].startswith("sha256:") for file in files.values())
    assert manifest.split == {"kind": "imported"}
    assert "seen_in_training" not in manifest.metrics
    card = read_bundle(result.path).members["card.md"].decode()
    for words in (
        "Origin: imported.",
        files["model"]["digest"],
        "what it learned from is not known",
        "on the 300 labelled rows given to import",
        "Temperature",
        "trained elsewhere",
    ):
        assert words in " ".join(card.split()), words
    assert "held out" not in card
    assert "Settings:" not in card
    assert manifest.command.startswith("python -m batchdigits.bundles import --keras model.h5")


def refused(options: ImportOptions, folder: Path) -> BatchdigitsError:
    """The error of an import, which wrote nothing."""
    with pytest.raises(BatchdigitsError) as raised:
        import_files(options)
    assert not (folder / "store").exists()
    return raised.value


@pytest.mark.usefixtures("digits")
@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("keras2-cnn-keras", {"labels": "0,1,2,8,4,5,6,7,3,9"}, "--labels 0,1,2,3,4,5,6,7,8,9"),
        (
            "keras2-cnn-keras",
            {"scaler_divide": 255.0},
            "learned from pixels divided by 16: give --scaler-divide 16",
        ),
        ("keras2-tutorial-h5", {"scaler": None}, "the scaler is missing"),
    ],
)
def test_a_wrong_part_is_refused_with_its_cause(
    name: str, change: dict[str, Any], told: str, tmp_path: Path
) -> None:
    error = refused(replace(options_for(name, tmp_path), **change), tmp_path)
    assert isinstance(error, UnusableInputError)
    assert told in str(error)
    assert str(error).endswith("nothing was published")


def test_files_are_judged_before_anything_heavy_is_imported(tmp_path: Path) -> None:
    """A hostile file, a wrong count of labels, other flags: each has its code, and no store."""
    good = options_for("keras2-cnn-keras", tmp_path)
    (tmp_path / "evil.keras").write_bytes(archive({"class_name": "Sequential"}).data)
    error = refused(replace(good, keras=str(tmp_path / "evil.keras")), tmp_path)
    assert isinstance(error, BundleError)
    assert error.exit_code == 78
    assert isinstance(refused(replace(good, labels=None), tmp_path), UsageError)
    gone = refused(replace(good, keras=str(tmp_path / "gone.keras")), tmp_path)
    assert gone.exit_code == 66


@pytest.mark.usefixtures("digits")
def test_the_number_of_labels_and_the_data_must_fit(tmp_path: Path) -> None:
    good = options_for("keras2-cnn-keras", tmp_path)
    few = refused(replace(good, labels="0,1,2"), tmp_path)
    assert (few.exit_code, "knows 0,1,2" in str(few)) == (65, True)
    many = refused(replace(good, labels="0,1,2,3,4,5,6,7,8,9,10"), tmp_path)
    assert (many.exit_code, "no row labelled 10" in str(many)) == (65, True)


@pytest.mark.filterwarnings("ignore")
def test_a_model_in_memory_is_compared_with_what_was_packed(
    digits: Labelled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sklearn.linear_model import LogisticRegression

    rows = digits.part(np.arange(300))
    labels = rows.binarizer.classes_[rows.targets]
    model = LogisticRegression(max_iter=20).fit(rows.pixels / 16, labels)
    data = (rows.pixels, labels)
    bundle = batchdigits.pack(model, scaler_divide=16, data=data, name="regression", store=tmp_path)
    assert bundle.facts["name"] == "regression"
    expected = model.predict(rows.pixels / 16)
    found = bundle.predict(rows.pixels)["prediction"]
    assert (np.array(found) == expected).mean() > 0.999

    honest = parts._original

    def reversed_answers(*given: Any) -> Any:
        return lambda pixels: honest(*given)(pixels)[:, ::-1]

    monkeypatch.setattr(parts, "_original", reversed_answers)
    with pytest.raises(UnusableInputError, match="would answer otherwise than the model given"):
        batchdigits.pack(model, scaler_divide=16, data=data, store=tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.usefixtures("digits")
def test_keras_on_another_backend_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras

    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(UsageError, match="needs Keras on TensorFlow, and here it runs on jax"):
        batchdigits.pack(None, data=None, store=tmp_path)
