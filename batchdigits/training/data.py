"""Labelled rows: scikit-learn's digits, or a CSV or Parquet file with a label column."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from batchdigits.errors import UnusableInputError, UsageError
from batchdigits.files.inputs import check_content, expand_inputs
from batchdigits.files.names import InputFile
from batchdigits.rows.contract import Rows, Source
from batchdigits.rows.csv.values import MISSING
from batchdigits.rows.formats import find_format, open_source
from batchdigits.rows.options import ReadOptions
from batchdigits.rows.rejects import REASONS, Reject
from batchdigits.text import count_of, listing

_WHOLE_NUMBER = re.compile(r"0|-?[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Labelled:
    """Rows with their labels.

    pixels       float64 (n, 64), 0..16
    targets      int64 (n,): the number of each row's class, its place in `binarizer.classes_`
    binarizer    LabelBinarizer(neg_label=0, pos_label=1) fitted on all labels
    description  one line: what the data are
    digest       "sha256:…" of the file; of scikit-learn's digits that of the pixels as
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
        """k, how many classes there are."""
        return len(self.binarizer.classes_)


def load_tutorial_digits() -> Labelled:
    """The 1,797 digits that scikit-learn brings along: 13 people's handwriting, classes 0 to 9."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    digest = hashlib.sha256(pixels.astype("<f8").tobytes() + labels.astype("<i8").tobytes())
    return _labelled(
        pixels,
        labels,
        "scikit-learn's load_digits: the test part of UCI's Optical Recognition of Handwritten "
        "Digits, 8x8 images with pixels 0..16, written by 13 people",
        f"sha256:{digest.hexdigest()}",
        "sklearn.datasets.load_digits",
    )


def read_labelled(path: str, label: str, options: ReadOptions) -> Labelled:
    """The rows of a CSV or Parquet file and the labels in its column `label`.

    Labels are whole numbers, floats that are whole, booleans or text; a CSV's are text, unless
    every one is a plain whole number. Raises NoInputError, or UnusableInputError for a missing
    column, a row that predict would reject, a row without a label, or fewer than two classes.
    """
    found = expand_inputs([path])
    if found.several or found.inputs[0].path is None:
        raise UsageError(f"--data {path}: name one file of labelled rows")
    input_file = found.inputs[0]
    check_content(input_file)
    _check_label_column(input_file, label, options)
    opened = open_source(input_file, replace(options, keep=(label,)))
    try:
        pixels, labels = _read(opened.source, path)
    finally:
        opened.source.close()
    opened.verify_unchanged()
    values = _label_values(labels, label, path, is_text_file=find_format(input_file.kind).is_text)
    return _labelled(
        pixels, values, f"labelled rows of {path}, column {label}", opened.digest(), path
    )


def _labelled(
    pixels: NDArray[Any], labels: NDArray[Any], description: str, digest: str, source: str
) -> Labelled:
    from sklearn.preprocessing import LabelBinarizer

    binarizer = LabelBinarizer(neg_label=0, pos_label=1).fit(labels)
    if len(binarizer.classes_) < 2:
        only = binarizer.classes_.tolist()[0]
        raise UnusableInputError(f"{source}: every label is {only!r}, expected two classes or more")
    targets = np.searchsorted(binarizer.classes_, labels).astype(np.int64)
    return Labelled(pixels.astype(np.float64), targets, binarizer, description, digest, source)


def _check_label_column(input_file: InputFile, label: str, options: ReadOptions) -> None:
    """Refuse a file without the column, listing those it has, before a row is read."""
    source = open_source(input_file, replace(options, keep=None)).source
    names = source.schema.names
    source.close()
    if label not in names:
        raise UnusableInputError(
            f"{input_file.name}: no column {label!r} to learn from; the columns besides the pixels "
            "are "
            f"{listing(map(repr, names)) or 'none'}; name the labels' with --label"
        )


def _read(source: Source[Any], path: str) -> tuple[NDArray[np.float64], pa.ChunkedArray]:
    """All pixels and the label column; UnusableInputError if any row can't be scored."""
    pixels: list[NDArray[Any]] = []
    labels: list[pa.Array] = []
    rejects: list[_Numbered] = []
    count = 0
    for rows, numbered in _checked(source):
        count += len(numbered)
        rejects += numbered[: 1 - len(rejects)]
        pixels.append(rows.pixels)
        labels.append(rows.passthrough.column(0))
    if count:
        raise UnusableInputError(
            f"{path}: {count_of(count, 'row')} can't be learnt from, first {rejects[0].told()}; "
            f"correct or remove them (predict would reject them too){_hint(rejects[0].reject)}"
        )
    if not sum(map(len, pixels)):
        raise UnusableInputError(f"{path}: no rows, expected labelled ones")
    return np.concatenate(pixels).astype(np.float64), pa.chunked_array(labels)


