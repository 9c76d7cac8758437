"""Labelled rows: scikit-learn's digits, or a CSV or Parquet file with a column of labels."""

from __future__ import annotations

import hashlib
import re
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from batchdigits.archive.classes import MAX_CLASSES
from batchdigits.errors import UnusableInputError
from batchdigits.evaluation.labels import check_utf8, find_file
from batchdigits.evaluation.options import LabelledOptions
from batchdigits.packing.card import TUTORIAL_DIGITS
from batchdigits.rows.contract import Source
from batchdigits.rows.csv.values import MISSING
from batchdigits.rows.formats import find_format, open_source
from batchdigits.rows.options import ReadOptions
from batchdigits.rows.rejects import REASONS, Reject
from batchdigits.text import count_of

MAX_LABEL = 200
"""Characters of a label at most; a class has a name, not a page."""

_WHOLE_NUMBER = re.compile(r"0|-?[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Labelled:
    """Rows with their labels.

    pixels       float64 (n, 64), 0..16
    targets      int64 (n,): the number of each row's class, its place in `binarizer.classes_`
    binarizer    LabelBinarizer(neg_label=0, pos_label=1) fitted on all labels
    description  the data in one line
    digest       "sha256:…" of the file; for scikit-learn's digits that of the pixels as
                 little-endian float64 followed by the labels as little-endian int64
    source       the file's path as given, or "sklearn.datasets.load_digits"
    """

    pixels: NDArray[np.float64]
    targets: NDArray[np.int64]
    binarizer: Any
    description: str
    digest: str
    source: str

    @property
    def classes(self) -> int:
        """k, the number of classes."""
        return len(self.binarizer.classes_)

    def as_facts(self) -> dict[str, Any]:
        """The data as plain JSON values, for the manifest."""
        names = ("description", "digest", "source")
        return {"rows": len(self.targets), **{name: getattr(self, name) for name in names}}

    def part(self, rows: NDArray[np.int64]) -> Labelled:
        """Some of the rows."""
        return replace(self, pixels=self.pixels[rows], targets=self.targets[rows])


def load_tutorial_digits() -> Labelled:
    """The 1,797 digits that come with scikit-learn: 13 people's handwriting, classes 0 to 9."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    digest = hashlib.sha256(pixels.astype("<f8").tobytes() + labels.astype("<i8").tobytes())
    return label_rows(
        pixels,
        labels,
        "scikit-learn's load_digits: the test part of UCI's Optical Recognition of Handwritten "
        "Digits, 8x8 images with pixels 0..16, written by 13 people",
        f"sha256:{digest.hexdigest()}",
        TUTORIAL_DIGITS,
    )


def read_labelled(path: str, label: str, options: ReadOptions) -> Labelled:
    """The rows of a CSV or Parquet file and the labels in its column `label`.

    Labels are whole numbers, floats that are whole, booleans or text; a CSV's are text, unless all
    are plain whole numbers. Raises NoInputError, or UnusableInputError for a missing column, a row
    that predict would reject, a row without a label, or fewer than two classes.
    """
    input_file = find_file(path)
    wanted = LabelledOptions(**{**asdict(options), "keep": ()}, label=label)
    with closing(open_source(input_file, wanted)) as source:
        pixels, labels = _read(source, path)
    source.verify_unchanged()
    values = _label_values(labels, label, path, is_text_file=find_format(input_file.kind).is_text)
    return label_rows(
        pixels, values, f"labelled rows of {path}, column {label}", source.digest(), path
    )


def label_rows(
    pixels: NDArray[Any], labels: NDArray[Any], description: str, digest: str, source: str
) -> Labelled:
    """Rows (n, 64) with a label each, (n,): int64, float64, bool or text.

    Raises UnusableInputError if every label is the same.
    """
    from sklearn.preprocessing import LabelBinarizer

    binarizer = LabelBinarizer(neg_label=0, pos_label=1).fit(labels)
    if len(binarizer.classes_) < 2:
        only = binarizer.classes_.tolist()[0]
        raise UnusableInputError(f"{source}: every label is {only!r}, expected two classes or more")
    if len(binarizer.classes_) > MAX_CLASSES:
        raise UnusableInputError(
            f"{source}: has {len(binarizer.classes_)} different labels, expected at most "
            f"{MAX_CLASSES}; name the column of labels with --label"
        )
    if (pixels == pixels[0]).all():
        raise UnusableInputError(
            f"{source}: all {len(pixels)} rows have the same pixels, expected a digit in each; "
            "check the file and its pixel columns"
        )
    targets = np.searchsorted(binarizer.classes_, labels).astype(np.int64)
    return Labelled(pixels.astype(np.float64), targets, binarizer, description, digest, source)


def _read(source: Source[Any], path: str) -> tuple[NDArray[np.float64], pa.ChunkedArray]:
    """All pixels and the column of labels; UnusableInputError if any row can't be scored."""
    pixels: list[NDArray[Any]] = []
    labels: list[pa.Array] = []
    row, line, rejected, first = 1, source.first_line or 0, 0, ""
    for block in source.blocks():
        rows = source.check(block)
        if rows.rejects and not rejected:
            first = _described(rows.rejects[0], row, line)
        rejected += len(rows.rejects)
        pixels.append(rows.pixels)
        labels.append(rows.passthrough.column(0))
        row += rows.rows
        line += rows.lines
    if rejected:
        raise UnusableInputError(
            f"{path}: {count_of(rejected, 'row')} can't be learnt from, first {first}"
        )
    if not sum(map(len, pixels)):
        raise UnusableInputError(f"{path}: no rows, expected labelled rows")
    return np.concatenate(pixels).astype(np.float64), pa.chunked_array(labels)


def _described(reject: Reject, first_row: int, first_line: int) -> str:
    """A reject with its place in the file, and what to do."""
    where = f"row {first_row + reject.row}"
    if reject.line is not None:
        where += f" (line {first_line + reject.line})"
    cell = "" if reject.column is None else f", {reject.column}={reject.value!r}"
    scale = ", or give their range with --scale" if reject.reason == "out-of-range" else ""
    return (
        f"{where}: {reject.reason}{cell} ({REASONS[reject.reason]}); correct or remove them "
        f"(predict would reject them too){scale}"
    )


def _label_values(
    labels: pa.ChunkedArray, label: str, path: str, *, is_text_file: bool
) -> NDArray[Any]:
    """Labels as a NumPy array of int64, float64, bool or text; UnusableInputError for others."""
    if pa.types.is_dictionary(labels.type):
        labels = labels.cast(labels.type.value_type)
    kind = labels.type
    check_utf8(labels, f"{path}: column {label!r}")
    is_missing = pc.is_null(labels, nan_is_null=True).to_numpy()
    _refuse_unlabelled(np.flatnonzero(is_missing), label, path)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        texts = labels.to_pylist()
        _refuse_blank(texts, label, path, is_text_file=is_text_file)
        longest = max(texts, key=len)
        if len(longest) > MAX_LABEL:  # NumPy makes every text as wide as the longest
            raise UnusableInputError(
                f"{path}: column {label!r} has a label of {len(longest)} characters, expected at "
                f"most {MAX_LABEL}; name the column of labels with --label"
            )
        if is_text_file and all(map(is_int64, texts)):
            return np.array([int(text) for text in texts], np.int64)
        return np.array(texts, dtype=str)
    if pa.types.is_boolean(kind):
        return np.array(labels.to_pylist(), dtype=bool)
    if pa.types.is_integer(kind):
        return _whole(labels, label, path)
    if pa.types.is_floating(kind):
        floats: NDArray[np.float64] = labels.cast(pa.float64()).to_numpy()
        odd = floats[~np.isfinite(floats) | (floats != np.round(floats))]
        if not len(odd):
            return floats
        raise UnusableInputError(
            f"{path}: column {label!r} holds {float(odd[0])!r}: labels are classes, expected whole "
            "numbers, booleans or text"
        )
    raise UnusableInputError(
        f"{path}: column {label!r} is {kind}, expected whole numbers, booleans or text"
    )


def is_int64(text: str) -> bool:
    """Return whether a text is a plain whole number of 64 bits, such as `7`."""
    return _WHOLE_NUMBER.fullmatch(text) is not None and -(2**63) <= int(text) < 2**63


def _whole(labels: pa.ChunkedArray, label: str, path: str) -> NDArray[np.int64]:
    try:
        whole: NDArray[np.int64] = labels.cast(pa.int64()).to_numpy()
    except pa.ArrowInvalid as error:
        raise UnusableInputError(
            f"{path}: column {label!r} holds a number beyond signed 64 bits: {error}"
        ) from error
    return whole


def _refuse_blank(texts: list[str], label: str, path: str, *, is_text_file: bool) -> None:
    """Refuse texts that stand for a missing label, as a CSV writes a missing pixel."""
    missing = {text.decode() for text in MISSING} | {"nan"} if is_text_file else {""}
    rows = [row for row, text in enumerate(texts) if text.strip().lower() in missing]
    _refuse_unlabelled(np.array(rows, np.int64), label, path)


def _refuse_unlabelled(rows: NDArray[np.int64], label: str, path: str) -> None:
    if len(rows):
        raise UnusableInputError(
            f"{path}: rows without a label in column {label!r}: {len(rows)}, the first is row "
            f"{rows[0] + 1}; label or remove them"
        )
