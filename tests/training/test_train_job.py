import hashlib
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchdigits.archive.bundle_file import BundleFile, read_bundle
from batchdigits.archive.reference import read_reference
from batchdigits.engines.open import open_checked, replay_bundle
from batchdigits.errors import OutputError, UsageError
from batchdigits.store.choice import packaged_bundle
from batchdigits.store.store import Store
from batchdigits.training.data import load_tutorial_digits
from batchdigits.training.job import TrainResult, train
from batchdigits.training.options import TrainOptions
from batchdigits.training.split import split_rows

SMALL = TrainOptions(
    settings={"epochs": 12, "units": 32, "copies": 2}, created="2026-01-31T02:00:00Z"
)


def changed(**changes: Any) -> dict[str, Any]:
    """The settings of SMALL, some of them changed."""
    return {**SMALL.settings, **changes}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    pytest.importorskip("tensorflow")
    return train(replace(SMALL, store=str(tmp_path_factory.mktemp("stores") / "bundles")))


@pytest.fixture(scope="module")
def bundle(published: TrainResult) -> BundleFile:
    return read_bundle(published.path, expect_digest=published.digest)


def write_labelled(path: Path, labels: list[Any], rows: int) -> str:
    """Rows whose class decides how dark they are: learnt in a moment."""
    generator = np.random.default_rng(0)
    which = np.arange(rows) % len(labels)
    pixels = generator.integers(0, 5, (rows, 64)) + 12 * which[:, None] // len(labels)
    columns: dict[str, Any] = {f"pixel_{i}": pixels[:, i] for i in range(64)}
    columns["digit"] = pa.array([labels[i] for i in which])
    pq.write_table(pa.table(columns), path)
    return str(path)


def test_both_engines_replay_the_golden_rows(bundle: BundleFile) -> None:
    for name in ("onnx", "keras"):
        assert replay_bundle(bundle, name).rows == 64


def test_the_reference_tells_of_the_rows_held_out(bundle: BundleFile) -> None:
    unseen = read_reference(bundle).unseen
    assert unseen is not None
    assert unseen.rows == 540
    assert unseen.right / unseen.rows == bundle.manifest.accuracy
    assert abs(unseen.mean_confidence - bundle.manifest.accuracy) < 0.1


def test_the_manifest_tells_what_was_done(bundle: BundleFile, published: TrainResult) -> None:
    manifest = bundle.manifest
    assert (manifest.name, manifest.version) == ("digits", 1)
    assert manifest.classes.values == tuple(range(10))
    assert manifest.split["held_out"] == manifest.metrics["rows"] == 540
    assert manifest.accuracy == published.contents.scores.accuracy > 0.8
    assert np.array(manifest.metrics["confusion_matrix"]).sum() == 540
    assert manifest.metrics["seen_in_training"]["rows"] == 1257
    assert manifest.metrics["onnx_agreement"]["data_worst"] <= 1e-5
    assert manifest.recipe["epochs_run"] == 12
    assert {"keras", "tensorflow", "scikit-learn", "numpy", "python"} <= set(manifest.libraries)


def test_the_card_says_what_an_operator_asks(bundle: BundleFile) -> None:
    """What it is for, on what data, how good, how made, its limits, and the digests of it all."""
    card = bundle.members["card.md"].decode()
    parts = {part.split("\n")[0]: part for part in card.split("\n## ")[1:]}
    assert {"What it is for", "Data", "Accuracy", "How it was made", "Limits"} < parts.keys()
    assert "Classes (int64): 0, 1, 2, 3, 4, 5, 6, 7, 8, 9." in parts["What it is for"]
    matrix = bundle.manifest.metrics["confusion_matrix"]
    for label, (scores, counts) in enumerate(
        zip(bundle.manifest.metrics["per_class"], matrix, strict=True)
    ):
        assert (
            f"| {label} | {scores['precision']:.4f} | {scores['recall']:.4f}" in parts["Accuracy"]
        )
        assert f"| {label} | {' | '.join(map(str, counts))} |" in parts["Accuracy"]
    assert bundle.manifest.data["digest"] in parts["Digests"]
    for name, fact in bundle.manifest.members.items():
        assert (f"- `{name}`: `sha256:{fact.sha256}`" in parts["Digests"]) == (name != "card.md")


