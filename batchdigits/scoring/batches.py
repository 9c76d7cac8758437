"""Record batches in memory, scored one after another."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import pyarrow as pa

from batchdigits.cli.keywords import spelled
from batchdigits.errors import BatchdigitsWarning, UnusableInputError
from batchdigits.monitoring.judge import Judge
from batchdigits.monitoring.suspicion import Suspicion
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
    batches: Iterable[pa.RecordBatch],
    scorer: Scorer,
    read: ReadOptions,
    name: str,
    *,
    judge: Judge,
    allow_suspect: bool = True,
) -> Iterator[ScoredBatch]:
    """Yield the scored rows of each batch; `name` is the input's name in the rejects.

    Warns with BatchdigitsWarning if the judge finds no digits in the rows, early or at the end;
    without `allow_suspect` raises UnusableInputError then. Raises that too at the first batch whose
    columns can't be scored.
    """
    layout, first_row = None, 1
    suspicion = Suspicion(judge, read.scale)
    for batch in batches:
        if layout is None or layout.schema != batch.schema:
            layout = layout_of(batch.schema, read, name)
            columns = layout.passthrough_schema.names
            refuse_reserved(columns, {*scorer.names, *REJECT_COLUMNS}, name)
        rows = check_batch(batch, layout, read)
        scored = scorer.score(rows)
        rejects = reject_batch(
            scored.rejected, scored.rejects, input_name=name, first_row=first_row
        )
        early = suspicion.add(rows)
        if early is not None:
            _refuse(early, name, allow_suspect=allow_suspect)
            _warn(early, name, stacklevel=4)
        yield ScoredBatch(scored.predictions, rejects)
        first_row += batch.num_rows
    if not allow_suspect:
        _refuse(suspicion.verdict(suspicion.evidence()), name, allow_suspect=False)
    warn_of(suspicion, name)


def _refuse(words: str | None, name: str, *, allow_suspect: bool) -> None:
    if words is not None and not allow_suspect:
        raise UnusableInputError(
            f"{name}: {words}; if the data are right as they are, score them with --allow-suspect"
        )


def warn_of(suspicion: Suspicion, name: str = "rows") -> None:
    """Warn if all rows together do not look like digits, or if too many are odd."""
    evidence = suspicion.evidence()
    words = suspicion.verdict(evidence) or suspicion.judge.doubt(evidence)
    if words is not None:
        _warn(words, name, stacklevel=5)


def _warn(words: str, name: str, stacklevel: int) -> None:
    """Warn at the line that called the public function, `stacklevel` calls away."""
    message = f"{name}: {words}; they were scored as they are"
    warnings.warn(str(spelled(message)), BatchdigitsWarning, stacklevel=stacklevel)
