"""What can be known of a run without scoring a row, and without writing anything."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from typing import Any

from batchdigits.errors import IOFailedError
from batchdigits.files.lock import refuse_held
from batchdigits.files.names import InputFile
from batchdigits.files.targets import Targets
from batchdigits.monitoring.drift import NOT_MEASURED
from batchdigits.rows.contract import Source
from batchdigits.rows.formats import check_schema, find_format, open_source
from batchdigits.rows.pixels import refuse_reserved
from batchdigits.scoring.ledger import Ledger
from batchdigits.scoring.one_input import InputResult, Work, refuse_foreign, result_of
from batchdigits.scoring.receipt import finished_receipt
from batchdigits.scoring.run import OpenWork, RunSummary, score_inputs

LEAST_ROW_BYTES = 128
"""A CSV row has at least 64 digits and what stands between them."""


def check_inputs(planned: Sequence[tuple[InputFile, Targets]], open_work: OpenWork) -> RunSummary:
    """The summary of a run that stops short of scoring: each input is ready, unchanged or refused.

    Looks at inputs, headers, footers, bundle, outputs, locks and free disk space, and raises as
    `score_inputs` does. Writes and removes nothing.
    """
    return score_inputs(planned, open_work, partial(_check_input, room=_Room()))


def _check_input(input_file: InputFile, targets: Targets, work: Work, room: _Room) -> InputResult:
    """What would become of one input whose paths were checked, as far as can be told.

    Raises BatchdigitsError as scoring it would.
    """
    refuse_held(targets.receipt)
    # A commit that was cut off is completed or discarded first of all, whoever's it is.
    if not targets.commit.exists():
        receipt = finished_receipt(input_file, targets, work.key)
        if receipt is not None:
            return result_of(
                input_file, targets, receipt, receipt.drift, status="unchanged", work=work
            )
        refuse_foreign(input_file, targets, work)
    with closing(open_source(input_file, work.rows, work.machine).source) as source:
        refuse_reserved(source.schema.names, work.reserved, input_file.name)
        schema = work.scorer.schema(source.schema)
        check_schema(targets.kind, schema, input_file.name)
        room.take(input_file, targets, _bytes_to_write(input_file, targets, source, len(schema)))
    return result_of(input_file, targets, Ledger(), NOT_MEASURED, status="ready", work=work)


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


class _Room:
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
