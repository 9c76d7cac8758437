"""Units of a first dense layer in groups of equal size that read equal windows of the pixels.

A unit that reads a part of the image has zeros for weights everywhere else. Units that read
neighbouring rows make a group, and a convolution of groups does not multiply by what lies outside.

A model of the cost decides what pays, never the clock: the same weights must give the same bundle.
Its unit is one multiplication, 0.0084 ns. Its costs were read off ONNX Runtime's own profile of the
operators, for two networks (1.32, one thread, blocks of 1,024 rows, AMD EPYC with AVX-512).
`python benchmarks/bands.py` compares what it chooses with the alternatives.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LANES = 16
"""Channels are computed 16 at a time; a group's inputs and units are multiples of it."""

INPUT_COST = 12
"""Cost of an input besides its multiplications: bringing it into the order of the convolution."""

GATHER_COST = 8
"""Cost of copying an input into the window of a group."""

WORTH = 0.95
"""Groups are made if they cost at most this share of one dense layer: models err."""

STEP = 8
"""Windows begin at multiples of 8: between rows of pixels."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Groups:
    """The groups of a layer's units.

    windows  the first input of each group's window, int64 (g,)
    width    the inputs of a window
    of       the inputs of the layer
    units    the places of the units in the layer, int64 (g, u); -1 where a group has fewer
    """

    windows: NDArray[np.int64]
    width: int
    of: int
    units: NDArray[np.int64]

    @property
    def inputs(self) -> NDArray[np.int64]:
        """The inputs that each group reads, int64 (g, width)."""
        return self.windows[:, np.newaxis] + np.arange(self.width)

    @property
    def are_a_partition(self) -> bool:
        """Return whether the windows, one behind the other, are the inputs in their order."""
        return bool(np.array_equal(self.inputs.reshape(-1), np.arange(self.of)))

    @property
    def cost(self) -> int:
        """What the layer costs in these groups."""
        count, size = self.units.shape
        cost = INPUT_COST if self.are_a_partition else INPUT_COST + GATHER_COST
        return int(count * self.width * (size + cost))


def plan_groups(read: Mask) -> Groups:
    """Choose the groups of a layer; one group of all units if no others pay.

    read  where the weights (inputs, units) are not zero
    """
    inputs, units = read.shape
    alone = Groups(np.zeros(1, np.int64), inputs, inputs, np.arange(units)[np.newaxis])
    spans = _spans(read)
    best = alone
    for width in range(LANES, inputs, LANES):
        if max(end - begin for begin, end, _ in spans) > width:
            continue
        for size in range(LANES, units, LANES):
            found = _fill(spans, size, width, inputs)
            if found.cost < best.cost:
                best = found
    return best if best.cost <= WORTH * alone.cost else alone


def _spans(read: Mask) -> list[tuple[int, int, int]]:
    """Where what a unit reads begins, where it ends, and the unit's place; in this order."""
    first = read.argmax(axis=0) // STEP * STEP
    end = len(read) - read[::-1].argmax(axis=0)
    end[~read.any(axis=0)] = 0
    return sorted(zip(first.tolist(), end.tolist(), range(read.shape[1]), strict=True))


def _fill(spans: list[tuple[int, int, int]], size: int, width: int, inputs: int) -> Groups:
    """Fill groups of `size` units with the units, one group after the other."""
    windows: list[int] = []
    members: list[list[int]] = []
    for begin, end, unit in spans:
        if not members or len(members[-1]) == size or end > windows[-1] + width:
            windows.append(min(begin, inputs - width))
            members.append([])
        members[-1].append(unit)
    units = np.full((len(members), size), -1)
    for row, some in zip(units, members, strict=True):
        row[: len(some)] = some
    return Groups(np.array(windows), width, inputs, units)
