"""Reading the joblib members of a bundle without letting them run anything.

A pickle is a program. This unpickler knows the few names that a fitted StandardScaler and a fitted
LabelBinarizer need, and refuses every other name before it is imported. joblib sends the pickles
inside object arrays through `find_class` only since 1.6.0; object arrays are refused here anyway.
"""

from __future__ import annotations

import importlib
import io
import math
import pickle
import re
import struct
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from batchdigits.errors import BundleError
from batchdigits.text import listing

_SCALER = ("sklearn.preprocessing._data", "StandardScaler")
_BINARIZER = ("sklearn.preprocessing._label", "LabelBinarizer")
WRAPPER = ("joblib.numpy_pickle", "NumpyArrayWrapper")

# NumPy writes "numpy._core" since 2.0, "numpy.core" before.
SCALARS = {("numpy._core.multiarray", "scalar"), ("numpy.core.multiarray", "scalar")}

_DTYPE_CODE = re.compile(r"b1|[iuf][1248]|U[1-9][0-9]{0,5}")
_WRAPPER_STATE = {"subclass", "shape", "order", "dtype", "allow_mmap"}
_ALIGNMENT = "numpy_array_alignment_bytes"


def load_scaler(data: bytes) -> Any:
    """Load the fitted StandardScaler in `scaler.joblib`. Raises BundleError for anything else."""
    return _load(data, "scaler.joblib", _SCALER)


def load_label_binarizer(data: bytes) -> Any:
    """Load the LabelBinarizer in `label_binarizer.joblib`. Raises BundleError for anything else."""
    return _load(data, "label_binarizer.joblib", _BINARIZER)


def _load(data: bytes, member: str, expected: tuple[str, str]) -> Any:
    unpickler = _make_unpickler(data, expected)
    try:
        with warnings.catch_warnings():
            # It may be of another scikit-learn. The golden rows judge that, not a warning.
            warnings.simplefilter("ignore")
            estimator = unpickler.load()
    except BundleError as error:
        raise BundleError(f"{member}: {error}") from error
    except PICKLE_ERRORS as error:
        raise BundleError(f"{member} can't be read ({type(error).__name__}: {error})") from error
    kind = type(estimator)
    if kind.__name__ != expected[1]:
        raise BundleError(f"{member} holds a {kind.__name__}, expected a {expected[1]}")
    odd = sorted(key for key, value in vars(estimator).items() if not _is_plain(value))
    if odd:
        raise BundleError(f"{member} has attributes other than numbers and text: {listing(odd)}")
    hiding = sorted(key for key in vars(estimator) if hasattr(kind, key))
    if hiding:
        raise BundleError(f"{member} has attributes that replace methods: {listing(hiding)}")
    return estimator


# Hostile or damaged bytes can make the unpickler raise nearly anything but SystemExit.
PICKLE_ERRORS = (
    *(pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, IndexError),
    *(AttributeError, ImportError, NotImplementedError, RecursionError, MemoryError),
    *(AssertionError, OverflowError, NameError, OSError, struct.error),
)


def unpickler_class() -> Any:
    """Return the unpickler that knows NumPy's arrays and numbers; subclasses add names.

    A subclass says in `known(module, name)` what stands for another name, and in
    `check_state(target, state)` whether an object may get a state. Both raise BundleError.
    """
    from joblib.numpy_pickle import NumpyArrayWrapper, NumpyUnpickler

    class AllowListUnpickler(NumpyUnpickler):  # type: ignore[misc]  # joblib has no type hints
        dispatch = NumpyUnpickler.dispatch.copy()
        objects = False  # whether arrays may hold objects

        def __init__(self, file: io.BytesIO, size: int) -> None:
            super().__init__("", file, ensure_native_byte_order=True)
            self.size = size

        def find_class(self, module: str, name: str) -> Any:
            key = (module, name)
            if key == WRAPPER:
                return NumpyArrayWrapper
            if key in SCALARS:
                return _make_scalar
            return _STAND_INS[key] if key in _STAND_INS else self.known(module, name)

        def load_build(self) -> None:
            state, target = self.stack[-1], self.stack[-2]
            if isinstance(target, NumpyArrayWrapper):
                _check_wrapper(state, self.size, objects=self.objects)
            elif isinstance(target, np.dtype):
                _check_dtype(target, state)
            else:
                self.check_state(target, state)
            super().load_build()

        dispatch[pickle.BUILD[0]] = load_build

        def load_bytearray8(self) -> None:
            # Python's own makes as many zeros as the pickle says before it reads one byte.
            (size,) = struct.unpack("<Q", self.read(8))
            if size > self.size:
                raise BundleError(f"has {size} bytes in a file of {self.size}: refused")
            self.append(bytearray(self.read(size)))

        dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8

    return AllowListUnpickler