def test_confidence_is_calibrated_on_rows_not_seen(bundle: BundleFile) -> None:
    """The packed model has the confidence that the table shows, nearer to the truth than before."""
    calibration = bundle.manifest.metrics["calibration"]
    assert calibration["measured_on"] == "540 held-out rows"
    assert calibration["after"]["log_loss"] < calibration["before"]["log_loss"]
    assert calibration["after"]["calibration_error"] < calibration["before"]["calibration_error"]
    assert f"Temperature {calibration['temperature']:.4f}" in bundle.members["card.md"].decode()
    digits = load_tutorial_digits()
    held = digits.pixels[split_rows(digits, 0.3, 0).held].astype(np.float32)
    confidence = open_checked(bundle).probabilities(held).max(axis=1).mean()
    expected = sum(one["rows"] * one["confidence"] for one in calibration["after"]["bins"]) / 540
    assert confidence == pytest.approx(expected, abs=1e-4)


def test_no_folds_no_temperature(tmp_path: Path) -> None:
    """The card then says that confidence is the network's own."""
    options = replace(
        SMALL, settings=changed(calibration_folds=0, epochs=1), output=str(tmp_path / "b.bundle")
    )
    result = train(options)
    bundle = read_bundle(result.path)
    assert "calibration" not in result.contents.metrics
    assert "calibration" not in bundle.manifest.metrics
    assert "not calibrated" in bundle.members["card.md"].decode()


def test_the_card_is_written_from_the_same_facts(bundle: BundleFile) -> None:
    card = bundle.members["card.md"].decode()
    assert card.startswith("# digits 1\n")
    assert f"**{bundle.manifest.accuracy:.4f}** on 540 held-out rows" in card
    assert "python -m batchdigits.train --arch mlp --units 32 --epochs 12 --copies 2\n" in card
    assert "seen in training" in card
    assert "written by 13 people" in card
    for name in set(bundle.members) - {"manifest.json", "card.md"}:
        assert f"`{name}`: `sha256:{hashlib.sha256(bundle.members[name]).hexdigest()}`" in card


@pytest.mark.slow
def test_the_same_seed_gives_the_same_file(published: TrainResult, tmp_path: Path) -> None:
    """Byte by byte, from another process that published elsewhere."""
    code = (
        "from batchdigits.training.job import train\n"
        "from batchdigits.training.options import TrainOptions\n"
        f"print(train({replace(SMALL, output=str(tmp_path / 'again.bundle'))}).digest)"
    )
    code = f"from batchdigits.rows.options import ReadOptions\n{code}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == published.digest


def test_another_seed_gives_another_model_and_the_next_version(
    published: TrainResult, bundle: BundleFile
) -> None:
    other = train(replace(SMALL, store=str(published.path.parents[1]), settings=changed(seed=1)))
    assert other.version == 2
    assert read_bundle(other.path).members["model.keras"] != bundle.members["model.keras"]


def test_without_held_out_rows_folds_judge(tmp_path: Path) -> None:
    """The accuracy is of rows that the measured models had not seen, and the card says which."""
    progress: list[str] = []
    options = replace(SMALL, test_share=0, folds=3, output=str(tmp_path / "all.bundle"))
    result = train(options, progress.append)
    bundle = read_bundle(result.path)
    metrics = bundle.manifest.metrics
    assert metrics["rows"] == metrics["seen_in_training"]["rows"] == 1797
    assert metrics["accuracy"] < metrics["seen_in_training"]["accuracy"]
    assert "3-fold cross-validation" in metrics["measured_on"]
    unseen = read_reference(bundle).unseen
    assert unseen is not None
    assert unseen.right / unseen.rows == metrics["accuracy"]
    assert (
        "All 1797 rows trained the model; none were held out" in bundle.members["card.md"].decode()
    )
    assert any(line.startswith("fold 3 of 3, epoch 12 of 12, loss ") for line in progress)


