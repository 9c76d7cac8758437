"""The labels of a bundle and their type."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias, cast

from batchdigits.errors import BundleError

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

MAX_CLASSES = 1000

ClassType: TypeAlias = Literal["int64", "double", "bool", "string"]
ClassValue: TypeAlias = int | float | bool | str

_PYTHON_TYPES: dict[str, type] = {"int64": int, "double": float, "bool": bool, "string": str}
_KIND_TYPES: dict[str, ClassType] = {
    "i": "int64",
    "u": "int64",
    "f": "double",
    "b": "bool",
    "U": "string",
}


@dataclass(frozen=True, slots=True)
class Classes:
    """The distinct labels, two or more, in the order of the network's outputs, and their type."""

    type: ClassType
    values: tuple[ClassValue, ...]

    def __len__(self) -> int:
        return len(self.values)

    def arrow_type(self) -> pa.DataType:
        """Return the Arrow type of the `prediction` column."""
        import pyarrow as pa  # listing bundles must not pay for Arrow

        types = {"int64": pa.int64(), "double": pa.float64(), "bool": pa.bool_()}
        return types.get(self.type, pa.string())

    def array(self) -> pa.Array:
        """Return the k labels as an Arrow array: the label at a row's argmax is its prediction."""
        import pyarrow as pa  # as above

        # From buffers, as `pa.array` imports pandas where it is installed: half a second a run.
        buffers = [None, *map(pa.py_buffer, _arrow_buffers(self.type, self.values))]
        return pa.Array.from_buffers(self.arrow_type(), len(self.values), buffers)

    @classmethod
    def of(cls, values: NDArray[Any]) -> Self:
        """Take the `classes_` of a fitted binarizer: shape (k,), int, float, bool or text.

        Raises BundleError for another dtype or fewer than two values.
        """
        kind = values.dtype.kind
        if kind == "O" and all(isinstance(value, str) for value in values):
            kind = "U"
        if kind not in _KIND_TYPES:
            raise BundleError(
                f"labels of type {values.dtype} can't be kept in a bundle: "
                "use whole numbers, floats, booleans or text"
            )
        class_type, labels = _KIND_TYPES[kind], cast("list[Any]", values.tolist())
        problem = _find_problem(class_type, labels)
        if problem:
            raise BundleError(f"labels: {problem}")
        return cls(class_type, tuple(labels))

    @classmethod
    def parse(cls, value: Any) -> Self:
        """Parse the manifest's value of `classes`. Raises BundleError for anything else."""
        expected = '{"type": "int64", "double", "bool" or "string", "values": [two or more labels]}'
        if not isinstance(value, dict) or not isinstance(value.get("values"), list):
            raise wrong_fact("classes", value, expected)
        class_type, labels = value.get("type"), value["values"]
        if not isinstance(class_type, str) or class_type not in _PYTHON_TYPES:
            raise wrong_fact("classes.type", class_type, expected)
        problem = _find_problem(class_type, labels)
        if problem:
            raise BundleError(f"manifest.json: classes.values: {problem}")
        return cls(cast("ClassType", class_type), tuple(labels))


def _find_problem(class_type: str, labels: list[Any]) -> str:
    """Return why these labels can't be the classes of a bundle; empty if they can."""
    if not 2 <= len(labels) <= MAX_CLASSES:
        return f"there are {len(labels)}, expected 2 to {MAX_CLASSES} different ones"
    odd = [repr(label)[:40] for label in labels if not _is_label(class_type, label)]
    if odd:
        return f"{odd[0]} is among them, expected values of type {class_type}"
    return "" if len(set(labels)) == len(labels) else "a label is there twice"


def _is_label(class_type: str, value: Any) -> bool:
    if type(value) is not _PYTHON_TYPES[class_type]:
        return False
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, str):
        return not any("\ud800" <= letter <= "\udfff" for letter in value)
    return not isinstance(value, int) or -(2**63) <= value < 2**63


def _arrow_buffers(class_type: ClassType, values: tuple[Any, ...]) -> list[bytes]:
    """Lay the labels out in Arrow's columns: https://arrow.apache.org/docs/format/Columnar.html."""
    if class_type == "bool":
        bits = sum(1 << place for place, value in enumerate(values) if value)
        return [bits.to_bytes((len(values) + 7) // 8, "little")]
    if class_type == "string":
        texts = [value.encode() for value in values]
        ends = accumulate(map(len, texts), initial=0)
        return [struct.pack(f"<{len(texts) + 1}i", *ends), b"".join(texts)]
    code = "q" if class_type == "int64" else "d"
    return [struct.pack(f"<{len(values)}{code}", *values)]


def wrong_fact(key: str, got: Any, expected: str) -> BundleError:
    """Return the error for a wrong fact of the manifest."""
    shown = repr(got)
    shown = shown if len(shown) <= 80 else f"{shown[:80]}…"
    return BundleError(f"manifest.json: {key} is {shown}, expected {expected}")
