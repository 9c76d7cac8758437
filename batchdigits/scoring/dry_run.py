"""The checks of an input file that neither score a row nor write anything: `predict --check`."""

from __future__ import annotations

import shutil
from collections import Counter
from contextlib import closing
from typing import Any

from batchdigits.errors import IOFailedError
from batchdigits.files.names import InputFile
from batchdigits.files.places.contract import Place
from batchdigits.files.targets import Targets
from batchdigits.monitoring.drift import NOT_MEASURED
from batchdigits.rows.contract import Source
from batchdigits.rows.formats import find_format, open_source
from batchdigits.scoring.ledger import Counts
from batchdigits.scoring.one_input import InputResult, Work, refuse_foreign, result_of
from batchdigits.scoring.outputs import output_schema
from batchdigits.scoring.receipt import finished_receipt

LEAST_ROW_BYTES = 128
"""A CSV row has at least 64 digits and what stands between them."""


def check_input(input_file: InputFile, place: Place, work: Work, room: Room) -> InputResult:
    """The result to expect of an input file whose paths were checked: ready or unchanged.

    Looks at headers, footers, outputs, locks and free disk space. Raises BatchdigitsError as
    scoring it would. A commit that was cut off is left to the run, which completes or discards it.
    """
    if place.is_settled():
        receipt = finished_receipt(input_file, place.targets, work.key)
        if receipt is not None:
            return result_of(
                input_file, place, receipt.counts, receipt.drift, status="unchanged", work=work
            )
        refuse_foreign(input_file, place, work)
    with closing(open_source(input_file, work.read, work.machine).source) as source:
        schema = output_schema(source, work.scorer, place, input_file.name)
        needed = _bytes_to_write(input_file, place.targets, source, len(schema))
        room.take(input_file, place.targets, needed)
    # As in a run that has not counted yet: where nothing decides there are no causes.
    return result_of(input_file, place, Counts(), NOT_MEASURED, status="ready", work=work)


def _bytes_to_write(
    input_file: InputFile, targets: Targets, source: Source[Any], columns: int
) -> int:
    """About how many bytes the outputs of an input take; 0 where nothing is known of its size.

    As many as the input has, since the 64 pixels make room for what scoring adds; or, if that is
    more, those of its rows (a Parquet footer's, else the most that fit in) in cells of the output.
    """
    size = 0 if input_file.path is None else input_file.path.stat().st_size
    rows = size // LEAST_ROW_BYTES if source.expected_rows is None else source.expected_rows
    return max(size, rows * columns * find_format(targets.kind).cell_bytes)


class Room:
    """What is left on each file system when the inputs before this one have been scored."""

    def __init__(self) -> None:
        self._taken: Counter[int] = Counter()

    def take(self, input_file: InputFile, targets: Targets, needed: int) -> None:
        """Raise IOFailedError if there is no room for `needed` bytes more; else count them in."""
        folder = next(f for f in (targets.folder, *targets.folder.parents) if f.exists())
        device = folder.stat().st_dev
        free = shutil.disk_usage(folder).free - self._taken[device]
        if needed > free:
            before = self._taken[device]
            besides = f" besides {before:,} for the inputs before it" if before else ""
            raise IOFailedError(
                f"{input_file.name}: scoring it needs about {needed:,} bytes in {folder}{besides}, "
                f"{max(free, 0):,} are free; make room, or choose another --output"
            )
        self._taken[device] += needed
