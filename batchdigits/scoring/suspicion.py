"""Whether an input looks like something else than 0..16 ink on 8x8 images, upright and row by row.

A model gives a confident answer to anything, so what is scaled, inverted or transposed as a whole
must be found before it is published. Evidence is gathered batch by batch in constant memory. What
costs is done on a sample of rows that is chosen by their number in the file, in chunks that are
filled across batches: the verdict depends on the rows alone, not on how they were cut into batches.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.archive.reference import Reference
from batchdigits.rows.batch import DARKEST, PIXELS, Pixels, Rows
from batchdigits.rows.rejects import Reject

JUDGED_ROWS = 65_536
"""After these rows of an input it is judged for the first time."""

ENOUGH_ROWS = 500
"""Fewer rows than these are not judged: they may be alike by chance."""

ENOUGH_SAMPLES = 100
"""Fewer rows with a drawing than these say nothing about how the drawings stand."""

BLANK_SHARE = 0.999
FAINT_SHARE = 1 / 8
"""Above 16 / 255, which a wrong --scale 255 leaves of the ink, and far below faint handwriting."""

# Measured on load_digits; the decision record has the table. Of digits of one class or of two,
# shifted by a pixel, an alternative came down to 0.73 of the distance as they stand; of turned and
# mirrored digits of all classes up to 0.66, of transposed and inverted ones to 0.21 and 0.13.
CLOSER = 0.70
MUCH_CLOSER = 0.55
"""For drawings of few classes: a 6 upside down is a fair 9."""
MANY_CLASSES = 5
CLASS_SHARE = 0.02

SAMPLED_FIRST = 1_000
SAMPLED_PART_BITS = 8
"""Behind the first rows one row in 2**8 is sampled."""

# Up to 2**18 multiplications OpenBLAS stays in the calling thread; its own threads would take the
# CPUs from the workers.
_MULTIPLICATIONS = 2**18

# Multiplying by 2**64 divided by the golden ratio spreads consecutive numbers evenly: Knuth, The
# Art of Computer Programming, volume 3, section 6.4.
_SPREAD = np.uint64(0x9E3779B97F4A7C15)

RANGE_ENDS = (1, DARKEST, 100, 255, 1023, 4095, 65535)
"""Largest values of the pixel ranges that are in use: shares, ours, percent, 8 to 16 bits."""

Images = NDArray[Any]
_ROW_BY_ROW = (
    "write the pixels row by row from the top left, or name the columns in that order with --pixels"
)


@dataclass(frozen=True, slots=True)
class _Look:
    """What a file may look like, how (n, 8, 8) images come to look so, and what to do about it."""

    name: str
    of: Callable[[Images], Images]
    fix: str = _ROW_BY_ROW


_UPRIGHT = _Look("upright", lambda images: images)
_TURNED = (
    _Look("transposed (column by column)", lambda images: images.transpose(0, 2, 1)),
    _Look("turned by 90 degrees counter-clockwise", lambda i: np.rot90(i, 1, (1, 2))),
    _Look("turned by 180 degrees", lambda i: np.rot90(i, 2, (1, 2))),
    _Look("turned by 90 degrees clockwise", lambda i: np.rot90(i, 3, (1, 2))),
    _Look("mirrored left to right", lambda images: images[:, :, ::-1]),
    _Look("mirrored top to bottom", lambda images: images[:, ::-1]),
    _Look("mirrored on its rising diagonal", lambda i: np.rot90(i, 2, (1, 2)).transpose(0, 2, 1)),
)
_INVERTED = _Look(
    "inverted (white on black)", lambda images: DARKEST - images, "write 16 for ink and 0 for paper"
)
_LOOKS = (_UPRIGHT, *_TURNED, _INVERTED)


class Suspicion:
    """Evidence about one input, gathered while its batches pass in order.

    reference  what the training data looked like
    scale      the `--scale` that the pixels were brought to 0..16 by, None without one
    """

    def __init__(self, reference: Reference, scale: float | None) -> None:
        self._range = _RangeEvidence(reference.darkest, scale)
        self._shape = _ShapeEvidence(_drawings(reference))
        self._rows = 0

    def add(self, rows: Rows) -> str | None:
        """Take in the next batch; the verdict on the first 65,536 rows if it completes them."""
        end = JUDGED_ROWS - self._rows
        if not 0 < end <= rows.rows:
            self._take(rows, 0, rows.rows)
            return None
        self._take(rows, 0, end)
        first = self.verdict()
        self._take(rows, end, rows.rows)
        return first

    def verdict(self) -> str | None:
        """What the rows so far look like, the evidence and the fix, in one line; None for digits.

        Blank or scaled from 500 rows of numbers on, inverted, turned or mirrored from 500 scorable
        rows on.
        """
        scaled = self._range.verdict(self._rows)
        if scaled or self._range.scorable < ENOUGH_ROWS:
            return scaled
        return self._shape.blank_verdict() or self._range.faint_verdict() or self._shape.verdict()

    def _take(self, rows: Rows, start: int, stop: int) -> None:
        """The rows of a batch from offset `start` to `stop`."""
        pixels, offsets = _scorable(rows, start, stop)
        self._range.add(pixels, [r for r in rows.rejects if start <= r.row < stop])
        sample = _is_sampled(offsets + (self._rows - start))
        self._shape.add(pixels[sample])
        self._rows += stop - start


def _scorable(rows: Rows, start: int, stop: int) -> tuple[Pixels, NDArray[np.int64]]:
    """The scorable rows among those from offset `start` to `stop`, and their offsets."""
    if rows.good is None:
        return rows.pixels[start:stop], np.arange(start, stop)
    first, last = np.searchsorted(rows.good, (start, stop))
    return rows.pixels[first:last], rows.good[first:last]


def _is_sampled(numbers: NDArray[np.int64]) -> NDArray[np.intp]:
    """Positions of the row numbers, counted from 0 in the file, that are in the sample."""
    spread = numbers.astype(np.uint64) * _SPREAD
    part = spread >> np.uint64(64 - SAMPLED_PART_BITS)
    return np.flatnonzero((part == 0) | (numbers < SAMPLED_FIRST))


class _RangeEvidence:
    """The values of all pixels, and of those that were rejected as above the range."""

    def __init__(self, darkest: int, scale: float | None) -> None:
        self._darkest = darkest
        self._scale = scale
        self._limit = float(DARKEST) if scale is None else scale
        self._top = 0.0
        self._above = [0] * (len(RANGE_ENDS) + 1)
        self._largest = 0.0
        self.scorable = 0

    def add(self, pixels: Pixels, rejects: list[Reject]) -> None:
        self.scorable += len(pixels)
        self._top = max(self._top, float(pixels.max(initial=0)))
        for reject in rejects:
            if reject.reason == "out-of-range" and reject.value is not None:
                self._add_value(float(reject.value))

    def verdict(self, rows: int) -> str | None:
        """Judge the rows that were rejected as above the range; `rows` is how many there were."""
        above = sum(self._above)
        if 2 * above <= rows or self.scorable + above < ENOUGH_ROWS:
            return None
        return (
            f"looks scaled to {self._range()}: {above:,} of {rows:,} rows have a pixel above "
            f"{self._limit:g}, the largest value seen is {self._largest:g}; {self._fix()}"
        )

    def faint_verdict(self) -> str | None:
        """Judge the pixels that can be scored."""
        if self._top > FAINT_SHARE * self._darkest:
            return None
        largest = self._top * self._limit / DARKEST
        end = _range_end(largest)
        looks = f"scaled to 0..{end}" if self._is_usable(end) else "scaled to a small range"
        made = "" if self._scale is None else f", by --scale {self._scale:g} {self._top:.3g} of 16"
        return (
            f"looks {looks}: the largest pixel of {self.scorable:,} rows is {largest:g}{made}, in "
            f"the training data {self._darkest} of 16; {self._advice(end)}"
        )

    def _add_value(self, value: float) -> None:
        if value > self._limit:
            self._above[bisect_left(RANGE_ENDS, value)] += 1
            if math.isfinite(value):
                self._largest = max(self._largest, value)

    def _range(self) -> str:
        end = self._common_end()
        return f"0..{self._largest:g}" if end is None else f"0..{end}"

    def _fix(self) -> str:
        return self._advice(self._common_end())

    def _common_end(self) -> int | None:
        """The smallest range in use that holds all but 1 % of the values above ours."""
        counts = np.cumsum(self._above)
        place = int(np.searchsorted(counts, 0.99 * counts[-1]))
        return RANGE_ENDS[place] if place < len(RANGE_ENDS) else None

    def _is_usable(self, end: int | None) -> bool:
        """Whether `--scale end` (or leaving it out, for 16) is another way to read the input."""
        return end is not None and end != self._limit

    def _advice(self, end: int | None) -> str:
        if not self._is_usable(end):
            return "give the largest value that a pixel can have with --scale MAX"
        if end == DARKEST:
            return "leave --scale out"
        exact = "" if end in (1, 255) else ", or the largest value that a pixel can have"
        return f"{'add' if self._scale is None else 'give'} --scale {end}{exact}"


def _range_end(largest: float) -> int | None:
    """The smallest range in use that holds a value, up to the rounding of float32."""
    return next((end for end in RANGE_ENDS if largest <= end * (1 + 1e-6)), None)


class _ShapeEvidence:
    """How far sampled drawings are from the nearest class mean, as they stand and otherwise.

    The distance is 1 - r, r the correlation of the 64 pixels with the class mean: thick, thin,
    faint or dark ink makes little difference to it. A row of one single shade has none.
    """

    def __init__(self, drawings: NDArray[np.float64]) -> None:
        turned = [look.of(drawings) for look in _LOOKS]
        self._classes = len(drawings)
        self._means = _standardized(np.concatenate(turned).reshape(-1, PIXELS).astype(np.float32))
        chunk_rows = max(1, _MULTIPLICATIONS // max(1, self._means.size))
        self._chunk = np.empty((chunk_rows, PIXELS), np.float32)
        self._filled = 0
        self._drawn = 0
        self._sampled = 0
        self._blank = 0
        self._distances = np.zeros(len(_LOOKS))
        self._nearest = np.zeros((len(_LOOKS), self._classes), np.int64)

    def add(self, pixels: Pixels) -> None:
        darkest = pixels.max(axis=1)
        self._sampled += len(pixels)
        self._blank += int(np.count_nonzero(darkest == 0))
        drawn = pixels[darkest > pixels.min(axis=1)]
        while len(drawn):
            part = drawn[: len(self._chunk) - self._filled]
            self._chunk[self._filled : self._filled + len(part)] = part
            self._filled += len(part)
            drawn = drawn[len(part) :]
            if self._filled == len(self._chunk):
                self._measure()

    def blank_verdict(self) -> str | None:
        if self._blank < BLANK_SHARE * self._sampled:
            return None
        return (
            f"looks blank: {self._blank:,} of {self._sampled:,} sampled rows have no ink at all; "
            "check how the cells were cut out, and which columns hold the pixels (--pixels)"
        )

    def verdict(self) -> str | None:
        """Judge whether another look fits far better than upright."""
        self._measure()
        if self._drawn < ENOUGH_SAMPLES or not self._classes:
            return None
        best = int(self._distances.argmin())
        present = np.count_nonzero(self._nearest[best] >= CLASS_SHARE * self._drawn)
        limit = CLOSER if present >= MANY_CLASSES else MUCH_CLOSER
        if self._distances[best] >= limit * self._distances[0]:
            return None
        found, upright = (self._distances[i] / self._drawn for i in (best, 0))
        return (
            f"looks {_LOOKS[best].name}: put right, {self._drawn:,} sampled rows are at a distance "
            f"of {found:.3f} from the training data, as they stand at {upright:.3f} "
            f"(1 - correlation with the nearest class mean); {_LOOKS[best].fix}"
        )

    def _measure(self) -> None:
        """Count in what the chunk holds, and empty it."""
        rows, self._filled = self._filled, 0
        if not rows or not self._classes:
            return
        similar = _standardized(self._chunk[:rows]) @ self._means.T
        similar = similar.reshape(rows, len(_LOOKS), self._classes)
        self._drawn += rows
        self._distances += (1 - similar.max(axis=2)).sum(axis=0, dtype=np.float64)
        for look, nearest in enumerate(similar.argmax(axis=2).T):
            self._nearest[look] += np.bincount(nearest, minlength=self._classes)


def _drawings(reference: Reference) -> NDArray[np.float64]:
    """The mean images (k, 8, 8) of the classes that had rows with something drawn on them."""
    means = reference.class_means
    drawn: NDArray[np.float64] = means[means.max(axis=1) > means.min(axis=1)]
    return drawn.reshape(-1, 8, 8)


def _standardized(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows (n, 64) with mean 0 and length 1, so that their products are correlations."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    result: NDArray[np.float32] = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    return result
