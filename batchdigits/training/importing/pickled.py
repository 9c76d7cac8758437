"""Pickles of scikit-learn, read as data: no class of theirs is made, no function of theirs runs.

A pickle is a program. This unpickler knows the exact names that fitted scalers, encoders and
classifiers need, puts a `Record` in the place of each, and refuses every other name before it is
imported. So scikit-learn need not be of the version that wrote the file.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from batchdigits.engines.keras.pickles import (
    PICKLE_ERRORS,
    WRAPPER,
    make_dtype,
    unpickler_class,
)
from batchdigits.errors import BundleError, UnusableInputError
from batchdigits.training.importing.saved import Saved, decompress

_ESTIMATORS = {
    *(
        (f"sklearn.preprocessing._{module}", name)
        for module, name in (
            *(("data", "StandardScaler"), ("data", "MinMaxScaler"), ("data", "MaxAbsScaler")),
            *(("data", "RobustScaler"), ("encoders", "OneHotEncoder")),
            *(("label", "LabelBinarizer"), ("label", "LabelEncoder")),
        )
    ),
    ("sklearn.linear_model._logistic", "LogisticRegression"),
    ("sklearn.neural_network._multilayer_perceptron", "MLPClassifier"),
    ("sklearn.pipeline", "Pipeline"),
}
# Fitted estimators carry these along; nothing reads them.
_BYSTANDERS = {
    ("sklearn.neural_network._stochastic_optimizers", "AdamOptimizer"),
    ("sklearn.neural_network._stochastic_optimizers", "SGDOptimizer"),
    ("numpy.random._pickle", "__randomstate_ctor"),
    ("numpy.random._pickle", "__bit_generator_ctor"),
    ("numpy.random._mt19937", "MT19937"),
    ("numpy.random.bit_generator", "SeedSequence"),
    ("numpy.random.bit_generator", "__pyx_unpickle_SeedSequence"),
    *(("numpy", name) for name in ("float64", "float32", "int64", "int32", "int8")),
}
_TAKEN = (
    "import takes MLPClassifier and LogisticRegression, alone or in a Pipeline behind "
    "StandardScaler, MinMaxScaler, MaxAbsScaler or RobustScaler, and LabelBinarizer, LabelEncoder "
    "or OneHotEncoder for the labels"
)


class Record:
    """One object of a pickle: `kind` is the name of its class, `state` has its attributes."""

    kind = ""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments
        self.state: Any = {}

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def get(self, name: str, default: Any = None) -> Any:
        """Return an attribute, or the default where it is absent."""
        return self.state.get(name, default)

    @property
    def version(self) -> str:
        """Return the version of scikit-learn that wrote it; empty if that is unknown."""
        return str(self.get("_sklearn_version", ""))[:20]


def read_record(saved: Saved) -> Record:
    """Read the estimator in a joblib or pickle file.

    Raises UnusableInputError for an estimator that can't be rewritten or that is not fitted,
    BundleError for a pickle that names anything else, or that is damaged.
    """
    data = decompress(saved)
    if not data.startswith((b"\x80", b"(", b"c")):
        raise UnusableInputError(
            f"{saved.name}: is no joblib or pickle file; save the fitted estimator with joblib.dump"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            record = _inert_unpickler()(io.BytesIO(data), len(data)).load()
    except (BundleError, UnusableInputError) as error:
        raise type(error)(f"{saved.name}: {error}") from error
    except PICKLE_ERRORS as error:
        raise BundleError(
            f"{saved.name}: can't be read ({type(error).__name__}: {error})"
        ) from error
    if not isinstance(record, Record) or not record.kind or not isinstance(record.state, dict):
        raise UnusableInputError(
            f"{saved.name}: holds a {getattr(record, 'kind', '') or type(record).__name__}, "
            f"expected a fitted estimator; {_TAKEN}"
        )
    return record


@cache
def _inert_unpickler() -> Callable[[io.BytesIO, int], Any]:
    base = unpickler_class()
    from joblib.numpy_pickle import NumpyArrayWrapper

    class Wrapper(NumpyArrayWrapper):  # type: ignore[misc]  # joblib has no type hints
        def read(self, unpickler: Any, *rest: Any) -> Any:
            if not self.dtype.hasobject:
                return super().read(unpickler, *rest)
            # Such an array is a pickle of its own. joblib's reader of it would not check states.
            inner = InertUnpickler(unpickler.file_handle, unpickler.size)
            return inner.load()

    class InertUnpickler(base):  # type: ignore[misc, valid-type]  # made when joblib is there
        objects = True

        def find_class(self, module: str, name: str) -> Any:
            key = (module, name)
            if key == WRAPPER:
                return Wrapper
            return _OURS[key] if key in _OURS else super().find_class(module, name)

        def known(self, module: str, name: str) -> Any:
            raise _refusal(module, name)

        def check_state(self, target: Any, state: Any) -> None:
            if isinstance(target, np.ndarray):
                _check_array(state)
            elif not isinstance(target, Record):
                raise BundleError(f"sets the state of a {type(target).__name__}: refused")

    return InertUnpickler


def _refusal(module: str, name: str) -> BundleError | UnusableInputError:
    if module.startswith("sklearn."):
        return UnusableInputError(f"has a {name}, which can't be rewritten as layers; {_TAKEN}")
    if module.partition(".")[0] in ("keras", "tf_keras", "tensorflow"):
        return UnusableInputError(
            f"is a pickle of {module}.{name}; save a network with model.save('model.keras')"
        )
    return BundleError(f"names {module}.{name}, which no scaler, encoder or model needs: refused")


def _make_array(subtype: Any, shape: Any, code: Any) -> np.ndarray[Any, Any]:
    """Do as `numpy._core.multiarray._reconstruct`: an empty array, whose state follows."""
    if shape != (0,) or code not in (b"b", "b"):
        raise BundleError("builds a NumPy array by hand: refused")
    del subtype
    return np.empty(0, np.int8)


def _array_from_buffer(buffer: Any, dtype: Any, shape: Any, order: Any) -> Any:
    """Do as `numpy._core.numeric._frombuffer`, for plain dtypes only."""
    if not isinstance(buffer, bytes | bytearray) or not isinstance(dtype, np.dtype):
        raise BundleError("has an array that is not made of bytes: refused")
    return np.frombuffer(buffer, dtype).reshape(shape, order=order)


def _check_array(state: Any) -> None:
    """Refuse a state of an array with more or less than its shape needs."""
    if not isinstance(state, tuple) or len(state) != 5:
        raise BundleError("has an array with a state of its own: refused")
    version, shape, dtype, is_fortran, content = state
    plain = isinstance(shape, tuple) and all(type(n) is int and n >= 0 for n in shape)
    if not plain or version != 1 or not isinstance(dtype, np.dtype) or type(is_fortran) is not bool:
        raise BundleError("has an array with a state of its own: refused")
    count = math.prod(shape)
    if dtype.hasobject:
        fits = isinstance(content, list) and dtype == np.dtype(object) and len(content) == count
    else:
        fits = isinstance(content, bytes) and len(content) == count * dtype.itemsize
    if not fits:
        raise BundleError(f"has an array of shape {shape} with other contents: refused")


def _make_dtype(code: Any, align: Any = False, copy: Any = True) -> np.dtype[Any]:
    """Do as `numpy.dtype`, for plain dtypes and for objects, which are Records or plain values."""
    if code in ("O", "O8") and not align and copy is True:
        return np.dtype(object)
    return make_dtype(code, align, copy)


def _bytes_of(text: Any, encoding: Any) -> bytes:
    """Do as `_codecs.encode`, which protocol 2 calls for bytes."""
    if not isinstance(text, str) or encoding != "latin1":
        raise BundleError("encodes something other than bytes: refused")
    return text.encode("latin1")


def _record_class(name: str, kind: str = "") -> type[Record]:
    return type(name, (Record,), {"kind": kind})


_OURS: dict[tuple[str, str], Any] = {
    ("_codecs", "encode"): _bytes_of,
    ("numpy", "dtype"): _make_dtype,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _make_array for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _array_from_buffer for core in ("core", "_core")},
    **{key: _record_class(key[1], key[1]) for key in _ESTIMATORS},
    **{key: _record_class(key[1]) for key in _BYSTANDERS},
}
