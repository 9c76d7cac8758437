"""The judge of a sample of rows, by what a bundle says about digits: it counts the evidence."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.archive.reference import Reference
from batchdigits.archive.thresholds import Thresholds
from batchdigits.images import DARKEST, PIXELS, SIDE
from batchdigits.monitoring.divergence import compare_share
from batchdigits.monitoring.evidence import MANY_ODD, Evidence
from batchdigits.monitoring.looks import LOOKS, TURNED_SHARE, Look, corrected_rows
from batchdigits.monitoring.sample import RowSample

FEW_ROWS = 256
MANY_ROWS = 1_024
"""The rows of a sample that are judged first; and if a count comes near its share."""

ODD_SHARE = 0.06
"""The share of odd rows that is usual: the most that digits of other writers have, if they are
prepared like the training data. Those of the same writers have 0.01."""

FAINT = 0.32
"""The contrast of a faint row, as a share of the training data's darkest pixel. Of digits scaled to
0.4 of their ink 96 % are read right, to 0.3 88 %, to 0.2 28 %."""

HEAVY = 2.2
"""The ink of a bold row, by the mean ink of the training data. If the strokes of a scan are six of
its 32 pixels wider, 2 % of the digits have more, and 88 % are read right; if ink spreads to all
eight neighbours of a pixel, 75 % have more, and 63 % are read right."""

EMPTY = 1 / 12
"""The ink of an empty row, as a share of the mean ink of the training data."""

SIMILAR = 0.5
"""The least correlation of a faint digit with a class mean. Specks of dust have less."""

SMOOTH = 0.2
"""The least correlation of neighbouring pixels in a digit (Moran's I)."""

_USUAL_CORRELATION = 0.58
"""The correlation with a class mean from which a row is usual, for bundles without centroids."""

_BLOCK_ROWS = 1_024
"""The rows that are measured at a time; for more an engine would prepare for a long input."""

Measure = Callable[[Any], NDArray[np.float32]]
"""A function that gives the strangeness (n,) of pixels (n, 64)."""

Sample = NDArray[np.uint8]


class Judge:
    """Counts the evidence in a sample, by what a bundle says about digits.

    measure  gives the strangeness of rows; None if the engine or the bundle can't. Then the
             distance of a row is 1 - r, with r its correlation with the nearest class mean

    `darkest` is the darkest pixel of the training data, `odd_share` the usual share of odd rows.
    """

    def __init__(
        self, reference: Reference, thresholds: Thresholds, measure: Measure | None
    ) -> None:
        self._thresholds = thresholds
        means = reference.class_means
        self._means = _standardized(means[means.max(axis=1) > means.min(axis=1)])
        self.darkest = reference.darkest
        false_alarm = thresholds.facts.get("false_alarm")
        self.odd_share = max(ODD_SHARE, false_alarm if type(false_alarm) is float else 0.0)
        self._faint = FAINT * reference.darkest
        levels = reference.pixel_counts.sum(axis=0) @ np.arange(DARKEST + 1)
        self._empty = EMPTY * float(levels) / reference.rows
        self._heavy = HEAVY * float(levels) / reference.rows
        limit = thresholds.strange_above
        self._looks: Collection[Look] = LOOKS
        if measure is None or limit is None:
            measure, limit = self._distance_from_means, 1 - _USUAL_CORRELATION
            # A class mean is too blurred to tell half a pixel from a whole one.
            self._looks = [look for look in LOOKS if look.share <= TURNED_SHARE]
        self._measure: Measure = measure
        self._usual = limit

    def judge(self, sample: RowSample) -> Evidence:
        """Judge 256 rows of a sample; if a count comes near its share, 1,024."""
        evidence = self._judge(sample.chosen(FEW_ROWS))
        if len(sample) > FEW_ROWS and evidence.is_near_proof:
            return self._judge(sample.chosen(MANY_ROWS))
        return evidence

    def doubt(self, evidence: Evidence) -> str | None:
        """Say that too many rows are odd, beyond chance; None if they are not."""
        odd = compare_share(evidence.odd, evidence.inked, self.odd_share)
        if odd.beyond_chance <= MANY_ODD:
            return None
        return (
            f"{evidence.odd:,} of {evidence.inked:,} sampled rows with ink are odd: further from "
            "the training data than digits are, or with less or more ink"
        )

    def _judge(self, rows: Sample) -> Evidence:
        ink, darkest = rows.sum(axis=1, dtype=np.int64), rows.max(axis=1, initial=0)
        contrast = darkest - rows.min(axis=1, initial=DARKEST)
        is_faint = (contrast <= self._faint) & (contrast > 0)
        is_faint[is_faint] = self._correlation(rows[is_faint]) >= SIMILAR
        is_empty = (ink <= self._empty) & ~is_faint
        is_flat = ~is_empty & (contrast == 0)
        drawn = rows[~(is_empty | is_faint | is_flat)]
        distances = self._distances(drawn)
        breaks_bounds = self._breaks_bounds(ink, darkest) & ~is_empty
        is_odd = breaks_bounds | is_faint | is_flat
        is_odd[~(is_empty | is_faint | is_flat)] |= distances > self._usual
        return Evidence(
            rows=len(rows),
            empty=int(is_empty.sum()),
            faint=int(is_faint.sum()),
            flat=int(is_flat.sum()),
            heavy=int((ink > self._heavy)[~(is_empty | is_faint | is_flat)].sum()),
            rough=int((_smoothness(drawn) < SMOOTH).sum()),
            odd=int(is_odd.sum()),
            looks=self._count_looks(drawn, distances),
        )

    def _breaks_bounds(
        self, ink: NDArray[np.int64], darkest: NDArray[np.uint8]
    ) -> NDArray[np.bool_]:
        limits = self._thresholds
        breaks = np.zeros(len(ink), np.bool_)
        if limits.least_ink is not None:
            breaks |= ink < limits.least_ink
        if limits.most_ink is not None:
            breaks |= ink > limits.most_ink
        if limits.least_darkest is not None:
            breaks |= darkest < limits.least_darkest
        return breaks

    def _count_looks(self, drawn: Sample, distances: NDArray[np.float32]) -> dict[str, int]:
        """Count the rows by look, if enough rows are far from usual digits as they are."""
        if 20 * np.count_nonzero(distances > self._usual) <= len(drawn):
            return {}
        corrected = self._distances(corrected_rows(drawn, self._looks)).reshape(-1, len(drawn))
        factors = [(look.much_closer, look.closer) for look in self._looks]
        is_strange = (distances > self._usual).astype(np.intp)
        nearer = corrected < np.array(factors, np.float32)[:, is_strange] * distances
        counts = (nearer & (corrected <= self._usual)).sum(axis=1).tolist()
        pairs = zip(self._looks, counts, strict=True)
        return {look.name: count for look, count in pairs if count}

    def _distances(self, rows: Sample) -> NDArray[np.float32]:
        starts = range(0, len(rows), _BLOCK_ROWS)
        parts = [self._measure(rows[start : start + _BLOCK_ROWS]) for start in starts]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def _distance_from_means(self, rows: Any) -> NDArray[np.float32]:
        return 1 - self._correlation(rows)

    def _correlation(self, rows: Sample) -> NDArray[np.float32]:
        """Return the correlation of each row with the nearest class mean, -1..1."""
        if not len(rows) or not len(self._means):
            return np.zeros(len(rows), np.float32)
        correlation: NDArray[np.float32] = (_standardized(rows) @ self._means.T).max(axis=1)
        return correlation


def _standardized(rows: NDArray[Any]) -> NDArray[np.float32]:
    """Scale rows (n, 64) to mean 0 and length 1; rows of a single shade become zeros."""
    centred = rows - rows.mean(axis=1, keepdims=True, dtype=np.float32)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    result: NDArray[np.float32] = (centred / np.maximum(length, 1e-6)).astype(np.float32)
    return result


def _smoothness(rows: Sample) -> NDArray[np.float32]:
    """Return Moran's I of each row: the correlation of pixels that share an edge.

    P. Moran, "Notes on continuous stochastic phenomena", 1950.
    """
    images = _standardized(rows).reshape(-1, SIDE, SIDE)
    across = (images[:, :, 1:] * images[:, :, :-1]).sum(axis=(1, 2))
    along = (images[:, 1:] * images[:, :-1]).sum(axis=(1, 2))
    pairs = 2 * SIDE * (SIDE - 1)
    smoothness: NDArray[np.float32] = (across + along) * np.float32(PIXELS / pairs)
    return smoothness
