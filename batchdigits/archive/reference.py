"""What the training data of a bundle looked like: its `reference.json`, parsed once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.archive.bundle_file import BundleFile
from batchdigits.archive.container import MAX_FILE_BYTES
from batchdigits.archive.manifest import FEATURES, Classes
from batchdigits.archive.strict_json import parse_json
from batchdigits.errors import BundleError

REFERENCE = "reference.json"
PIXELS = len(FEATURES["names"])
LEVELS = 17
CONFIDENCE_BINS = 8

_EXPONENT_OF_1 = 127
"""Of a float32, as it is stored."""

_FIX = "rebuild the bundle with train"


@dataclass(frozen=True, slots=True)
class Unseen:
    """What predict makes of rows that the network was not fitted on: held-out ones, or folds.

    rows               how many they are, 1 or more; `right` of them are predicted right
    predicted_counts   int64 (k,): rows by predicted class
    confidence_counts  int64 (8,): rows by confidence, as `count_confidences` bins it
    mean_confidence    over these rows, 0..1
    """

    rows: int
    right: int
    predicted_counts: NDArray[np.int64]
    confidence_counts: NDArray[np.int64]
    mean_confidence: float


@dataclass(frozen=True, slots=True)
class Reference:
    """Counts and means of the k classes that the model was trained on.

    rows                how many rows it was trained on
    class_counts        int64 (k,): rows of each class, in the order of the network's outputs
    class_means         float64 (k, 64): the mean image of each class, pixels 0..16; zeros for a
                        class without a row
    pixel_counts        int64 (64, 17): how often each pixel had each level 0..16, rounded
    class_pixel_counts  int64 (k, 64, 17): the same for each class
    unseen              of rows that it was not trained on; None in bundles of older versions
    """

    rows: int
    class_counts: NDArray[np.int64]
    class_means: NDArray[np.float64]
    pixel_counts: NDArray[np.int64]
    class_pixel_counts: NDArray[np.int64]
    unseen: Unseen | None = None

    @property
    def darkest(self) -> int:
        """The highest level, 0..16, that any pixel of the training data had."""
        return int(np.flatnonzero(self.pixel_counts.sum(axis=0)).max(initial=0))


def count_confidences(confidence: NDArray[np.float32]) -> NDArray[np.int64]:
    """How many of some confidences (n,) in 0..1 are in each of 8 bins.

    The doubt, 1 - confidence, halves from bin to bin: above 0 up to 0.5, above that up to 0.75,
    0.875, … and above 127/128. That is its binary exponent, which float32 has in its bits 23 to 30.
    """
    exponents = (np.float32(1.0) - confidence).view(np.uint32) >> np.uint32(23)
    counts = np.bincount(exponents, minlength=_EXPONENT_OF_1 + 1)[: _EXPONENT_OF_1 + 1]
    bins = counts[_EXPONENT_OF_1 - CONFIDENCE_BINS : _EXPONENT_OF_1][::-1].copy()
    bins[0] += counts[_EXPONENT_OF_1]
    bins[-1] += counts[: _EXPONENT_OF_1 - CONFIDENCE_BINS].sum()
    return bins


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
        unseen=_unseen(document["unseen"], k) if "unseen" in document else None,
    )
    _check_sums(reference)
    return reference


def _unseen(value: Any, k: int) -> Unseen:
    match value:
        case {"rows": int(rows), "right": int(right), "mean_confidence": float(mean)} if (
            type(rows) is type(right) is int
        ):
            found = Unseen(
                rows=rows,
                right=right,
                predicted_counts=_counts(value, "predicted_counts", (k,)),
                confidence_counts=_counts(value, "confidence_counts", (CONFIDENCE_BINS,)),
                mean_confidence=mean,
            )
        case _:
            raise BundleError(
                f"{REFERENCE}: unseen lacks rows, right or mean_confidence, or has others than "
                f"numbers there: {_FIX}"
            )
    sums = (found.predicted_counts.sum(), found.confidence_counts.sum())
    if not (sums == (rows, rows) and 0 <= right <= rows > 0 and 0 <= mean <= 1):
        raise BundleError(f"{REFERENCE}: the counts of unseen do not add up: {_FIX}")
    return found


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
        reference.class_counts.sum() == reference.rows > 0
        and (per_class == reference.class_counts[:, np.newaxis]).all()
        and (reference.class_pixel_counts.sum(axis=0) == reference.pixel_counts).all()
    )
    if not sound:
        raise BundleError(f"{REFERENCE}: its counts do not add up: {_FIX}")