def _make_unpickler(data: bytes, expected: tuple[str, str]) -> Any:
    """Make an unpickler of `data` that knows the class `expected` and NumPy arrays only."""

    class MemberUnpickler(unpickler_class()):  # type: ignore[misc]  # as above
        def known(self, module: str, name: str) -> Any:
            if (module, name) != expected:
                raise BundleError(
                    f"names {module}.{name}, which no scaler or binarizer needs: refused"
                )
            return getattr(importlib.import_module(module), name)

        def check_state(self, target: Any, state: Any) -> None:
            if type(target).__name__ != expected[1] or not isinstance(state, dict):
                raise BundleError(f"sets the state of a {type(target).__name__}: refused")

    return MemberUnpickler(io.BytesIO(data), len(data))


class _ArrayType:
    """A stand-in for `numpy.ndarray`, which the pickles name as a type and never call."""

    def __init__(self, *_: Any) -> None:
        raise BundleError("builds a NumPy array by hand: refused")


def make_dtype(code: Any, align: Any = False, copy: Any = True) -> np.dtype[Any]:
    """Do as `numpy.dtype` does, for plain numbers, booleans and text only."""
    if not isinstance(code, str) or not _DTYPE_CODE.fullmatch(code) or align or copy is not True:
        raise BundleError(f"has an array of dtype {str(code)[:40]!r}: refused")
    return np.dtype(code, copy=True)


def _make_scalar(dtype: Any, data: Any) -> Any:
    """Do as `numpy._core.multiarray.scalar` does, for plain dtypes only."""
    if not isinstance(dtype, np.dtype) or not isinstance(data, bytes):
        raise BundleError("has a NumPy scalar that is not a plain number: refused")
    return np.frombuffer(data, dtype, count=1)[0]


_STAND_INS: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): _ArrayType,
    ("numpy", "dtype"): make_dtype,
}


def _check_dtype(dtype: np.dtype[Any], state: Any) -> None:
    """Refuse a state that would change a plain dtype in more than its byte order.

    `numpy.dtype.__setstate__` does not check its argument: flags and fields that are set here would
    make NumPy take numbers for object pointers.
    """
    order = state[1] if isinstance(state, tuple) and len(state) == 8 else None
    plain = dtype.__reduce__()[2]
    if order not in ("<", ">", "|", "=") or state != (plain[0], order, *plain[2:]):
        raise BundleError("has an array dtype with a state of its own: refused")


def _check_wrapper(state: Any, size: int, *, objects: bool) -> None:
    """Refuse an array that is not plain, or is larger than the member that holds it."""
    if not isinstance(state, dict) or set(state) - {_ALIGNMENT} != _WRAPPER_STATE:
        raise BundleError("has an array header of another kind: refused")
    shape, dtype, alignment = state["shape"], state["dtype"], state.get(_ALIGNMENT)
    plain_shape = isinstance(shape, tuple) and all(type(n) is int and n >= 0 for n in shape)
    if not plain_shape or not isinstance(dtype, np.dtype) or dtype.hasobject > objects:
        raise BundleError("has an array of objects: refused")
    if math.prod(shape) * dtype.itemsize > size:
        raise BundleError(f"has an array of shape {shape}, more than its {size} bytes hold")
    if state["order"] not in ("C", "F") or (alignment is not None and type(alignment) is not int):
        raise BundleError("has an array header of another kind: refused")


def _is_plain(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return not value.dtype.hasobject
    return value is None or isinstance(value, bool | int | float | str | np.generic)
