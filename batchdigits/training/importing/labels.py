"""The labels of a network's outputs, in their order, from whatever encoded them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.archive.classes import MAX_CLASSES, Classes
from batchdigits.errors import BundleError, UnusableInputError
from batchdigits.training.data import MAX_LABEL, is_int64
from batchdigits.training.importing.pickled import Record

Labels = NDArray[Any]


def read_labels(record: Record, name: str) -> Labels:
    """Return the labels of a LabelBinarizer, LabelEncoder or OneHotEncoder: one for each output.

    `name` begins messages. Raises UnusableInputError for another estimator, or one that gives
    several labels or leaves some out.
    """
    if record.kind == "OneHotEncoder":
        return as_labels(_categories(record, name), name)
    if record.kind not in ("LabelBinarizer", "LabelEncoder"):
        raise UnusableInputError(
            f"{name}: holds a {record.kind}, expected a LabelBinarizer, LabelEncoder or "
            "OneHotEncoder"
        )
    if str(record.get("y_type_", "")).startswith("multilabel"):
        raise UnusableInputError(
            f"{name}: was fitted on rows with several labels each; fit it on one label for each row"
        )
    return as_labels(fitted(record, "classes_", name), name)


def as_labels(values: Any, name: str) -> Labels:
    """Return the labels of outputs as `plain_labels`.

    Raises UnusableInputError for labels that a bundle can't keep: also doubled ones, or fewer than
    two.
    """
    if np.size(values) > MAX_CLASSES:
        raise UnusableInputError(
            f"{name}: there are {np.size(values)} labels, expected {MAX_CLASSES} at most"
        )
    labels = plain_labels(values, name)
    try:
        Classes.of(labels)
    except BundleError as error:
        raise UnusableInputError(f"{name}: {error}") from error
    return labels


def plain_labels(values: Any, name: str) -> Labels:
    """Return labels as an array (n,) of int64, float64, bool or text.

    Raises UnusableInputError for others, and for several types among them.
    """
    labels = np.asarray(values).ravel()
    if labels.dtype.kind == "O":
        items = labels.tolist()
        kinds = {type(item) for item in items}
        if len(kinds) != 1 or not kinds <= {str, int, float, bool}:
            raise UnusableInputError(
                f"{name}: has labels of type {', '.join(sorted(k.__name__ for k in kinds))}, "
                "expected text, whole numbers, floats or booleans alone"
            )
        if kinds == {str} and max(map(len, items)) > MAX_LABEL:
            raise UnusableInputError(
                f"{name}: has a label of {max(map(len, items))} characters, expected at most "
                f"{MAX_LABEL}"
            )
        labels = np.array(items)
    wanted = {"i": np.int64, "u": np.int64, "f": np.float64, "b": np.bool_, "U": np.str_}
    if labels.dtype.kind not in wanted:
        raise UnusableInputError(
            f"{name}: has labels of type {labels.dtype}, expected text, whole numbers, floats or "
            "booleans"
        )
    plain: Labels = labels.astype(wanted[labels.dtype.kind])
    return plain


def parse_labels(text: str) -> Labels:
    """Return the labels in `0,1,2`: whole numbers where all are, else text."""
    parts = [part.strip() for part in text.split(",")]
    values: Sequence[Any] = [int(p) for p in parts] if all(map(is_int64, parts)) else parts
    return as_labels(np.array(values), "--labels")


def numbers_of(labels: Labels, classes: Labels, name: str) -> NDArray[np.int64]:
    """Return the place of each row's label among the classes, int64 (n,); `name` is the data's.

    `7`, `7.0` and "7" are one label: what wrote the file need not keep the type. Raises
    UnusableInputError for a label that is not a class, or a class without a row.
    """
    places = {_spelled(label): place for place, label in enumerate(classes.tolist())}
    distinct, inverse = np.unique(labels, return_inverse=True)
    found = [places.get(_spelled(label), -1) for label in distinct.tolist()]
    unknown = [
        repr(label) for label, place in zip(distinct.tolist(), found, strict=True) if place < 0
    ]
    if unknown:
        raise UnusableInputError(
            f"{name}: has rows labelled {', '.join(unknown[:5])}, and the model knows "
            f"{shown(classes)}; give the labels that it was trained on"
        )
    absent = sorted(set(range(len(classes))) - set(found))
    if absent:
        raise UnusableInputError(
            f"{name}: has no row labelled {shown(classes[absent])}, so nothing proves which output "
            "that is; add labelled rows of each class"
        )
    numbers: NDArray[np.int64] = np.array(found, np.int64)[inverse]
    return numbers


def shown(labels: Labels) -> str:
    """Return labels as a message shows them: `0,1,2,…`."""
    texts = [str(label) for label in labels[:12].tolist()]
    return ",".join(texts) + (",…" if len(labels) > 12 else "")


def _spelled(label: Any) -> str:
    return str(int(label)) if isinstance(label, float) and label.is_integer() else str(label)


def _categories(record: Record, name: str) -> Any:
    categories = fitted(record, "categories_", name)
    if not isinstance(categories, list) or len(categories) != 1:
        raise UnusableInputError(f"{name}: encodes several columns, expected that of labels alone")
    if record.get("drop_idx_") is not None or record.get("_infrequent_enabled"):
        raise UnusableInputError(
            f"{name}: the OneHotEncoder leaves categories out (drop, min_frequency or "
            "max_categories); each class needs a column of its own"
        )
    return categories[0]


def fitted(record: Record, attribute: str, name: str) -> Any:
    """Return what a fit has set. Raises UnusableInputError if there was none."""
    value = record.get(attribute)
    if value is None:
        raise UnusableInputError(f"{name}: the {record.kind} is not fitted; save it after its fit")
    return value
