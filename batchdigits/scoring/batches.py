"""Record batches in memory, scored one after another, rejects beside predictions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

from batchdigits.rows.memory import check_table
from batchdigits.rows.options import ReadOptions
from batchdigits.rows.pixels import refuse_reserved
from batchdigits.rows.rejects import REJECT_COLUMNS, reject_batch
from batchdigits.scoring.scorer import Scorer


def score_batches(
    batches: Iterable[pa.RecordBatch], scorer: Scorer, read: ReadOptions, name: str
) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
    """Yield the predictions and the rejects of each batch; `name` stands in the rejects.

    Raises UnusableInputError for columns that can't be scored, as soon as they come.
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
            yield scored.predictions, rejects
            first_row += rows.rows
