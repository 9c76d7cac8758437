"""Labelled rows whose predictions are written in their pixels, and bundles that read them there."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from batchdigits.archive.classes import Classes
from batchdigits.evaluation.compare import BundleComparison, compare_bundles
from batchdigits.evaluation.evaluator import Evaluator
from batchdigits.evaluation.labels import LabelledRows, find_file, open_labelled
from batchdigits.evaluation.options import LabelledOptions
from batchdigits.rows.options import Machine

OLD = Classes("int64", (0, 1, 2))


class PixelEngine:
    """An engine that reads its answer off the pixels: `pixel` holds the class, the next its ink.

    The probability of that class is ink / 16, the others share the rest. Ink 0 gives no number.
    """

    name = "onnx"

    def __init__(self, classes: int, pixel: int) -> None:
        self.classes = classes
        self.pixel = pixel

    def probabilities(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        sure = pixels[:, self.pixel + 1].astype(np.float32) / 16
        rest = (1 - sure) / (self.classes - 1)
        probabilities = np.repeat(rest[:, np.newaxis], self.classes, axis=1)
        probabilities[np.arange(len(pixels)), pixels[:, self.pixel].astype(int)] = sure
        probabilities[sure == 0] = np.nan
        return probabilities.astype(np.float32)

    def most_probable(self, pixels: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        probabilities = self.probabilities(pixels)
        best = probabilities.argmax(axis=1)
        return best, probabilities[np.arange(len(best)), best]


def old(classes: Classes = OLD, **options: Any) -> Evaluator:
    """An evaluator of the bundle that reads pixels 0 and 1."""
    return Evaluator(PixelEngine(len(classes), 0), classes, **options)


def new(classes: Classes = OLD, **options: Any) -> Evaluator:
    """An evaluator of the bundle that reads pixels 2 and 3."""
    return Evaluator(PixelEngine(len(classes), 2), classes, **options)


def write(path: Path, rows: list[tuple[int, int, int, int]], **columns: Any) -> Path:
    """Rows of (old's class, its ink, new's class, its ink) and other columns."""
    pixels = np.zeros((len(rows), 64), np.uint8)
    pixels[:, :4] = rows
    table = {f"pixel_{i}": pa.array(column) for i, column in enumerate(pixels.T)}
    pq.write_table(pa.table({**columns, **table}), path)
    return path


def opened(path: Path, **options: Any) -> AbstractContextManager[LabelledRows]:
    """The rows in a file, opened with these options of reading and `batch_rows`."""
    machine = Machine(1, options.pop("batch_rows", 32_768))
    return open_labelled(find_file(str(path)), LabelledOptions(**options), machine)


def compared(path: Path, label: str | None = None, **options: Any) -> BundleComparison:
    """Old and new bundle on the rows in a file."""
    keep_flips = options.pop("keep_flips", 20)
    with opened(path, label=label, **options) as rows:
        return compare_bundles(rows, old(), new(), keep_flips=keep_flips)
