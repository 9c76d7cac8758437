"""Runs: cells that follow each other and have the same values in the group's columns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from batchdigits.errors import UnusableInputError
from batchdigits.fields.options import LONGEST_FIELD
from batchdigits.rows.arrow import changes, joined, take

Key = tuple[Any, ...]

MOST_SCATTERED = 1_000_000
"""Cells of fields whose cells are not neighbours: they are held in memory until the end."""


@dataclass(frozen=True, slots=True)
class Runs:
    """Complete runs.

    cells      their cells, n of them, in the order of the input, without lost ones
    starts     int64 (r,): the place of the first cell of each run
    doubtful   bool (r,): a lost cell before, in or after the run may belong to it
    scattered  bool (r,): the cells were not neighbours
    lost       the number of lost cells since the batch before
    """

    cells: pa.RecordBatch
    starts: NDArray[np.int64]
    doubtful: NDArray[np.bool_]
    scattered: NDArray[np.bool_]
    lost: int = 0

    def keys(self) -> list[Key]:
        """Return the values of the group's columns, one tuple a run."""
        columns = [
            self.cells[name] for name in self.cells.schema.names if name.startswith("group_")
        ]
        firsts = pa.array(self.starts)
        return list(zip(*(column.take(firsts).to_pylist() for column in columns), strict=True))

    def run(self, at: int) -> pa.RecordBatch:
        """Return the cells of one run."""
        ends = np.append(self.starts[1:], self.cells.num_rows)
        return self.cells.slice(self.starts[at], ends[at] - self.starts[at])


def find_runs(cells: Iterable[pa.RecordBatch], where: str) -> Iterator[Runs]:
    """Cut the cells of a file into runs; the last of a batch waits for the next batch.

    Raises UnusableInputError for a run of more than 1,000 cells.
    """
    waiting, before = None, np.zeros(0, np.bool_)  # `before`: a lost cell precedes the cell
    pending, lost = False, 0
    for batch in cells:
        kept, kept_before, trailing, count = _without_lost(batch, pending=pending)
        pending, lost = trailing, lost + count
        if not kept.num_rows:
            continue
        whole = kept if waiting is None else joined([waiting, kept])
        before = np.concatenate([before, kept_before])
        starts = _starts(whole)
        _refuse_long(np.diff(np.append(starts, whole.num_rows)), where)
        last = starts[-1]
        if len(starts) > 1:
            doubtful = _doubtful(starts, before)[:-1]
            yield Runs(whole.slice(0, last), starts[:-1], doubtful, _nothing(doubtful), lost)
            lost = 0
        waiting, before = whole.slice(last), before[last:]
    if waiting is not None:
        doubtful = np.array([pending or bool(before.any())])
        yield Runs(waiting, np.zeros(1, np.int64), doubtful, _nothing(doubtful), lost)


def repeated_keys(keys: Iterable[Iterable[Key]]) -> frozenset[int]:
    """Return the hashes of keys that come more than once; 8 bytes a key are held meanwhile."""
    parts = [np.fromiter(map(hash, some), np.int64) for some in keys]
    hashes = np.sort(np.concatenate([np.zeros(0, np.int64), *parts]))
    return frozenset(hashes[1:][hashes[1:] == hashes[:-1]].tolist())


def gather(runs: Iterable[Runs], repeated: frozenset[int]) -> dict[Key, pa.RecordBatch]:
    """Collect the cells of fields whose runs come more than once.

    Raises UnusableInputError if they are more than a million.
    """
    parts: dict[Key, list[pa.RecordBatch]] = defaultdict(list)
    held = 0
    for some in runs:
        for at, key in enumerate(some.keys()):
            if hash(key) in repeated:
                parts[key].append(some.run(at))
                held += parts[key][-1].num_rows
        if held > MOST_SCATTERED:
            raise UnusableInputError(
                f"more than {MOST_SCATTERED:,} cells of fields are not neighbours; sort the rows "
                "by the columns of --group before they are scored"
            )
    # Two keys may have one hash by chance.
    return {key: joined(batches) for key, batches in parts.items() if len(batches) > 1}


def put_together(runs: Runs, scattered: dict[Key, pa.RecordBatch], done: set[Key]) -> Runs:
    """Replace the first run of each scattered field by all its cells, and leave out the others."""
    here = [(at, key) for at, key in enumerate(runs.keys()) if key in scattered]
    if not here:
        return runs
    ends = np.append(runs.starts[1:], runs.cells.num_rows)
    counts, together = np.diff(np.append(runs.starts, ends[-1])), np.zeros(len(ends), np.bool_)
    parts, first = [], 0
    for at, key in here:
        parts.append(runs.cells.slice(first, runs.starts[at] - first))
        first = int(ends[at])
        counts[at] = 0
        if key not in done:
            parts.append(scattered[key])
            counts[at], together[at] = scattered[key].num_rows, True
            done.add(key)
    cells = joined([*parts, runs.cells.slice(first)])
    left = counts > 0
    starts = np.cumsum(counts[left]) - counts[left]
    return Runs(cells, starts, runs.doubtful[left], together[left], runs.lost)


def _without_lost(
    batch: pa.RecordBatch, *, pending: bool
) -> tuple[pa.RecordBatch, NDArray[np.bool_], bool, int]:
    """Return the other cells, whether a lost one precedes each, one follows all, and how many."""
    lost = np.asarray(batch["lost"].to_numpy(zero_copy_only=False), np.bool_)
    if not lost.any():
        before = np.zeros(batch.num_rows, np.bool_)
        before[:1] = pending
        return batch, before, pending and not batch.num_rows, 0
    places = np.flatnonzero(~lost)
    so_far = np.cumsum(lost)
    before = np.diff(so_far[places], prepend=0) > 0
    before[:1] |= pending
    trailing = bool(lost[-1]) or (pending and not len(places))
    return take(batch, places), before, trailing, int(so_far[-1])


def _starts(cells: pa.RecordBatch) -> NDArray[np.int64]:
    differs = np.ones(cells.num_rows, np.bool_)
    differs[1:] = False
    for name in cells.schema.names:
        if name.startswith("group_"):
            differs[1:] |= changes(cells[name])
    return np.flatnonzero(differs)


def _doubtful(starts: NDArray[np.int64], before: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Tell for each run whether a lost cell is before it, in it or after it."""
    result = np.logical_or.reduceat(before, starts)
    result[:-1] |= before[starts[1:]]
    return result


def _refuse_long(lengths: NDArray[np.int64], where: str) -> None:
    if lengths.max() > LONGEST_FIELD:
        raise UnusableInputError(
            f"{where}: {lengths.max():,} neighbouring cells or more have the same --group values, "
            f"and a field has at most {LONGEST_FIELD:,}; name all columns that tell fields apart"
        )


def _nothing(like: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.zeros_like(like)
