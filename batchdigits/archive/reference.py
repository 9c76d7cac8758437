"""`reference.json`: counts of the rows that a bundle was trained on, written and read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.archive.bundle_file import BundleFile
from batchdigits.archive.classes import Classes
from batchdigits.archive.container import MAX_FILE_BYTES
from batchdigits.archive.strict_json import parse_json
from batchdigits.errors import BundleError, naming, unsound_bundle
from batchdigits.images import LEVELS, PIXELS
from batchdigits.text import listing

REFERENCE = "reference.json"
CONFIDENCE_BINS = 8
MOST_ROWS = 1 << 40
"""More rows than any training has; the sums of such counts still fit in int64."""

_EXPONENT_OF_1 = 127
"""The exponent of 1.0 as float32 stores it."""

Probabilities = NDArray[np.float64] | NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Unseen:
    """The predictions for rows that the network was not fitted on: held-out rows, or folds.

    rows               number of these rows, 1 or more; `right` of them are predicted right
    predicted_counts   int64 (k,): rows by predicted class
    confidence_counts  int64 (8,): rows by confidence, as `count_confidences` bins it
    mean_confidence    over these rows, 0..1
    """

    rows: int
    right: int
    predicted_counts: NDArray[np.int64]
    confidence_counts: NDArray[np.int64]
    mean_confidence: float

    @classmethod
    def measure(cls, probabilities: Probabilities, targets: NDArray[np.int64]) -> Unseen:
        """Count rows by their probabilities (n, k), at the temperature, and true classes (n,)."""
        # Rounding can carry a softmax a last bit above 1.
        best = probabilities.argmax(axis=1)
        confidence = np.minimum(probabilities.max(axis=1), 1.0)
        return cls(
            rows=len(targets),
            right=int((best == targets).sum()),
            predicted_counts=np.bincount(best, minlength=probabilities.shape[1]),
            confidence_counts=count_confidences(confidence.astype(np.float32)),
            mean_confidence=float(confidence.mean(dtype=np.float64)),
        )

    @classmethod
    def from_facts(cls, value: Any, k: int) -> Unseen:
        """The rows that `reference.json` describes, for k classes; BundleError if damaged."""
        facts = value if isinstance(value, dict) else {}
        rows, right, mean = map(facts.get, ("rows", "right", "mean_confidence"))
        if not (type(rows) is type(right) is int and type(mean) is float):
            raise BundleError(
                f"{REFERENCE}: unseen lacks rows, right or mean_confidence, or they are not numbers"
            )
        unseen = cls(
            rows=rows,
            right=right,
            predicted_counts=_counts(facts, "predicted_counts", (k,)),
            confidence_counts=_counts(facts, "confidence_counts", (CONFIDENCE_BINS,)),
            mean_confidence=mean,
        )
        sums = (unseen.predicted_counts.sum(), unseen.confidence_counts.sum())
        if not (sums == (rows, rows) and 0 <= right <= rows > 0 and 0 <= mean <= 1):
            raise BundleError(f"{REFERENCE}: the counts of unseen do not add up")
        return unseen


@dataclass(frozen=True, slots=True)
class Reference:
    """Counts and means of the rows that a model was trained on, by its k classes.

    rows                number of rows
    class_counts        int64 (k,): rows of each class, in the order of the network's outputs
    class_means         float64 (k, 64): the mean image of each class, pixels 0..16, six decimals;
                        zeros for a class without a row
    pixel_counts        int64 (64, 17): how often each pixel had each level 0..16; a pixel counts
                        as the nearest level, halves as the even one
    class_pixel_counts  int64 (k, 64, 17): the same counts for each class
    unseen              counts of rows that the model was not trained on; None in older bundles
    """

    rows: int
    class_counts: NDArray[np.int64]
    class_means: NDArray[np.float64]
    pixel_counts: NDArray[np.int64]
    class_pixel_counts: NDArray[np.int64]
    unseen: Unseen | None = None

    @classmethod
    def measure(
        cls,
        pixels: NDArray[np.float64],
        targets: NDArray[np.int64],
        k: int,
        unseen: Unseen | None = None,
    ) -> Reference:
        """Count pixels (n, 64) in 0..16 of rows whose class numbers, below k, are `targets`."""
        counts = np.zeros((k, PIXELS, LEVELS), np.int64)
        np.add.at(counts, (targets[:, None], np.arange(PIXELS), np.rint(pixels).astype(int)), 1)
        rows = np.bincount(targets, minlength=k)
        sums = np.zeros((k, PIXELS))
        np.add.at(sums, targets, pixels)
        means = sums / np.maximum(rows, 1)[:, None]
        return cls(len(targets), rows, means.round(6), counts.sum(axis=0), counts, unseen)

    @classmethod
    def from_json(cls, text: bytes, classes: Classes) -> Reference:
        """Parse the bytes of `reference.json`, for a bundle with these classes.

        Keys that this version does not know are dropped. Raises BundleError for another document,
        other classes, or counts that don't add up.
        """
        try:
            return cls._parse(parse_json(text, REFERENCE, MAX_FILE_BYTES), classes)
        except BundleError as error:
            raise unsound_bundle(str(error)) from error

    @classmethod
    def _parse(cls, document: Any, classes: Classes) -> Reference:
        if not isinstance(document, dict):
            raise BundleError(f"{REFERENCE} holds no object")
        k = len(classes)
        if _value(document, "classes") != list(classes.values):
            raise BundleError(f"{REFERENCE}: its classes are not those of manifest.json")
        if _value(document, "levels") != list(range(LEVELS)):
            raise BundleError(f"{REFERENCE}: its levels are not 0 to {LEVELS - 1}")
        rows = _value(document, "rows")
        reference = cls(
            rows=rows if type(rows) is int else -1,
            class_counts=_counts(document, "class_counts", (k,)),
            class_means=_means(document, (k, PIXELS)),
            pixel_counts=_counts(document, "pixel_counts", (PIXELS, LEVELS)),
            class_pixel_counts=_counts(document, "class_pixel_counts", (k, PIXELS, LEVELS)),
            unseen=Unseen.from_facts(document["unseen"], k) if "unseen" in document else None,
        )
        _check_sums(reference)
        return reference

    def to_json(self, classes: Classes) -> bytes:
        """The bytes of `reference.json`: one JSON object, keys sorted.

        `classes` are the labels and `levels` the numbers 0 to 16; the other keys are the
        attributes. `unseen` is left out where it is None.
        """
        document = asdict(self) | {"classes": classes.values, "levels": list(range(LEVELS))}
        if self.unseen is None:
            del document["unseen"]
        text = json.dumps(
            document,
            default=np.ndarray.tolist,
            sort_keys=True,
            ensure_ascii=False,
            separators=(",", ":"),
        )
        return f"{text}\n".encode()

    @property
    def darkest(self) -> int:
        """The highest level, 0..16, that any pixel of the training data had."""
        return int(np.flatnonzero(self.pixel_counts.sum(axis=0)).max(initial=0))


def count_confidences(confidence: NDArray[np.float32]) -> NDArray[np.int64]:
    """Count confidences (n,) in 0..1 in 8 bins, int64 (8,).

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
    """Parse the reference of a checked bundle. Raises BundleError, naming the file, if damaged."""
    with naming(bundle.path):
        return Reference.from_json(bundle.members[REFERENCE], bundle.manifest.classes)


