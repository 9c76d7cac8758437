"""`reference.json` is parsed into counts that add up, or the bundle is refused."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from paths import SAMPLE_DATA

from batchdigits.archive.bundle_file import MANIFEST, build_bundle, read_bundle
from batchdigits.archive.classes import Classes
from batchdigits.archive.reference import (
    REFERENCE,
    Reference,
    Unseen,
    count_confidences,
    read_reference,
)
from batchdigits.errors import BundleError
from batchdigits.predict import main
from batchdigits.store.choice import packaged_bundle

CLASSES = Classes("string", ("a", "b", "c"))


@pytest.fixture
def text() -> bytes:
    """The reference of 40 random rows of two classes; the third has none."""
    pixels = np.random.default_rng(0).integers(0, 13, (40, 64)).astype(np.float64)
    probabilities = np.tile(np.array([[0.9, 0.1, 0.0], [0.3, 0.1, 0.6]]), (5, 1))
    unseen = Unseen.measure(probabilities, np.arange(10) % 3)
    return Reference.measure(pixels, np.arange(40) % 2, 3, unseen).to_json(CLASSES)


def test_what_train_writes_is_read(text: bytes) -> None:
    reference = Reference.from_json(text, CLASSES)
    assert (reference.rows, reference.darkest) == (40, 12)
    assert reference.class_counts.tolist() == [20, 20, 0]
    assert reference.class_means.shape == (3, 64)
    assert not reference.class_means[2].any()
    assert (reference.class_pixel_counts.sum(axis=0) == reference.pixel_counts).all()


def test_histograms_count_every_pixel_of_every_row_once() -> None:
    generator = np.random.default_rng(0)
    pixels = generator.uniform(0, 16, (40, 64))
    targets = np.arange(40) % 3
    document = json.loads(Reference.measure(pixels, targets, 3).to_json(CLASSES))
    counts = np.array(document["class_pixel_counts"])
    assert document["classes"] == ["a", "b", "c"]
    assert document["class_counts"] == [14, 13, 13]
    assert counts.shape == (3, 64, 17)
    assert (counts.sum(axis=2) == np.array([[14], [13], [13]])).all()
    assert np.array_equal(counts.sum(axis=0), document["pixel_counts"])
    assert (
        document["pixel_counts"][5]
        == np.bincount(np.rint(pixels[:, 5]).astype(int), minlength=17).tolist()
    )
    assert np.allclose(document["class_means"][1], pixels[1::3].mean(axis=0), atol=1e-6)


def test_rows_that_were_not_trained_on_are_told_by_class_and_confidence(text: bytes) -> None:
    unseen = Reference.from_json(text, CLASSES).unseen
    assert unseen is not None
    assert (unseen.rows, unseen.right, unseen.mean_confidence) == (10, 3, 0.75)
    assert unseen.predicted_counts.tolist() == [5, 0, 5]
    assert unseen.confidence_counts.tolist() == [0, 5, 0, 5, 0, 0, 0, 0]


def test_a_bundle_of_an_older_version_tells_nothing_of_them(text: bytes) -> None:
    document = json.loads(text)
    del document["unseen"]
    assert Reference.from_json(json.dumps(document).encode(), CLASSES).unseen is None


@given(arrays(np.float32, st.integers(0, 50), elements=st.floats(0, 1, width=32)))
def test_each_bin_of_confidence_leaves_half_the_doubt_of_the_one_before(
    confidence: NDArray[np.float32],
) -> None:
    """A confidence is in the bin whose upper end, 1 - 2 ** -number, it does not exceed."""
    ends = 1 - 2.0 ** -np.arange(1, 8)
    bins = np.searchsorted(ends, confidence)
    assert count_confidences(confidence).tolist() == np.bincount(bins, minlength=8).tolist()


def test_the_packaged_bundle_has_one() -> None:
    bundle = read_bundle(packaged_bundle())
    reference = read_reference(bundle)
    assert reference.rows == bundle.manifest.data["rows"]
    assert reference.darkest == 16


def without(key: str) -> Callable[[dict[str, Any]], None]:
    return lambda document: document.pop(key)


def setting(key: str, value: object) -> Callable[[dict[str, Any]], None]:
    return lambda document: document.update({key: value})


DAMAGE = {
    "lacks rows": without("rows"),
    "lacks class_means": without("class_means"),
    "classes are not those": setting("classes", ["a", "b"]),
    "levels are not 0 to 16": setting("levels", [0, 1]),
    "class_counts is of shape (2,)": setting("class_counts", [20, 20]),
    "class_counts is made of float": setting("class_counts", [20.0, 20.0, 0.0]),
    "class_counts is made of bool": setting("class_counts", [True, True, False]),
    "class_counts holds a negative": setting("class_counts", [41, -1, 0]),
    "class_counts is made of str": setting("class_counts", ["20", "20", "0"]),
    "reference.json: class_counts holds a count": setting("class_counts", [2**70, 20, 0]),
    "class_counts holds a count above": setting("class_counts", [2**63, 20, 0]),
    "predicted_counts holds a count above": lambda d: d["unseen"].update(
        predicted_counts=[2**62, 2**62, 2**62]
    ),
    "class_means is of shape (3,)": setting("class_means", [[1], [1, 2], [3]]),
    "class_means holds a value out of": setting("class_means", [[17] * 64] * 3),
    "holds NaN": setting("class_means", [[float("nan")] * 64] * 3),
    "do not add up": setting("rows", 41),
    "counts do not add up": setting("rows", "40"),
    "its counts do not add up": setting("class_counts", [21, 19, 0]),
    "reference.json: its counts do not add up": lambda d: d["pixel_counts"][0].reverse(),
    "unseen lacks rows": setting("unseen", []),
    "or they are not numbers": lambda d: d["unseen"].update(right=True),
    "lacks predicted_counts": lambda d: d["unseen"].pop("predicted_counts"),
    "confidence_counts is of shape (7,)": lambda d: d["unseen"]["confidence_counts"].pop(),
    "counts of unseen do": lambda d: d["unseen"].update(right=11),
    "the counts of unseen do not": lambda d: d["unseen"].update(predicted_counts=[5, 1, 5]),
    "counts of unseen do not add up": lambda d: d["unseen"].update(mean_confidence=1.5),
}


@pytest.mark.parametrize("words", DAMAGE)
def test_a_damaged_one_is_refused(words: str, text: bytes) -> None:
    document = json.loads(text)
    DAMAGE[words](document)
    with pytest.raises(BundleError) as raised:
        Reference.from_json(json.dumps(document).encode(), CLASSES)
    assert words in str(raised.value)


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b'{"a":1,"a":2}'])
def test_what_is_no_json_object_is_refused(text: bytes) -> None:
    with pytest.raises(BundleError, match=r"^reference\.json"):
        Reference.from_json(text, CLASSES)


def test_keys_that_are_not_known_are_left(text: bytes) -> None:
    """A later train may add facts."""
    document = json.loads(text) | {"news": 1}
    assert Reference.from_json(json.dumps(document).encode(), CLASSES).rows == 40


def test_a_bundle_with_a_damaged_one_ends_with_78(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packaged = read_bundle(packaged_bundle())
    members = {name: data for name, data in packaged.members.items() if name != MANIFEST}
    bundle = tmp_path / "odd.bundle"
    bundle.write_bytes(
        build_bundle(replace(packaged.manifest, members={}), {**members, REFERENCE: b"{}"})
    )
    arguments = [str(SAMPLE_DATA / "digits.csv"), "--bundle", str(bundle), "--output"]
    assert main([*arguments, str(tmp_path / "out.csv")]) == 78
    assert "odd.bundle: reference.json lacks classes" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [bundle]
