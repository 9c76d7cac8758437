from __future__ import annotations

import io
import os
import pickle
import random
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import LabelBinarizer, MinMaxScaler, StandardScaler

from batchdigits.engines.keras.pickles import load_label_binarizer, load_scaler
from batchdigits.errors import BundleError

PIXELS = np.random.default_rng(0).integers(0, 17, (100, 64)).astype(float)


def dumped(thing: Any, **options: Any) -> bytes:
    sink = io.BytesIO()
    joblib.dump(thing, sink, **options)
    return sink.getvalue()


@pytest.fixture
def scaler() -> StandardScaler:
    return StandardScaler().fit(PIXELS)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.uint8, ">f8"])
@pytest.mark.parametrize("protocol", [4, 5])
def test_a_scaler_comes_back_as_it_was(dtype: Any, protocol: int) -> None:
    """Whatever it was fitted on, and by whichever pickle protocol it was saved."""
    scaler = StandardScaler().fit(PIXELS.astype(dtype))
    found = load_scaler(dumped(scaler, protocol=protocol))
    assert type(found) is StandardScaler
    np.testing.assert_array_equal(found.transform(PIXELS), scaler.transform(PIXELS))


@pytest.mark.parametrize(
    "labels",
    [list(range(10)), ["eins", "null", "zwei"], ["a", "ä"], [False, True], [1.0, 2.0], [-1, 5]],
)
def test_a_binarizer_comes_back_as_it_was(labels: list[Any]) -> None:
    """With labels of any type that it takes."""
    binarizer = LabelBinarizer().fit(labels)
    found = load_label_binarizer(dumped(binarizer))
    assert type(found) is LabelBinarizer
    assert found.classes_.tolist() == binarizer.classes_.tolist() == labels
    assert found.classes_.dtype == binarizer.classes_.dtype


class Evil:
    """Runs a command when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.path}'",)


def put_itself(scaler: StandardScaler, evil: Evil) -> Any:
    return evil


def put_in_attribute(scaler: StandardScaler, evil: Evil) -> Any:
    scaler.mean_ = evil
    return scaler


def put_in_object_array(scaler: StandardScaler, evil: Evil) -> Any:
    scaler.mean_ = np.array([evil] * 64, object)
    return scaler


def put_beside(scaler: StandardScaler, evil: Evil) -> Any:
    return [scaler, evil]


@pytest.mark.parametrize("put", [put_itself, put_in_attribute, put_in_object_array, put_beside])
def test_a_pickle_that_runs_code_is_refused_unrun(
    put: Any, scaler: StandardScaler, tmp_path: Path
) -> None:
    """The allow-list stops it before the name is even imported."""
    target = tmp_path / "ran"
    data = dumped(put(scaler, Evil(target)))
    for load in (load_scaler, load_label_binarizer):
        with pytest.raises(BundleError, match="refused"):
            load(data)
    assert not target.exists()
    joblib.load(io.BytesIO(data))
    assert target.exists(), "the pickle was harmless, the test proves nothing"


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("dtype", [object, [("a", object)]], ids=["objects", "records"])
def test_joblib_asks_for_every_name_in_an_object_array(
    protocol: int, dtype: Any, tmp_path: Path
) -> None:
    """A canary for joblib: before 1.6.0 it read object arrays with a free unpickler of its own.

    Ours refuses object arrays anyway. Should this fail with a new joblib, that is the only defence
    left: raise `OLDEST` no further before it is looked into.
    """
    asked = []

    class Asking(joblib.numpy_pickle.NumpyUnpickler):
        def find_class(self, module: str, name: str) -> Any:
            asked.append(name)
            if name == "system":
                raise BundleError("asked")
            return super().find_class(module, name)

    target = tmp_path / "ran"
    evil = Evil(target) if dtype is object else (Evil(target),)
    data = dumped(np.array([evil], dtype), protocol=protocol)
    with pytest.raises(BundleError, match="asked"):
        Asking("", io.BytesIO(data), ensure_native_byte_order=True).load()
    assert "system" in asked
    assert not target.exists()


class Calls:
    """Pickles as a call of `function` with `arguments`, with `state` set on the result."""

    def __init__(self, function: Any, arguments: tuple[Any, ...], state: Any = None) -> None:
        self.value = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.value

    def __repr__(self) -> str:
        function, *rest = self.value
        return f"{function.__name__} {rest}"  # no address: a test's name is the same everywhere


@pytest.mark.parametrize(
    "hidden",
    [
        Calls(eval, ("1",)),
        Calls(getattr, (1, "real")),
        Calls(np.ndarray, ((10**12,),)),
        Calls(np.dtype, ("O", False, True)),
        Calls(np.dtype, ("V8", False, True)),
        Calls(np.dtype, ([("a", "O")], False, True)),
        Calls(np.dtype, ("f8", False, True), (3, "<", None, None, None, -1, -1, 63)),
        Calls(np.dtype, ("f8", False, True), (3, "<", None, ("a",), {"a": (1, 0)}, -1, -1, 0)),
        Calls(np.dtype, ("U3", False, True), (3, "<", None, None, None, 2**30, 4, 8)),
        Calls(joblib.load, ("/etc/passwd",)),
        Calls(io.FileIO, ("/etc/passwd",)),
        StandardScaler,
        np.float64,
    ],
    ids=lambda hidden: repr(hidden)[:60],
)
def test_whatever_no_scaler_needs_is_refused(hidden: Any, scaler: StandardScaler) -> None:
    """Functions, dtypes of objects or with a state of their own, arrays built by hand, classes."""
    scaler.mean_ = hidden
    with pytest.raises(BundleError):
        load_scaler(dumped(scaler))


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ({"shape": (10**9,)}, "more than its"),
        ({"shape": (2**62, 8)}, "more than its"),
        ({"shape": (-1,)}, "refused"),
        ({"shape": "64"}, "refused"),
        ({"dtype": np.dtype("O")}, "refused"),
        ({"dtype": "f8"}, "refused"),
        ({"order": "X"}, "refused"),
        ({"numpy_array_alignment_bytes": "16"}, "refused"),
        ({"filename": "/etc/passwd"}, "refused"),
    ],
)
def test_an_array_header_that_lies_is_refused(state: dict[str, Any], told: str) -> None:
    """Before memory is taken for it."""
    wrapper = joblib.numpy_pickle.NumpyArrayWrapper(np.ndarray, (8,), "C", np.dtype("f8"), True, 16)
    vars(wrapper).update(state)
    with pytest.raises(BundleError, match=told):
        load_scaler(pickle.dumps(wrapper))


def test_an_array_by_file_name_is_refused() -> None:
    """joblib's oldest format names a file beside the pickle."""
    old = joblib.numpy_pickle_compat.NDArrayWrapper("/etc/passwd", np.ndarray)
    with pytest.raises(BundleError, match="NDArrayWrapper, which no scaler"):
        load_scaler(pickle.dumps(old))