def _value(document: Mapping[str, Any], key: str) -> Any:
    if key not in document:
        raise BundleError(f"{REFERENCE} lacks {key}")
    return document[key]


def _counts(document: Mapping[str, Any], key: str, shape: tuple[int, ...]) -> NDArray[np.int64]:
    counts = _numbers(document, key, shape, {"int"})
    if counts.min(initial=0) < 0:
        raise BundleError(f"{REFERENCE}: {key} holds a negative count")
    if counts.max(initial=0) > MOST_ROWS:
        raise BundleError(f"{REFERENCE}: {key} holds a count above {MOST_ROWS}")
    return counts.astype(np.int64)


def _means(document: Mapping[str, Any], shape: tuple[int, ...]) -> NDArray[np.float64]:
    means = _numbers(document, "class_means", shape, {"int", "float"}).astype(np.float64)
    if not ((means >= 0) & (means <= LEVELS - 1)).all():  # negated: a NaN is in no range
        raise BundleError(f"{REFERENCE}: class_means holds a value out of 0..16")
    return means


def _numbers(
    document: Mapping[str, Any], key: str, shape: tuple[int, ...], kinds: set[str]
) -> NDArray[np.object_]:
    value = _value(document, key)
    # As objects first: NumPy would copy every text of a list as wide as its longest.
    values = np.array(value, object)
    if values.shape != shape:
        raise _wrong_shape(key, f"of shape {values.shape}", shape)
    others = {kind.__name__ for kind in set(map(type, values.ravel().tolist()))} - kinds
    if others:
        raise _wrong_shape(key, f"made of {listing(sorted(others))}", shape)
    return values


def _wrong_shape(key: str, got: str, shape: tuple[int, ...]) -> BundleError:
    return BundleError(f"{REFERENCE}: {key} is {got}, expected numbers of shape {shape}")


def _check_sums(reference: Reference) -> None:
    per_class = reference.class_pixel_counts.sum(axis=2)
    sound = (
        reference.class_counts.sum() == reference.rows > 0
        and (per_class == reference.class_counts[:, np.newaxis]).all()
        and (reference.class_pixel_counts.sum(axis=0) == reference.pixel_counts).all()
    )
    if not sound:
        raise BundleError(f"{REFERENCE}: its counts do not add up")
