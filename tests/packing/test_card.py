"""The card: Markdown from the facts of the manifest and the scores."""

from dataclasses import replace

import numpy as np
import pytest

from batchdigits.archive.bundle_file import read_bundle
from batchdigits.archive.manifest import Manifest
from batchdigits.evaluation.confusion import ConfusionMatrix
from batchdigits.packing.card import write_card
from batchdigits.packing.contents import Scores
from batchdigits.store.choice import packaged_bundle

TRUTH = np.array([0, 0, 1, 1, 1, 2])
PREDICTED = np.array([0, 1, 1, 1, 0, 0])
SCORES = Scores("six rows", ConfusionMatrix.of(["a|b", "b", "c"], TRUTH, PREDICTED))


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    """The facts of a bundle that learned scikit-learn's digits and is calibrated."""
    return read_bundle(packaged_bundle()).manifest


def card(manifest: Manifest, scores: Scores = SCORES) -> str:
    return write_card(manifest, scores, {"model.onnx": b"a graph"}).decode()


def test_tables_escape_the_bar(manifest: Manifest) -> None:
    text = card(manifest)
    assert "**0.5000** on six rows" in text
    assert "| a\\|b |" in text
    assert "Confusion matrix" in text


def test_many_classes_leave_the_matrix_out(manifest: Manifest) -> None:
    many = np.arange(150)
    scores = Scores("rows", ConfusionMatrix.of(many.tolist(), many, many))
    assert "Confusion" not in card(manifest, scores)


def test_every_bin_of_confidence_is_a_line(manifest: Manifest) -> None:
    calibration = manifest.metrics["calibration"]
    text = card(manifest)
    assert f"Temperature {calibration['temperature']:.4f}, fitted on" in text
    bins = calibration["after"]["bins"]
    assert len(bins) > 1
    for one in bins:
        assert f"| {one['low']:.3f} to {one['high']:.3f} | {one['rows']} | " in text


def test_confidence_without_a_temperature_is_the_networks_own(manifest: Manifest) -> None:
    metrics = {name: fact for name, fact in manifest.metrics.items() if name != "calibration"}
    text = card(replace(manifest, metrics=metrics))
    assert "## Confidence" not in text
    assert "not calibrated" in text


def test_limits_name_the_writers_of_the_tutorials_digits_alone(manifest: Manifest) -> None:
    assert "written by 13 people" in card(manifest)
    data = {**manifest.data, "source": "rows.csv", "description": "labelled rows of rows.csv"}
    assert "written by 13 people" not in card(replace(manifest, data=data))


def test_the_multiplications_that_the_graph_leaves_out_are_said(manifest: Manifest) -> None:
    count = {"network": 37_000, "compiled": 22_000}
    fewer = replace(manifest, architecture={**manifest.architecture, "multiplications": count})
    said = "does 22,000 of the network's 37,000 multiplications a row"
    assert said in card(fewer)
    as_many = {**manifest.architecture, "multiplications": {**count, "compiled": 37_000}}
    assert "multiplications" not in card(replace(manifest, architecture=as_many))
    older = {key: fact for key, fact in manifest.architecture.items() if key != "multiplications"}
    assert "multiplications" not in card(replace(manifest, architecture=older))
