"""Record batches in memory, scored one after another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import pyarrow as pa

from batchdigits.rows.arrays import check_batch
from batchdigits.rows.memory import layout_of
from batchdigits.rows.options import ReadOptions
from batchdigits.rows.pixels import refuse_reserved
from batchdigits.rows.rejects import REJECT_COLUMNS, reject_batch
from batchdigits.scoring.scorer import Scorer


class ScoredBatch(NamedTuple):
    """The scored rows of a record batch: each is in `predictions` or `rejects`, in its order."""

    predictions: pa.RecordBatch
    rejects: pa.RecordBatch


def score_batches(
    batches: Iterable[pa.RecordBatch], scorer: Scorer, read: ReadOptions, name: str
) -> Iterator[ScoredBatch]:
    """Yield the scored rows of each batch; `name` is the input's name in the rejects.

    Raises UnusableInputError at the first batch whose columns can't be scored.
    """
    layout, first_row = None, 1
    for batch in batches:
        if layout is None or layout.schema != batch.schema:
            layout = layout_of(batch.schema, read, name)
            columns = layout.passthrough_schema.names
            refuse_reserved(columns, {*scorer.names, *REJECT_COLUMNS}, name)
        scored = scorer.score(check_batch(batch, layout, read))
        rejects = reject_batch(
            scored.rejected, scored.rejects, input_name=name, first_row=first_row
        )
        yield ScoredBatch(scored.predictions, rejects)
        first_row += batch.num_rows
