"""The scoring function: checked rows go through an engine and come out as columns to write.

Runs over files, rows in memory and record batches all call it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from batchdigits.archive.bundle_file import BundleFile
from batchdigits.engines.contract import Engine, MeasuringEngine, as_measuring, most_probable
from batchdigits.errors import BundleError
from batchdigits.rows.arrow import joined, numbers, pick, take
from batchdigits.rows.contract import Pixels, Rows
from batchdigits.rows.rejects import Reject
from batchdigits.scoring.decision import Decider, cause_column, count_causes, decision_column
from batchdigits.scoring.ledger import Counts
from batchdigits.scoring.options import ScoreOptions


@dataclass(frozen=True, slots=True)
class Scored:
    """A scored batch: of its `rows`, each is in `predictions` or in `rejects`.

    pixels         (n, 64), as the engine saw them
    offsets        int64 (n,): the place of each prediction's row among `rows`
    best           int64 (n,): the index of each predicted class
    confidence     float32 (n,): as written, at most 1
    probabilities  float32 (n, k); None unless the scorer writes them
    causes         rows to review by cause; None without a decider
    rejected       the pass-through columns of `rejects`, one row each
    """

    predictions: pa.RecordBatch
    pixels: Pixels
    offsets: NDArray[np.int64]
    best: NDArray[np.int64]
    confidence: NDArray[np.float32]
    probabilities: NDArray[np.float32] | None
    causes: Mapping[str, int] | None
    rejects: tuple[Reject, ...]
    rejected: pa.RecordBatch
    rows: int
    lines: int

    @property
    def counts(self) -> Counts:
        return Counts(
            rows_in=self.rows,
            rows_predicted=self.predictions.num_rows,
            rows_rejected=len(self.rejects),
            reasons=Counter(reject.reason for reject in self.rejects),
            causes=self.causes,
        )


@dataclass(frozen=True, slots=True)
class _Results:
    """The engine's results and the decisions of n rows; a confidence may be NaN.

    The last three are None if no output column needs them.
    """

    best: NDArray[np.int64]
    confidence: NDArray[np.float32]
    probabilities: Any
    strangeness: Any
    codes: Any

    def at(self, places: NDArray[np.int64]) -> _Results:
        """Return the results of some of the rows."""
        arrays = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: a[places] for name, a in arrays.items() if a is not None})


@dataclass(frozen=True, slots=True)
class OutputColumn:
    """A column that scoring adds: its name and type, and the function that makes its values.

    few_values  whether its values repeat a lot, which some formats store smaller
    """

    field: pa.Field
    make: Callable[[_Results], pa.Array]
    few_values: bool = False


class Scorer:
    """An engine, its labels, and the columns to write.

    classes        the labels, in the order of the engine's k outputs
    probabilities  whether to write a `proba_CLASS` column for each class
    decider        makes the columns `decision` and `cause`; None: they are not written
    measuring      the same engine, if `strangeness` is written; else None
    columns        the columns that scoring adds after the pass-through columns, in order
    """

    def __init__(
        self,
        engine: Engine,
        classes: pa.Array,
        probabilities: bool = False,
        *,
        decider: Decider | None = None,
        measuring: MeasuringEngine | None = None,
    ) -> None:
        self.engine = engine
        self.classes = classes
        self.probabilities = probabilities
        self.decider = decider
        self.measuring = measuring
        self.columns = tuple(_output_columns(self))

    @classmethod
    def of(cls, bundle: BundleFile, engine: Engine, options: ScoreOptions) -> Self:
        """Make the scorer for some options, with the thresholds of the bundle.

        Raises UsageError for an engine that can't measure strangeness, BundleError for a bundle
        that can't.
        """
        options.check_engine(engine.name)
        thresholds = bundle.manifest.thresholds
        if options.review_below is not None:
            thresholds = replace(thresholds, review_below=options.review_below)
        decides = thresholds.decide or options.strangeness
        measuring = as_measuring(engine) if options.strangeness else None
        if options.strangeness and measuring is None:
            raise BundleError(
                f"{bundle.path}: can't measure strangeness: its model.onnx has no such output; "
                "leave out --strangeness, or rebuild the bundle with train"
            )
        return cls(
            engine,
            bundle.manifest.classes.array(),
            options.probabilities,
            decider=Decider(thresholds) if decides else None,
            measuring=measuring,
        )

    @property
    def labels(self) -> list[str]:
        """The classes as text."""
        return [str(label) for label in self.classes.to_pylist()]

    @property
    def names(self) -> list[str]:
        """The names of `columns`."""
        return [column.field.name for column in self.columns]

    @property
    def few_values(self) -> frozenset[str]:
        """The names of the columns whose values repeat a lot."""
        return frozenset(column.field.name for column in self.columns if column.few_values)

    def schema(self, passthrough: pa.Schema) -> pa.Schema:
        """Return the schema of predictions with these pass-through columns."""
        return pa.schema([*passthrough, *(column.field for column in self.columns)])

    def score(self, rows: Rows) -> Scored:
        """Score a batch. Rows without a finite probability become rejects."""
        results = self._results(rows.pixels)
        passthrough, rejects, rejected = rows.passthrough, rows.rejects, rows.rejected
        pixels, offsets = rows.pixels, rows.offsets
        finite = np.isfinite(results.confidence)
        if not finite.all():
            rejects, rejected = _with_unscored(rows, finite)
            scored = np.flatnonzero(finite)
            passthrough, results = take(passthrough, scored), results.at(scored)
            pixels, offsets = pixels[scored], offsets[scored]
        arrays = [*passthrough.columns, *(column.make(results) for column in self.columns)]
        schema = self.schema(passthrough.schema)
        return Scored(
            predictions=pa.RecordBatch.from_arrays(arrays, schema=schema),
            pixels=pixels,
            offsets=offsets,
            best=results.best,
            confidence=results.confidence,
            probabilities=results.probabilities,
            causes=None if results.codes is None else count_causes(results.codes),
            rejects=rejects,
            rejected=rejected,
            rows=rows.rows,
            lines=rows.lines,
        )

    def _results(self, pixels: Pixels) -> _Results:
        probabilities = strangeness = codes = None
        if self.measuring is not None:
            best, confidence, strangeness = self.measuring.measure(pixels)
        if self.probabilities:
            probabilities = self.engine.probabilities(pixels)
            best, confidence = most_probable(probabilities)
        elif self.measuring is None:
            best, confidence = self.engine.most_probable(pixels)
        # Rounding can lift a softmax one bit above 1.
        confidence = np.minimum(confidence, np.float32(1.0))
        if self.decider is not None:
            codes = self.decider.decide(confidence, pixels, strangeness)
        return _Results(best, confidence, probabilities, strangeness, codes)


def _output_columns(scorer: Scorer) -> Iterator[OutputColumn]:
    """Yield the output columns in their order; no other code lists them."""
    text, number, classes = pa.string(), pa.float32(), scorer.classes
    yield OutputColumn(
        pa.field("prediction", classes.type),
        lambda results: pick(classes, results.best),
        few_values=True,
    )
    yield OutputColumn(pa.field("confidence", number), lambda results: numbers(results.confidence))
    if scorer.decider is not None:
        yield OutputColumn(
            pa.field("decision", text),
            lambda results: decision_column(results.codes),
            few_values=True,
        )
        yield OutputColumn(
            pa.field("cause", text), lambda results: cause_column(results.codes), few_values=True
        )
    if scorer.measuring is not None:
        yield OutputColumn(
            pa.field("strangeness", number), lambda results: numbers(results.strangeness)
        )
    if scorer.probabilities:
        for index, label in enumerate(classes.to_pylist()):
            yield OutputColumn(pa.field(f"proba_{label}", number), _probability_maker(index))


def _probability_maker(index: int) -> Callable[[_Results], pa.Array]:
    return lambda results: numbers(results.probabilities[:, index])


def _with_unscored(
    rows: Rows, finite: NDArray[np.bool_]
) -> tuple[tuple[Reject, ...], pa.RecordBatch]:
    """Merge the rows without a finite probability into the rejects, ordered by row."""
    unscored = np.flatnonzero(~finite)
    offsets = rows.offsets[unscored]
    lines = offsets if rows.good_lines is None else rows.good_lines[unscored]
    added = [
        Reject(row=int(row), reason="no-probability", line=int(line) if rows.lines else None)
        for row, line in zip(offsets, lines, strict=True)
    ]
    rejects = [*rows.rejects, *added]
    rejected = joined([rows.rejected, take(rows.passthrough, unscored)])
    order = sorted(range(len(rejects)), key=lambda i: rejects[i].row)
    return tuple(rejects[i] for i in order), take(rejected, np.array(order, np.int64))
