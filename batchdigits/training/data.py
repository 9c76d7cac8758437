"""Labelled rows: scikit-learn's digits, or CSV and Parquet files with a column of labels."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from batchdigits.archive.classes import MAX_CLASSES
from batchdigits.errors import UnusableInputError
from batchdigits.evaluation.labels import check_utf8, find_files
from batchdigits.evaluation.options import CHANCE, CHOSEN, LabelledOptions
from batchdigits.files.digest import digest_bytes
from batchdigits.files.names import InputFile
from batchdigits.packing.card import TUTORIAL_DIGITS
from batchdigits.rows.contract import Source
from batchdigits.rows.csv.values import MISSING
from batchdigits.rows.formats import find_format, open_source
from batchdigits.rows.options import ReadOptions
from batchdigits.rows.rejects import REASONS, Reject
from batchdigits.text import count_of, listing

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
    digest       "sha256:…" of the file; of several files that of their digests, a line each;
                 for scikit-learn's digits that of the pixels as
                 little-endian float64 followed by the labels as little-endian int64
    source       the files' paths as given, or "sklearn.datasets.load_digits"
    parts        of several files: the path, digest and number of rows of each
    chosen       rows that a review chose, by why it did: `doubtful` or `sample`
    """

    pixels: NDArray[np.float64]
    targets: NDArray[np.int64]
    binarizer: Any
    description: str
    digest: str
    source: str
    parts: tuple[tuple[str, str, int], ...] = ()
    chosen: Mapping[str, int] = field(default_factory=dict)

    @property
    def classes(self) -> int:
        """k, the number of classes."""
        return len(self.binarizer.classes_)

    @property
    def are_digits(self) -> bool:
        """Return whether the classes are 0 to 9, so that the number of a class is its digit."""
        classes: list[object] = self.binarizer.classes_.tolist()
        return classes == list(range(10)) or classes == list("0123456789")

    def as_facts(self) -> dict[str, Any]:
        """The data as plain JSON values, for the manifest."""
        names = ("description", "digest", "source")
        facts = {"rows": len(self.targets), **{name: getattr(self, name) for name in names}}
        if self.parts:
            facts["files"] = [
                {"path": path, "digest": digest, "rows": rows} for path, digest, rows in self.parts
            ]
        if self.chosen:
            facts["chosen"] = dict(self.chosen)
        return facts

    def part(self, rows: NDArray[np.int64]) -> Labelled:
        """Some of the rows."""
        return replace(self, pixels=self.pixels[rows], targets=self.targets[rows])


def load_tutorial_digits() -> Labelled:
    """The 1,797 digits that come with scikit-learn: 13 people's handwriting, classes 0 to 9."""
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    return label_rows(
        pixels,
        labels,
        "scikit-learn's load_digits: the test part of UCI's Optical Recognition of Handwritten "
        "Digits, 8x8 images with pixels 0..16, written by 13 people",
        digest_bytes(pixels.astype("<f8").tobytes() + labels.astype("<i8").tobytes()),
        TUTORIAL_DIGITS,
    )


def read_labelled(names: Sequence[str], label: str, options: ReadOptions) -> Labelled:
    """The rows of CSV and Parquet files, folders and globs, with their labels in column `label`.

    Labels are whole numbers, floats that are whole, booleans or text; a CSV's are text, unless all
    are plain whole numbers. Raises UsageError for a file that is named twice or for standard input,
    NoInputError, or UnusableInputError for a missing column, a row that predict would reject, a row
    without a label, labels of several kinds, or fewer than two classes.
    """
    files = [_read_file(file, label, options) for file in find_files(names)]
    where = listing(file.name for file in files)
    pixels = np.concatenate([file.pixels for file in files])
    labels = _joined([file.labels for file in files], label, where)
    digest = files[0].digest
    if len(files) > 1:
        digest = digest_bytes("\n".join(file.digest for file in files).encode())
    data = label_rows(pixels, labels, f"labelled rows of {where}, column {label}", digest, where)
    chosen = sum((file.chosen for file in files), start=Counter[str]())
    parts = tuple((file.name, file.digest, len(file.labels)) for file in files)
    return replace(data, parts=parts if len(parts) > 1 else (), chosen=dict(chosen))


@dataclass(frozen=True, slots=True)
class _File:
    """One file of labelled rows; `chosen` counts those that a review chose, by why it did."""

    name: str
    digest: str
    pixels: NDArray[np.float64]
    labels: NDArray[Any]
    chosen: Counter[str]


@dataclass(frozen=True, slots=True)
class _FileOptions(LabelledOptions):
    """The column of labels, and the one that says why a review chose a row, where there is one."""

    def choose(self, names: Sequence[str], where: str) -> Sequence[str]:
        wanted = LabelledOptions.choose(self, names, where)
        is_of_review = {CHOSEN, CHANCE} <= set(names)
        return [*wanted, CHOSEN] if is_of_review and CHOSEN not in wanted else wanted


def _read_file(input_file: InputFile, label: str, options: ReadOptions) -> _File:
    name = input_file.name
    wanted = _FileOptions(**{**asdict(options), "keep": ()}, label=label)
    with closing(open_source(input_file, wanted)) as source:
        pixels, columns = _read(source, name)
    source.verify_unchanged()
    is_text_file = find_format(input_file.kind).is_text
    values = _label_values(columns[0], label, name, is_text_file=is_text_file)
    chosen = Counter(columns[1].to_pylist() if len(columns) > 1 else [])
    return _File(name, source.digest(), pixels, values, chosen)


def _joined(parts: Sequence[NDArray[Any]], label: str, where: str) -> NDArray[Any]:
    """Labels of several files as one array: 3, 3.0 and "3" are the same label."""
    kinds = {part.dtype.kind for part in parts}
    if len(kinds) == 1:
        return np.concatenate(parts)
    if "b" not in kinds:
        with suppress(ValueError):  # a text that is no whole number
            return np.concatenate([part.astype(np.int64) for part in parts])
    raise UnusableInputError(
        f"{where}: the labels in column {label!r} are of different kinds, numbers in one file and "
        "text or booleans in another; write them alike"
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


def _read(source: Source[Any], path: str) -> tuple[NDArray[np.float64], list[pa.ChunkedArray]]:
    """All pixels and the other columns; UnusableInputError if any row can't be scored."""
    pixels: list[NDArray[Any]] = []
    columns: list[list[pa.Array]] = [[] for _ in source.schema]
    row, line, rejected, first = 1, source.first_line or 0, 0, ""
    for block in source.blocks():
        rows = source.check(block)
        if rows.rejects and not rejected:
            first = _described(rows.rejects[0], row, line)
        rejected += len(rows.rejects)
        pixels.append(rows.pixels)
        for parts, column in zip(columns, rows.passthrough.columns, strict=True):
            parts.append(column)
        row += rows.rows
        line += rows.lines
    if rejected:
        raise UnusableInputError(
            f"{path}: {count_of(rejected, 'row')} can't be learnt from, first {first}"
        )
    if not sum(map(len, pixels)):
        raise UnusableInputError(f"{path}: no rows, expected labelled rows")
    return np.concatenate(pixels).astype(np.float64), [pa.chunked_array(parts) for parts in columns]


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
        odd = floats[~(np.abs(floats) < 2.0**63) | (floats != np.round(floats))]
        if not len(odd):
            return floats
        raise UnusableInputError(
            f"{path}: column {label!r} holds {float(odd[0])!r}: labels are classes, expected whole "
            "numbers of at most 64 bits, booleans or text"
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
