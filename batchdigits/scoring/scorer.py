"""Checked rows through an engine: predictions, confidences, and what the model could not score.

This is the one scoring function. Files, the Python API and Spark all call it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from batchdigits.engines.contract import Engine, MeasuringEngine, most_probable
from batchdigits.rows.arrow import joined, numbers, pick, positions, take
from batchdigits.rows.contract import Pixels, Rows
from batchdigits.rows.rejects import Reject
from batchdigits.scoring.decision import Codes, Decider, cause_column, count_causes, decision_column


@dataclass(frozen=True, slots=True)
class Scored:
    """One batch scored: `predictions` plus `rejects` are the `rows` that came in.

    best        int64 (n,): the place of each prediction among the classes
    confidence  float32 (n,): as it is written
    causes      rows that go to review by cause; None where nothing decides
    """

    predictions: pa.RecordBatch
    best: NDArray[np.int64]
    confidence: NDArray[np.float32]
    causes: Mapping[str, int] | None
    rejects: tuple[Reject, ...]
    rejected: pa.RecordBatch
    rows: int
    lines: int


@dataclass(frozen=True, slots=True)
class Scorer:
    """An engine, the labels of its outputs, and which columns to write.

    classes        the label of each output, length k
    probabilities  whether to write one `proba_<class>` column for each class
    decider        writes `decision` and `cause`; None: neither
    measuring      the same engine, if `strangeness` is to be written; else None
    """

    engine: Engine
    classes: pa.Array
    probabilities: bool = False
    decider: Decider | None = None
    measuring: MeasuringEngine | None = None

    @property
    def columns(self) -> list[pa.Field]:
        """What scoring adds behind the pass-through columns."""
        fields = [
            pa.field("prediction", self.classes.type),
            pa.field("confidence", pa.float32()),
        ]
        if self.decider is not None:
            fields += [pa.field("decision", pa.string()), pa.field("cause", pa.string())]
        if self.measuring is not None:
            fields.append(pa.field("strangeness", pa.float32()))
        if self.probabilities:
            fields += [
                pa.field(f"proba_{label}", pa.float32()) for label in self.classes.to_pylist()
            ]
        return fields

    def schema(self, passthrough: pa.Schema) -> pa.Schema:
        """The schema of the predictions of rows with these pass-through columns."""
        return pa.schema([*passthrough, *self.columns])

    def score(self, rows: Rows) -> Scored:
        """Predictions for the scorable rows; rows without a finite probability join the rejects."""
        added, best, confidence, codes = self._score(rows.pixels)
        passthrough, rejects, rejected = rows.passthrough, rows.rejects, rows.rejected
        finite = np.isfinite(confidence)
        if not finite.all():
            rejects, rejected = _with_unscored(rows, finite)
            scored = np.flatnonzero(finite)
            passthrough = take(passthrough, scored)
            added = [column.take(positions(scored)) for column in added]
            best, confidence = best[scored], confidence[scored]
            codes = None if codes is None else codes[scored]
        arrays = [*passthrough.columns, *added]
        schema = self.schema(passthrough.schema)
        predictions = pa.RecordBatch.from_arrays(arrays, schema=schema)
        return Scored(
            predictions=predictions,
            best=best,
            confidence=confidence,
            causes=None if codes is None else count_causes(codes),
            rejects=rejects,
            rejected=rejected,
            rows=rows.rows,
            lines=rows.lines,
        )

    def _score(
        self, pixels: Pixels
    ) -> tuple[list[pa.Array], NDArray[np.int64], NDArray[np.float32], Codes | None]:
        """The columns of `columns`; class and confidence, NaN where the engine gave no number.

        Both as `most_probable` gives them, confidence at most 1. And what was decided, if anything.
        """
        each: list[pa.Array] = []
        strangeness = codes = None
        if self.measuring is not None:
            best, confidence, strangeness = self.measuring.measure(pixels)
        if self.probabilities:
            probabilities = self.engine.probabilities(pixels)
            best, confidence = most_probable(probabilities)
            each = [numbers(column) for column in probabilities.T]
        elif strangeness is None:
            best, confidence = self.engine.most_probable(pixels)
        # Rounding can carry a softmax a last bit above 1.
        confidence = np.minimum(confidence, np.float32(1.0))
        if strangeness is not None:
            each.insert(0, numbers(strangeness))
        if self.decider is not None:
            codes = self.decider.decide(confidence, pixels, strangeness)
            each[:0] = [decision_column(codes), cause_column(codes)]
        return [pick(self.classes, best), numbers(confidence), *each], best, confidence, codes


def _with_unscored(
    rows: Rows, finite: NDArray[np.bool_]
) -> tuple[tuple[Reject, ...], pa.RecordBatch]:
    """The rejects and their columns with the rows that got no finite probability, by row."""
    unscored = np.flatnonzero(~finite)
    offsets = unscored if rows.good is None else rows.good[unscored]
    lines = offsets if rows.good_lines is None else rows.good_lines[unscored]
    added = [
        Reject(row=int(row), reason="no-probability", line=int(line) if rows.lines else None)
        for row, line in zip(offsets, lines, strict=True)
    ]
    rejects = [*rows.rejects, *added]
    rejected = joined([rows.rejected, take(rows.passthrough, unscored)])
    order = sorted(range(len(rejects)), key=lambda i: rejects[i].row)
    return tuple(rejects[i] for i in order), take(rejected, np.array(order, np.int64))
