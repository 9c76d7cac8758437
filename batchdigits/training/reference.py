"""What the bundle was made of looked like: counts that later inputs are compared with."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.archive.manifest import Classes
from batchdigits.archive.reference import Unseen, count_confidences
from batchdigits.images import PIXELS

LEVELS = 17

Probabilities = NDArray[np.float64] | NDArray[np.float32]


def measure_unseen(found: Probabilities, targets: NDArray[np.int64]) -> Unseen:
    """What predict makes of rows that the network was not fitted on.

    found    their probabilities (n, k), at the temperature
    targets  their true class numbers (n,)
    """
    # Rounding can carry a softmax a last bit above 1.
    best, confidence = found.argmax(axis=1), np.minimum(found.max(axis=1), 1.0)
    return Unseen(
        rows=len(targets),
        right=int((best == targets).sum()),
        predicted_counts=np.bincount(best, minlength=found.shape[1]),
        confidence_counts=count_confidences(confidence.astype(np.float32)),
        mean_confidence=float(confidence.mean(dtype=np.float64)),
    )


def build_reference(
    pixels: NDArray[np.float64],
    targets: NDArray[np.int64],
    to: Classes,
    unseen: Unseen | None = None,
) -> bytes:
    """The bytes of `reference.json` for pixels (n, 64) in 0..16 and class numbers (n,).

    One JSON object, keys sorted:

    - `rows`: n, the rows the model was trained on
    - `classes`: the k labels, in the order of the network's outputs
    - `class_counts`: k counts, rows of each class
    - `class_means`: k lists of 64 numbers, the mean image of each class, six decimals
    - `levels`: 0 to 16; a pixel is counted under the nearest, halves going to the even one
    - `pixel_counts`: 64 lists of 17 counts: how often the pixel had the level
    - `class_pixel_counts`: k of the same; they add up to `pixel_counts`
    - `unseen`: the fields of `Unseen`; left out where that is None
    """
    classes = len(to)
    counts = np.zeros((classes, PIXELS, LEVELS), np.int64)
    levels = np.rint(pixels).astype(np.int64)
    np.add.at(counts, (targets[:, None], np.arange(PIXELS), levels), 1)
    rows = np.bincount(targets, minlength=classes)
    sums = np.zeros((classes, PIXELS))
    np.add.at(sums, targets, pixels)
    means = sums / np.maximum(rows, 1)[:, None]
    document = {
        "rows": len(targets),
        "classes": list(to.values),
        "class_counts": rows.tolist(),
        "class_means": means.round(6).tolist(),
        "levels": list(range(LEVELS)),
        "pixel_counts": counts.sum(axis=0).tolist(),
        "class_pixel_counts": counts.tolist(),
        **({} if unseen is None else {"unseen": _unseen_facts(unseen)}),
    }
    text = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return f"{text}\n".encode()


def _unseen_facts(unseen: Unseen) -> dict[str, Any]:
    return {
        "rows": unseen.rows,
        "right": unseen.right,
        "predicted_counts": unseen.predicted_counts.tolist(),
        "confidence_counts": unseen.confidence_counts.tolist(),
        "mean_confidence": unseen.mean_confidence,
    }
