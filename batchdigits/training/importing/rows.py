"""The labelled rows that decide: from a file, or from arrays in memory."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.errors import UnusableInputError, UsageError
from batchdigits.files.digest import digest_bytes
from batchdigits.images import PIXELS
from batchdigits.rows.memory import check_table, to_table
from batchdigits.rows.options import ReadOptions
from batchdigits.training.data import Labelled, label_rows, read_labelled
from batchdigits.training.importing.labels import Labels, numbers_of, plain_labels

DATA = "data"


def rows_in_memory(data: Any, label: str) -> Labelled:
    """The rows of a pair (pixels, labels), or of a labelled CSV or Parquet file at a path.

    pixels  an array (n, 64), (n, 8, 8) or (n, 8, 8, 1), a DataFrame or an Arrow table; 0..16,
            before any scaler
    labels  (n,), as they were before any encoder

    Raises UsageError for anything else, UnusableInputError for rows that predict would reject.
    """
    if isinstance(data, str | os.PathLike):
        return read_labelled([os.fspath(data)], label, ReadOptions())
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise UsageError("data: expected (pixels, labels), or the path of a labelled file")
    pixels, labels = _pixels(data[0]), np.asarray(data[1])
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or len(labels) != len(pixels):
        raise UsageError(
            f"data: has {len(pixels)} rows and labels of shape {labels.shape}, expected one label "
            "for each row, as they were before the label binarizer"
        )
    if not len(labels):
        raise UnusableInputError("data: no rows, expected labelled rows")
    labels = plain_labels(labels, DATA)
    digest = digest_bytes(pixels.astype("<f8").tobytes() + repr(labels.tolist()).encode())
    return label_rows(pixels, labels, "labelled rows from memory", digest, DATA)


def rows_of_classes(data: Labelled, classes: Labels) -> Labelled:
    """The same rows, with the sorted labels of the model as their classes.

    Raises UnusableInputError for a label that the model lacks, or a class without a row.
    """
    from sklearn.preprocessing import LabelBinarizer

    own = data.binarizer.classes_[data.targets]
    binarizer = LabelBinarizer(neg_label=0, pos_label=1).fit(classes)
    targets = numbers_of(own, binarizer.classes_, data.source)
    return replace(data, binarizer=binarizer, targets=targets)


def _pixels(rows: Any) -> NDArray[np.float64]:
    if isinstance(rows, np.ndarray) and rows.shape[1:] in ((8, 8), (8, 8, 1)):
        rows = rows.reshape(len(rows), PIXELS)
    _, batches = check_table(to_table(rows), ReadOptions(keep=()))
    parts = list(batches)
    start = 0
    for part in parts:
        if part.rejects:
            reject = part.rejects[0]
            raise UnusableInputError(
                f"data: row {start + reject.row} is {reject.reason} ({reject.column}="
                f"{reject.value}; rows count from 0); give the pixels 0..16 as they were before "
                "the scaler"
            )
        start += part.rows
    if not parts:
        return np.empty((0, PIXELS))
    return np.concatenate([part.pixels for part in parts]).astype(np.float64)
