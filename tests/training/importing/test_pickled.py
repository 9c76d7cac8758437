"""Pickles of scikit-learn as data: exact names, and nothing of them runs."""

from __future__ import annotations

import io
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from artefacts import ARTEFACTS, NAMES
from sklearn.decomposition import PCA
from sklearn.preprocessing import LabelEncoder, StandardScaler
from sklearn.svm import SVC

from batchdigits.errors import BundleError, UnusableInputError
from batchdigits.training.importing.pickled import Record, read_record
from batchdigits.training.importing.saved import Saved, read_saved

PIXELS = np.random.default_rng(0).integers(0, 17, (50, 64)).astype(float)


def saved(thing: Any, protocol: int | None = None) -> Saved:
    if protocol is not None:
        return Saved("part.pkl", pickle.dumps(thing, protocol=protocol))
    sink = io.BytesIO()
    joblib.dump(thing, sink)
    return Saved("part.joblib", sink.getvalue())


PICKLED = [
    path
    for name in NAMES
    for path in sorted((ARTEFACTS / name).iterdir())
    if path.suffix in (".joblib", ".pkl")
]


@pytest.mark.parametrize("path", PICKLED, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_other_versions_saved_is_read(path: Path) -> None:
    """scikit-learn 1.2 to today's, joblib compressed in every way, pickles of each protocol."""
    record = read_record(read_saved(path))
    assert record.kind in {
        *("StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler", "Pipeline"),
        *("LabelBinarizer", "LabelEncoder", "OneHotEncoder"),
        *("MLPClassifier", "LogisticRegression"),
    }
    assert record.version.startswith("1.")


@pytest.mark.parametrize("protocol", [None, 2, 3, 4, 5])
def test_numbers_and_names_come_back_as_they_were(protocol: int | None) -> None:
    """A scaler that was fitted on named columns has an array of objects."""
    frame = pd.DataFrame(PIXELS, columns=[f"p{i}" for i in range(64)])
    scaler = StandardScaler().fit(frame)
    record = read_record(saved(scaler, protocol))
    np.testing.assert_array_equal(record.get("mean_"), scaler.mean_)
    assert record.get("feature_names_in_").tolist() == list(frame.columns)
    assert isinstance(record, Record)
    labels = np.array(["b", "a"], object)
    assert read_record(saved(LabelEncoder().fit(labels), protocol)).get("classes_")[0] == "a"


class Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.path}'",)


@pytest.mark.parametrize("protocol", [None, 2, 5])
@pytest.mark.parametrize("where", ["itself", "attribute", "object array", "list"])
def test_a_pickle_that_runs_a_command_is_refused_unrun(
    where: str, protocol: int | None, tmp_path: Path
) -> None:
    evil, scaler = Evil(tmp_path / "ran"), StandardScaler().fit(PIXELS)
    scaler.mean_ = {"object array": np.array([evil] * 64, object), "list": [evil]}.get(where, evil)
    with pytest.raises(BundleError, match=r"names (posix|nt)\.system, which no .*: refused"):
        read_record(saved(evil if where == "itself" else scaler, protocol))
    assert not (tmp_path / "ran").exists()


def test_a_call_of_a_name_that_is_allowed_makes_nothing() -> None:
    """The names are stand-ins: an estimator's class is never imported."""
    called = pickle.PROTO + b"\x04csklearn.pipeline\nPipeline\n(Vx\ntR."
    record = read_record(Saved("x", called))
    assert (record.kind, record.arguments) == ("Pipeline", ("x",))


@pytest.mark.parametrize("thing", [SVC(), PCA()], ids=["SVC", "PCA"])
def test_another_estimator_is_named_with_what_would_do(thing: Any) -> None:
    fitted = thing.fit(PIXELS, np.arange(50) % 2)
    name = type(thing).__name__
    with pytest.raises(UnusableInputError, match=f"has a {name}, which can't.*MLPClassifier"):
        read_record(saved(fitted))


@pytest.mark.parametrize(
    ("data", "error", "told"),
    [
        (b"", UnusableInputError, "is no joblib or pickle file"),
        (b"pixel_0,pixel_1\n", UnusableInputError, "is no joblib or pickle file"),
        (pickle.dumps([1, 2]), UnusableInputError, "holds a list, expected a fitted estimator"),
        (pickle.dumps(StandardScaler())[:-20], BundleError, "can't be read"),
        (b"\x80\x04cnumpy\ndtype\n(Vx\ntR.", BundleError, "dtype 'x': refused"),
        (
            b"\x80\x05\x96" + struct.pack("<Q", 1 << 50) + b"x.",
            BundleError,
            "has 1125899906842624 bytes in a file of 13",
        ),
        (b"\x80\x04ckeras.src.models\nSequential\n.", UnusableInputError, r"model\.save"),
    ],
)
def test_other_bytes_are_refused_in_one_line(data: bytes, error: Any, told: str) -> None:
    with pytest.raises(error, match=told) as raised:
        read_record(Saved("part.joblib", data))
    assert str(raised.value).startswith("part.joblib: ")


def test_an_array_can_not_claim_more_than_it_has() -> None:
    """`ndarray.__setstate__` would make such an array."""
    state = pickle.dumps(np.zeros(4), protocol=2)
    for old, new in ((b"K\x04\x85", b"K\x05\x85"), (b"K\x04\x85", b"J\xff\xff\xff\x7f\x85")):
        with pytest.raises(BundleError, match=r"with other contents: refused|can't be read"):
            read_record(Saved("x", state.replace(old, new)))
