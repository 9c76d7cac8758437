"""Record batches in memory, scored one after another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import pyarrow as pa

from batchdigits.rows.memory import check_table
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
    first_row = 1
    for batch in batches:
        table = pa.Table.from_batches([batch])
        schema, checked = check_table(table, read, max(batch.num_rows, 1))
        refuse_reserved(schema.names, {*scorer.names, *REJECT_COLUMNS}, name)
        for rows in checked:
            scored = scorer.score(rows)
            rejects = reject_batch(
                scored.rejected, scored.rejects, input_name=name, first_row=first_row
            )
            yield ScoredBatch(scored.predictions, rejects)
            first_row += rows.rows
