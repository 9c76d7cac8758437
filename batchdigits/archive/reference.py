"""What the training data of a bundle looked like: its `reference.json`, parsed once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.archive.bundle import BundleFile
from batchdigits.archive.container import MAX_FILE_BYTES
from batchdigits.archive.manifest import FEATURES, Classes
from batchdigits.archive.strict_json import parse_json
from batchdigits.errors import BundleError

REFERENCE = "reference.json"
PIXELS = len(FEATURES["names"])
LEVELS = 17

_FIX = "rebuild the bundle with train"


@dataclass(frozen=True, slots=True)
class Reference:
    """Counts and means of the k classes that the model was trained on.

    rows                how many rows it was trained on
    class_counts        int64 (k,): rows of each class, in the order of the network's outputs
    class_means         float64 (k, 64): the mean image of each class, pixels 0..16; zeros for a
                        class without a row
    pixel_counts        int64 (64, 17): how often each pixel had each level 0..16, rounded
    class_pixel_counts  int64 (k, 64, 17): the same for each class
    """

    rows: int
    class_counts: NDArray[np.int64]
    class_means: NDArray[np.float64]
    pixel_counts: NDArray[np.int64]
    class_pixel_counts: NDArray[np.int64]

    @property
    def darkest(self) -> int:
        """The highest level, 0..16, that any pixel of the training data had."""
        return int(np.flatnonzero(self.pixel_counts.sum(axis=0)).max(initial=0))


def read_reference(bundle: BundleFile) -> Reference:
    """The reference of a checked bundle. Raises BundleError, naming the file, if it is damaged."""
    try:
        return parse_reference(bundle.members[REFERENCE], bundle.manifest.classes)
    except BundleError as error:
        raise BundleError(f"{bundle.path}: {error}") from error


def parse_reference(text: bytes, classes: Classes) -> Reference:
    """The reference from the bytes of `reference.json`, for a bundle with these classes.

    Keys that this version does not know are dropped. Raises BundleError for what is no such
    document, has other classes, or has counts that don't add up.
    """
    document = _load(text)
    k = len(classes)
    if _value(document, "classes") != list(classes.values):
        raise BundleError(f"{REFERENCE}: its classes are not those of manifest.json: {_FIX}")
    if _value(document, "levels") != list(range(LEVELS)):
        raise BundleError(f"{REFERENCE}: its levels are not 0 to {LEVELS - 1}: {_FIX}")
    rows = _value(document, "rows")
    reference = Reference(
        rows=rows if type(rows) is int else -1,
        class_counts=_counts(document, "class_counts", (k,)),
        class_means=_means(document, (k, PIXELS)),
        pixel_counts=_counts(document, "pixel_counts", (PIXELS, LEVELS)),
        class_pixel_counts=_counts(document, "class_pixel_counts", (k, PIXELS, LEVELS)),
    )
    _check_sums(reference)
    return reference


def _load(text: bytes) -> Mapping[str, Any]:
    try:
        document = parse_json(text, REFERENCE, MAX_FILE_BYTES)
    except BundleError as error:
        raise BundleError(f"{error}: {_FIX}") from error
    if not isinstance(document, dict):
        raise BundleError(f"{REFERENCE} holds no object: {_FIX}")
    return document


def _value(document: Mapping[str, Any], key: str) -> Any:
    if key not in document:
        raise BundleError(f"{REFERENCE} lacks {key}: {_FIX}")
    return document[key]


def _counts(document: Mapping[str, Any], key: str, shape: tuple[int, ...]) -> NDArray[np.int64]:
    counts = _numbers(document, key, shape, "i")
    if counts.min(initial=0) < 0:
        raise BundleError(f"{REFERENCE}: {key} holds a negative count: {_FIX}")
    return counts.astype(np.int64)


def _means(document: Mapping[str, Any], shape: tuple[int, ...]) -> NDArray[np.float64]:
    means = _numbers(document, "class_means", shape, "if").astype(np.float64)
    if not ((means >= 0) & (means <= LEVELS - 1)).all():  # negated: a NaN is in no range
        raise BundleError(f"{REFERENCE}: class_means holds a value out of 0..16: {_FIX}")
    return means


def _numbers(
    document: Mapping[str, Any], key: str, shape: tuple[int, ...], kinds: str
) -> NDArray[Any]:
    value = _value(document, key)
    try:
        numbers = np.array(value)
    except ValueError as error:  # lists of unequal lengths
        raise _wrong_shape(key, "unequal lists", shape) from error
    if numbers.shape != shape or numbers.dtype.kind not in kinds:
        raise _wrong_shape(key, f"{numbers.dtype} {numbers.shape}", shape)
    return numbers


def _wrong_shape(key: str, got: str, shape: tuple[int, ...]) -> BundleError:
    return BundleError(f"{REFERENCE}: {key} is {got}, expected numbers of shape {shape}: {_FIX}")


def _check_sums(reference: Reference) -> None:
    per_class = reference.class_pixel_counts.sum(axis=2)
    sound = (
        reference.class_counts.sum() == reference.rows
        and (per_class == reference.class_counts[:, np.newaxis]).all()
        and (reference.class_pixel_counts.sum(axis=0) == reference.pixel_counts).all()
    )
    if not sound:
        raise BundleError(f"{REFERENCE}: its counts do not add up: {_FIX}")
