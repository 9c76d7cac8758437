"""Bands of a dense layer's units, so that a runtime does not multiply by blocks of zeros.

A unit that reads a part of an image has zeros for weights everywhere else. Units that read
neighbouring inputs make one band, a small dense layer of its own. The more bands, the fewer zeros
and the more operators.

A model of the cost decides what pays, never the clock: the same weights must give the same bundle.
`python benchmarks/bands.py --fit` fits its constants to the times of 76 networks with random bands:
ONNX Runtime 1.32, one thread, blocks of 1,024 rows, AMD EPYC with AVX-512. The model is within 8 %
of each of them. Its unit is one multiplication, 0.0084 ns there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LANES = 16
"""Units are computed 16 at a time: 10 cost as much as 16."""

OUTPUT_COST = 9
"""Cost of a unit besides its multiplications: its bias, its activation, and writing it."""

INPUT_COST = 6
"""Cost of an input besides its multiplications: reading it."""

SLICE_COST = 430
"""Cost of the operator that cuts a band's inputs out of all inputs."""

WORTH = 0.95
"""Bands are made if they cost at most this share of the dense layers: models err."""

STEP = 8
"""Inputs are cut at multiples of 8: between rows of pixels."""

MOST_CLASSES = 1000
"""Units that read in more ways than these are left in one band; the search takes seconds beyond."""

Mask = NDArray[np.bool_]
Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Band:
    """Units of a layer that are computed together.

    units  their places in the layer, int64 (n,)
    reads  the bands of the layer below that they read, by number
    cut    the first input that they read and the one behind the last, where the layer below is one
           band; None for all inputs
    """

    units: Places
    reads: tuple[int, ...]
    cut: tuple[int, int] | None = None


Bands = tuple[Band, ...]


def plan_bands(layers: Sequence[Mask]) -> list[Bands] | None:
    """Choose the bands of each of several dense layers, or return None if no bands pay.

    layers  where the weights (inputs, units) of each layer are not zero, the first layer first;
            each layer reads only the one before

    The last layer stays one band, with its units in their order.
    """
    plain = sum(int(_cost(len(mask), mask.shape[1])) for mask in layers)
    cost, plan = _cheapest(layers, [np.arange(len(layers[0]))])
    return plan if cost <= WORTH * plain else None