def _hint(first: Reject) -> str:
    return ", or give their range with --scale" if first.reason == "out-of-range" else ""


@dataclass(frozen=True, slots=True)
class _Numbered:
    """A reject and the 1-based numbers of its row and line on the file."""

    reject: Reject
    row: int
    line: int | None

    def told(self) -> str:
        where = f"row {self.row}" if self.line is None else f"row {self.row} (line {self.line})"
        cell = "" if self.reject.column is None else f", {self.reject.column}={self.reject.value!r}"
        return f"{where}: {self.reject.reason}{cell} ({REASONS[self.reject.reason]})"


def _checked(source: Source[Any]) -> Iterator[tuple[Rows, list[_Numbered]]]:
    row, line = 1, source.first_line or 0
    for block in source.blocks():
        rows = source.check(block)
        yield (
            rows,
            [
                _Numbered(one, row + one.row, None if one.line is None else line + one.line)
                for one in rows.rejects
            ],
        )
        row += rows.rows
        line += rows.lines


def _label_values(
    labels: pa.ChunkedArray, label: str, path: str, *, is_text_file: bool
) -> NDArray[Any]:
    """Labels as a NumPy array of int64, float64, bool or text; UnusableInputError for others."""
    if pa.types.is_dictionary(labels.type):
        labels = labels.cast(labels.type.value_type)
    is_text = pa.types.is_string(labels.type) or pa.types.is_large_string(labels.type)
    _refuse_missing(labels, label, path)
    if is_text:
        texts = labels.to_pylist()
        _refuse_blank(texts, label, path, is_text_file=is_text_file)
        if is_text_file and all(map(_is_int64, texts)):
            return np.array([int(text) for text in texts], np.int64)
        return np.array(texts, dtype=str)
    if pa.types.is_boolean(labels.type):
        return np.array(labels.to_pylist(), dtype=bool)
    if pa.types.is_integer(labels.type):
        return _whole(labels, label, path)
    if pa.types.is_floating(labels.type):
        floats: NDArray[np.float64] = labels.cast(pa.float64()).to_numpy()
        odd = floats[~np.isfinite(floats) | (floats != np.round(floats))]
        if not len(odd):
            return floats
        raise UnusableInputError(
            f"{path}: column {label!r} holds {float(odd[0])!r}: labels are classes, expected whole "
            "numbers, booleans or text"
        )
    raise UnusableInputError(
        f"{path}: column {label!r} is {labels.type}, expected whole numbers, booleans or text"
    )


def _is_int64(text: str) -> bool:
    return _WHOLE_NUMBER.fullmatch(text) is not None and -(2**63) <= int(text) < 2**63


def _whole(labels: pa.ChunkedArray, label: str, path: str) -> NDArray[np.int64]:
    try:
        whole: NDArray[np.int64] = labels.cast(pa.int64()).to_numpy()
    except pa.ArrowInvalid as error:
        raise UnusableInputError(
            f"{path}: column {label!r} holds a number beyond 64 bits with a sign: {error}"
        ) from error
    return whole


def _refuse_missing(labels: pa.ChunkedArray, label: str, path: str) -> None:
    is_missing = pc.is_null(labels, nan_is_null=True).to_numpy()
    _refuse_unlabelled(np.flatnonzero(is_missing), label, path)


def _refuse_blank(texts: list[str], label: str, path: str, *, is_text_file: bool) -> None:
    """A CSV writes a missing label as it writes a missing pixel: such a class nobody meant."""
    missing = {text.decode() for text in MISSING} | {"nan"} if is_text_file else {""}
    rows = [i for i, text in enumerate(texts) if text.strip().lower() in missing]
    _refuse_unlabelled(np.array(rows, np.int64), label, path)


def _refuse_unlabelled(rows: NDArray[np.int64], label: str, path: str) -> None:
    if len(rows):
        raise UnusableInputError(
            f"{path}: rows without a label in column {label!r}: {len(rows)}, the first is row "
            f"{rows[0] + 1}; label or remove them"
        )