@pytest.mark.parametrize(
    ("labels", "class_type"),
    [
        ([5, 3], "int64"),
        ([True, False], "bool"),
        (["cat", "dog", "Ωmega"], "string"),
        ([2.0, 4.0, 6.0], "double"),
    ],
)
def test_labels_of_every_kind_come_back(tmp_path: Path, labels: list[Any], class_type: str) -> None:
    """Two classes have two outputs, whatever the binarizer's one column says."""
    options = TrainOptions(
        data=(write_labelled(tmp_path / "rows.parquet", labels, 90),),
        label="digit",
        output=str(tmp_path / "own.bundle"),
        settings={"units": 16, "epochs": 20, "batch_size": 8, "copies": 2, "calibration_folds": 2},
    )
    result = train(options)
    bundle = read_bundle(result.path)
    assert bundle.manifest.classes.type == class_type
    assert bundle.manifest.classes.values == tuple(sorted(labels))
    assert bundle.manifest.accuracy > 0.9
    assert "written by 13 people" not in bundle.members["card.md"].decode()
    replay_bundle(bundle, "keras")


def test_what_is_in_the_way_is_told_before_training(tmp_path: Path) -> None:
    """An existing file stays as it was; a store that can't be written is no late surprise."""
    there = tmp_path / "there.bundle"
    there.write_text("precious")
    with pytest.raises(OutputError, match="--overwrite"):
        train(TrainOptions(output=str(there)))
    assert there.read_text() == "precious"
    with pytest.raises(OutputError, match="make it, or name another"):
        train(TrainOptions(output=str(tmp_path / "none" / "b.bundle")))
    with pytest.raises(OutputError, match="give another --store"):
        train(TrainOptions(store=str(there / "store")))
    with pytest.raises(UsageError, match="--name"):
        train(TrainOptions(name="Über Digits"))
    with pytest.raises(UsageError, match="give one of them"):
        train(TrainOptions(output=str(tmp_path / "b.bundle"), store=str(tmp_path)))


def test_overwrite_replaces_a_bundle(tmp_path: Path) -> None:
    there = Path(shutil.copy(packaged_bundle(), tmp_path / "there.bundle"))
    tiny = {"epochs": 1, "copies": 0, "calibration_folds": 0}
    train(replace(SMALL, settings=tiny, output=str(there), overwrite=True))
    assert zipfile.is_zipfile(there)
    assert there.read_bytes() != packaged_bundle().read_bytes()


def test_overwrite_replaces_nothing_but_a_bundle(tmp_path: Path) -> None:
    """Not the labelled rows, under any name; not somebody's file; not a version of a store."""
    rows = tmp_path / "rows.bundle"
    rows.write_text("label,pixel_0\n")
    twin = tmp_path / "twin.bundle"
    twin.hardlink_to(rows)
    options = replace(SMALL, data=(str(rows),), overwrite=True)
    with pytest.raises(UsageError, match="is the file to learn from"):
        train(replace(options, output=str(twin)))
    with pytest.raises(OutputError, match="is not a sound bundle"):
        train(replace(SMALL, output=str(twin), overwrite=True))
    assert rows.read_text() == "label,pixel_0\n"
    published = Store(tmp_path / "store").publish(
        "digits", lambda _: packaged_bundle().read_bytes()
    )
    with pytest.raises(UsageError, match="is in a store"):
        train(replace(SMALL, output=str(published), overwrite=True))
    with pytest.raises(UsageError, match="ends in .bundle"):
        train(replace(SMALL, output=str(tmp_path / "new/")))
