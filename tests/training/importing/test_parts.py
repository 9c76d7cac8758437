"""The parts of a model in memory go the same way as those in files."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from saved_models import archive
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import LabelBinarizer, StandardScaler

from batchdigits.errors import UsageError
from batchdigits.training.data import Labelled
from batchdigits.training.importing.parts import InMemory, parts_in_memory, read_parts
from batchdigits.training.importing.saved import Saved

PIXELS = np.random.default_rng(0).integers(0, 17, (90, 64)).astype(float)
LABELS = np.arange(90) % 3


@pytest.fixture
def network(digits: Labelled) -> Any:
    """A Keras model of three classes that was never fitted."""
    import keras

    assert digits
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [keras.Input((8, 8)), keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")]
    )


def test_objects_are_saved_and_read_and_can_still_be_asked(network: Any) -> None:
    scaler, binarizer = StandardScaler().fit(PIXELS), LabelBinarizer().fit(LABELS)
    parts = parts_in_memory(InMemory(network, scaler, label_binarizer=binarizer))
    assert parts.labels.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(parts.affine.mean, scaler.mean_)
    assert [file["part"] for file in parts.files] == ["model", "scaler", "labels"]
    assert parts.files[0]["written_by"].startswith("Keras 3.")
    assert parts.original is not None
    images = scaler.transform(PIXELS).reshape(-1, 8, 8)
    np.testing.assert_allclose(parts.original(PIXELS), network.predict(images, verbose=0))


def test_pixels_may_be_divided_before_a_scaler_or_without_one(network: Any) -> None:
    scaler = StandardScaler().fit(PIXELS / 16)
    for given, expected in ((None, PIXELS / 16), (scaler, scaler.transform(PIXELS / 16))):
        parts = parts_in_memory(InMemory(network, given, 16, labels=[2, 0, 1]))
        affine = parts.affine
        np.testing.assert_allclose((PIXELS - affine.mean) / affine.scale, expected, atol=1e-9)
        asked = network.predict(expected.reshape(-1, 8, 8), verbose=0)
        assert parts.original is not None
        np.testing.assert_allclose(parts.original(PIXELS), asked, atol=1e-6)


def test_a_classifier_brings_its_labels(tmp_path: Path) -> None:
    model = LogisticRegression(max_iter=5).fit(PIXELS, LABELS)
    parts = parts_in_memory(InMemory(model))
    assert parts.labels.tolist() == [0, 1, 2]
    assert parts.original is not None
    np.testing.assert_array_equal(parts.original(PIXELS), model.predict_proba(PIXELS))
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(model))
    from_file = parts_in_memory(InMemory(tmp_path / "model.pkl", labels=["a", "b", "c"]))
    assert (from_file.labels.tolist(), from_file.original) == (["a", "b", "c"], None)


REGRESSION = LogisticRegression()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (InMemory(object(), labels=[0, 1]), "expected a Keras model or a classifier"),
        (InMemory(REGRESSION, scaler_divide=0), "--scaler-divide 0: expected a number above 0"),
        (InMemory(REGRESSION, scaler_divide="16"), "--scaler-divide 16: expected a number"),  # type: ignore[arg-type]
        (InMemory(REGRESSION, np.ones(64)), "scaler: expected an estimator"),
        (InMemory(REGRESSION, label_binarizer=[0, 1]), "label_binarizer: expected an estimator"),
        (InMemory(REGRESSION, label_binarizer=LabelBinarizer(), labels=[0]), "give one of them"),
    ],
)
def test_other_objects_are_refused(given: InMemory, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        parts_in_memory(given)


def test_a_network_alone_does_not_say_which_output_is_which() -> None:
    saved: Saved = archive()
    with pytest.raises(UsageError, match="needs the labels of the network's outputs"):
        read_parts(saved, "keras", [], None)