def _cost(inputs: Any, units: Any, tensors: Any = 1, slices: Any = 0) -> Any:
    """The cost of a band that reads its inputs from `tensors` tensors; arrays give many costs."""
    lanes = -(-units // LANES) * LANES
    return lanes * (inputs + OUTPUT_COST * tensors) + INPUT_COST * inputs + SLICE_COST * slices


def _cheapest(layers: Sequence[Mask], below: Sequence[Places]) -> tuple[int, list[Bands]]:
    """The least cost of these layers, and the bands of each.

    below  the inputs of the first of them, for each tensor that has some
    """
    mask, *above = layers
    if not above:
        everything = Band(np.arange(mask.shape[1]), tuple(range(len(below))))
        return int(_cost(len(mask), mask.shape[1], len(below))), [(everything,)]
    found = []
    for parts in _partitions(above[0]):
        divided = [_divide(mask, units, below, above[0].shape[1]) for units in parts]
        bands = tuple(band for _, some in divided for band in some)
        cost, plan = _cheapest(above, [band.units for band in bands])
        found.append((cost + sum(here for here, _ in divided), [bands, *plan]))
    return min(found, key=lambda choice: choice[0])


def _partitions(readers: Mask) -> list[list[Places]]:
    """The ways to part a layer's units before they are divided: not at all, or by their readers.

    Units stay together if they share a reader, directly or through others.

    readers  where the weights (units, readers) of the layer above are not zero
    """
    count = len(readers)
    part = np.arange(count)
    while True:
        lowest = np.where(readers, part[:, np.newaxis], count).min(axis=0)
        merged = np.where(readers, lowest, part[:, np.newaxis]).min(axis=1)
        if np.array_equal(merged, part):
            break
        part = merged
    # A unit that nobody reads may be anywhere.
    read = readers.any(axis=1)
    part[~read] = part[read].min(initial=count)
    parts = [np.flatnonzero(part == first) for first in np.unique(part)]
    everything = [np.arange(count)]
    return [everything, parts] if len(parts) > 1 else [everything]


def _divide(
    mask: Mask, units: Places, below: Sequence[Places], above: int
) -> tuple[int, list[Band]]:
    """The cheapest division of `units` into bands, and its cost.

    Units that read the same make a class. Classes are sorted by what they read, and a band is a run
    of them: the best bands of the first n classes are one band behind the best of fewer.

    above  the number of units above, for each of which one more band is one more sum
    """
    inputs = _Inputs.of(mask[:, units], below)
    classes, class_of = _classes(inputs.read)
    sizes = np.bincount(class_of, minlength=len(classes))
    sums = int(_cost(0, above))
    cost, begins = np.zeros(len(classes) + 1, np.int64), [0]
    for end in range(1, len(classes) + 1):
        # Backwards: the last class alone, the last two …
        read = np.logical_or.accumulate(classes[:end][::-1])
        bands = inputs.cost(read, sizes[:end][::-1].cumsum()) + sums + cost[:end][::-1]
        begins.append(end - 1 - int(bands.argmin()))
        cost[end] = bands.min()
    found, end = [], len(classes)
    while end:
        begin = begins[end]
        inside = (class_of >= begin) & (class_of < end)
        found.append(inputs.band(units[inside], np.logical_or.reduce(classes[begin:end])))
        end = begin
    return int(cost[-1]) - sums, found[::-1]


def _classes(read: Mask) -> tuple[Mask, Places]:
    """The different ways (n, segments) in which units read `read`, sorted, and that of each."""
    classes, class_of = np.unique(read.T, axis=0, return_inverse=True)
    if len(classes) > MOST_CLASSES:
        return np.logical_or.reduce(read.T)[np.newaxis], np.zeros(read.shape[1], np.int64)
    first = classes.argmax(axis=1)
    last = classes.shape[1] - classes[:, ::-1].argmax(axis=1)
    order = np.lexsort((last, first))
    return classes[order], np.argsort(order)[class_of.reshape(-1)]


@dataclass(frozen=True, slots=True)
class _Inputs:
    """The inputs of a layer in segments, each of which a band reads or not.

    They are the tensors of the layer below or, if that is only one, its parts of `STEP` inputs.

    read    whether a unit reads any of a segment (segments, units)
    widths  the inputs of each segment (segments,)
    """

    read: Mask
    widths: Places
    in_one_tensor: bool

    @classmethod
    def of(cls, mask: Mask, below: Sequence[Places]) -> _Inputs:
        alone = len(below) == 1
        if alone:
            first = np.arange(0, len(mask), STEP)
            read = np.logical_or.reduceat(mask[below[0]], first)
            widths = np.diff(first, append=len(mask))
        else:
            read = np.stack([mask[inputs].any(axis=0) for inputs in below])
            widths = np.array([len(inputs) for inputs in below])
        # An operator needs an input, also for units that read none.
        read[0] |= ~read.any(axis=0)
        return cls(read, widths, alone)

    def cost(self, read: Mask, units: Places) -> Places:
        """The costs (n,) of n bands of `units` units each, which read the segments `read`."""
        if not self.in_one_tensor:
            return np.asarray(_cost(read @ self.widths, units, read.sum(axis=1)))
        onwards = np.logical_or.accumulate(read, axis=1)
        back = np.logical_or.accumulate(read[:, ::-1], axis=1)[:, ::-1]
        inputs = (onwards & back) @ self.widths
        return np.asarray(_cost(inputs, units, slices=inputs < self.widths.sum()))

    def band(self, units: Places, read: Mask) -> Band:
        """The band of these units, which reads these segments (segments,)."""
        segments = np.flatnonzero(read)
        if not self.in_one_tensor:
            return Band(units, tuple(segments.tolist()))
        ends = self.widths.cumsum()
        begin, end = int(ends[segments[0]] - self.widths[segments[0]]), int(ends[segments[-1]])
        return Band(units, (0,), (begin, end) if end - begin < ends[-1] else None)