def test_a_compressed_pickle_is_refused(scaler: StandardScaler) -> None:
    """Train writes none, and none can be a bomb."""
    with pytest.raises(BundleError, match="can't be read"):
        load_scaler(dumped(scaler, compress=3))


def test_another_estimator_is_refused(scaler: StandardScaler) -> None:
    """Also one of the two in the other's place."""
    with pytest.raises(BundleError, match="MinMaxScaler, which no scaler or binarizer needs"):
        load_scaler(dumped(MinMaxScaler().fit(PIXELS)))
    with pytest.raises(BundleError, match=r"label_binarizer\.joblib: names .*StandardScaler"):
        load_label_binarizer(dumped(scaler))
    with pytest.raises(BundleError, match="holds a int"):
        load_scaler(dumped(3))


def test_a_scaler_fitted_on_named_columns_is_refused() -> None:
    """It keeps its names in an object array; train fits on plain arrays."""
    scaler = StandardScaler().fit(pd.DataFrame(PIXELS).rename(columns=str))
    with pytest.raises(BundleError, match="dtype 'O8': refused"):
        load_scaler(dumped(scaler))


def test_an_attribute_that_is_no_plain_value_is_refused(scaler: StandardScaler) -> None:
    """Nothing but numbers, text and arrays of them is ever kept in the two."""
    scaler.mean_ = [1.0, 2.0]
    with pytest.raises(BundleError, match="other than numbers and text: mean_"):
        load_scaler(dumped(scaler))


def test_damaged_bytes_raise_nothing_but_bundle_errors(scaler: StandardScaler) -> None:
    """A thousand random damages: a scaler or a refusal, never another exception."""
    data, chance = dumped(scaler), random.Random(0)  # noqa: S311  # damage, not secrets
    refused = 0
    for _ in range(1000):
        damaged = bytearray(data)
        for _ in range(chance.choice([1, 3])):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        try:
            load_scaler(bytes(damaged[: chance.choice([None, chance.randrange(len(data))])]))
        except BundleError:
            refused += 1
    assert refused > 300
