"""The dry run, `predict --check`: it checks an input file, scores no row and writes nothing."""

from __future__ import annotations

import shutil
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

from batchdigits.errors import IOFailedError
from batchdigits.files.names import InputFile
from batchdigits.files.places.contract import Place
from batchdigits.files.targets import Targets
from batchdigits.images import PIXELS
from batchdigits.monitoring.drift import NOT_MEASURED
from batchdigits.rows.contract import Source
from batchdigits.rows.formats import find_format, open_source
from batchdigits.scoring.columns import PredictionColumns
from batchdigits.scoring.ledger import Counts
from batchdigits.scoring.one_input import (
    InputResult,
    Work,
    finished_result,
    refuse_foreign,
    result_of,
)

LEAST_ROW_BYTES = 128
"""A CSV row has at least 64 digits and 64 delimiters or line ends."""


def check_input(input_file: InputFile, place: Place, work: Work, room: Room) -> InputResult:
    """Return the expected result of an input file with checked paths: ready, unchanged or kept.

    Checks headers, footers, outputs, locks and free disk space. Raises BatchdigitsError as scoring
    would. An interrupted commit is left to the run, which completes or discards it.
    """
    if place.is_settled():
        finished = finished_result(input_file, place, work)
        if finished is not None:
            return finished
        refuse_foreign(input_file, place, work)
    with closing(open_source(input_file, work.read, work.machine)) as source:
        columns = PredictionColumns.of(source, work.scorer, work.score, place, input_file.name)
        count = len(columns.schema) + (PIXELS if len(columns.pixels) == 1 else 0)
        needed = _bytes_to_write(input_file, place.targets, source, count)
        room.take(input_file, place.scratch, needed)
    return result_of(input_file, place, Counts(), NOT_MEASURED, status="ready", work=work)


def _bytes_to_write(
    input_file: InputFile, targets: Targets, source: Source[Any], columns: int
) -> int:
    """Estimate the bytes of the outputs; 0 for an input of unknown size.

    The estimate is the larger of two: the size of the input, whose 64 pixels take more room than
    the columns that scoring adds; and the cells of the output, with the rows of the Parquet footer,
    else the most rows that fit in the input.
    """
    size = 0 if input_file.path is None else input_file.path.stat().st_size
    rows = size // LEAST_ROW_BYTES if source.expected_rows is None else source.expected_rows
    return max(size, rows * columns * find_format(targets.kind).cell_bytes)


class Room:
    """The bytes on each file system that the earlier inputs of the run will take."""

    def __init__(self) -> None:
        self._taken: Counter[int] = Counter()

    def take(self, input_file: InputFile, scratch: Path, needed: int) -> None:
        """Add `needed` bytes. Raises IOFailedError if they don't fit."""
        folder = next(f for f in (scratch, *scratch.parents) if f.exists())
        device = folder.stat().st_dev
        usage = shutil.disk_usage(folder)
        free = usage.free - self._taken[device]
        if usage.total and needed > free:  # some file systems don't tell, and have 0 bytes in all
            before = self._taken[device]
            taken = f" plus {before:,} for the inputs before it" if before else ""
            raise IOFailedError(
                f"{input_file.name}: scoring it needs about {needed:,} bytes in {folder}{taken}, "
                f"{max(free, 0):,} are free; make room, or choose another --output"
            )
        self._taken[device] += needed
