"""Rows mode: a DataFrame goes through the scoring function, batch by batch, and comes out lazy."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from inspect import signature
from typing import TYPE_CHECKING, Any

from batchdigits.api import Bundle, PathLike, open_bundle
from batchdigits.cli.keywords import with_keywords
from batchdigits.errors import UnusableInputError
from batchdigits.rows.options import ReadOptions
from batchdigits.rows.pixels import find_pixels, refuse_reserved, select_passthrough
from batchdigits.rows.rejects import REJECT_COLUMNS
from batchdigits.scoring.options import ScoreOptions, parse_review_below
from batchdigits.text import listing

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame
    from pyspark.sql.types import StructType

    from batchdigits.scoring.batches import ScoredBatch
    from batchdigits.scoring.scorer import Scorer

WHERE = "the DataFrame"

REJECT = "reject"
"""The column that says why a row was not scored; null for the others."""

REJECT_FIELDS = ("reason", "column", "value", "raw")
"""The fields of `REJECT`: those of a rejects file, except for where the row stood."""

PACKED = "_batchdigits_pixels"
"""The name of the list in which 64 pixel columns of one type come to a Python worker."""

_MARK = "_batchdigits"


@dataclass(frozen=True, slots=True)
class Work:
    """What one call of `score` does, in each Python worker.

    bundle         checked again in each process that unpickles it
    read           the pixel columns, their scale, and the columns that pass through
    score          the columns that scoring adds
    allow_suspect  whether to score partitions that don't look like digits
    packed         the names of the 64 pixel columns, if they come as the list `PACKED`; else empty
    """

    bundle: Bundle
    read: ReadOptions
    score: ScoreOptions
    allow_suspect: bool
    packed: tuple[str, ...] = ()

    def batches(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Score the record batches of a partition, row for row.

        Each row keeps its place: it has a prediction, or a reason in `reject`.
        """
        held: list[pa.RecordBatch] = []
        done = 0
        read = replace(self.read, pixels=PACKED) if self.packed else self.read
        for scored in self.bundle.score_batches(
            _remembered(batches, held),
            probabilities=self.score.probabilities,
            review_below=self.score.review_below,
            strangeness=self.score.strangeness,
            read=read,
            name="a partition",
            allow_suspect=self.allow_suspect,
        ):
            batch = held.pop()
            yield merged(batch, scored, first_row=done + 1, packed=self.packed)
            done += batch.num_rows


@dataclass(frozen=True, slots=True)
class Source:
    """The DataFrame that was scored, and how: `write` needs both."""

    df: DataFrame
    work: Work
    decides: bool

    @property
    def options(self) -> dict[str, Any]:
        """The options that decide the columns and their values, as receipts hold them."""
        work = self.work
        return {
            "engine": work.bundle.engine.name,
            "pixels": work.read.pixels,
            "scale": work.read.scale,
            "keep": None if work.read.keep is None else list(work.read.keep),
            "probabilities": work.score.probabilities,
            "review_below": work.score.review_below,
            "strangeness": work.score.strangeness,
            "allow_suspect": work.allow_suspect,
        }


@with_keywords
def score(
    df: DataFrame,
    bundle: Bundle | PathLike | None = None,
    *,
    probabilities: bool = False,
    review_below: float | None = None,
    strangeness: bool = False,
    pixels: str | None = None,
    scale: float | None = None,
    keep: Sequence[str] | None = None,
    allow_suspect: bool = False,
) -> DataFrame:
    """Score the rows of a DataFrame. The result is lazy: nothing is scored until it is used.

    bundle         a Bundle, or a reference as for `open_bundle`; it travels with the tasks, and
                   each Python worker checks its digest and replays its golden rows
    keep           the columns besides the pixels that pass through, in this order; None: all
    allow_suspect  score partitions that look scaled, inverted, turned, mirrored or blank as a
                   whole; without it their task fails
    others         as for `Bundle.predict`

    Returns a row for each row: the other columns, those that `Bundle.predict` adds, null where the
    row could not be scored, and `reject`: null, or why not (reason, column, value, raw). Works with
    a classic session and over Spark Connect. Raises UnusableInputError for columns that can't be
    scored, UsageError for wrong options, BundleError for a bundle that can't be used.
    """
    from batchdigits.scoring.scorer import Scorer

    opened = bundle if isinstance(bundle, Bundle) else open_bundle(bundle)
    options = ScoreOptions(probabilities, parse_review_below(review_below), strangeness)
    kept = None if keep is None else tuple(keep)
    read = ReadOptions(pixels=pixels, scale=scale, keep=kept).checked()
    scorer = Scorer.of(opened.file, opened.engine, options)
    digits, others, schema = _plan(df, read, scorer)
    packed = _packed(df, digits, others)
    work = Work(opened, read, options, allow_suspect, packed)
    names = [*([PACKED] if packed else digits), *others]
    sources = [*map(_quoted, digits)]
    if packed:
        sources = [f"array({', '.join(sources)})"]
    # By number, since mapInArrow can't take a column whose name holds a dot or a backtick.
    sources = [f"{source} as c{i}" for i, source in enumerate([*sources, *map(_quoted, others)])]
    scored = df.selectExpr(*sources).mapInArrow(_task(work, names), schema)
    setattr(scored, _MARK, Source(df, work, decides=scorer.decider is not None))
    return scored


def source_of(df: DataFrame) -> Source | None:
    """Return what a DataFrame was scored from; None unless it is as `score` returned it."""
    found = df.__dict__.get(_MARK)
    return found if isinstance(found, Source) else None


def merged(
    batch: pa.RecordBatch, scored: ScoredBatch, first_row: int, packed: Sequence[str] = ()
) -> pa.RecordBatch:
    """Return a batch's pass-through columns, its predictions and its rejects, row for row.

    first_row  the number of the batch's first row, as the rejects count it
    packed     the names of the pixels of the list `PACKED`, which the rejects name
    """
    import numpy as np
    import pyarrow as pa

    from batchdigits.rows.arrow import positions

    predictions, rejects = scored
    names = predictions.schema.names
    kept = sum(name not in REJECT_COLUMNS for name in rejects.schema.names)
    columns = [batch.column(name) for name in names[:kept]]
    results = predictions.columns[kept:]
    if packed and rejects.num_rows:
        rejects = _unpacked(rejects, packed)
    reasons = pa.StructArray.from_arrays(
        [rejects.column(name) for name in REJECT_FIELDS], fields=_reject_fields()
    )
    if rejects.num_rows:
        offsets = rejects.column("row").to_numpy() - first_row
        rejected = np.zeros(batch.num_rows, bool)
        rejected[offsets] = True
        places = np.where(rejected, np.cumsum(rejected), np.cumsum(~rejected)) - 1
        results = [column.take(positions(places, ~rejected)) for column in results]
        reasons = reasons.take(positions(places, rejected))
    else:
        reasons = pa.nulls(batch.num_rows, reasons.type)
    return pa.RecordBatch.from_arrays([*columns, *results, reasons], names=[*names, REJECT])


def _unpacked(rejects: pa.RecordBatch, names: Sequence[str]) -> pa.RecordBatch:
    """Name the column of each reject instead of its place in the list of all."""
    import pyarrow as pa

    column_of = {f"{PACKED}[{i}]": name for i, name in enumerate(names)}
    columns = [column_of.get(place) for place in rejects.column("column").to_pylist()]
    at = rejects.schema.get_field_index("column")
    return rejects.set_column(at, rejects.schema.field(at), pa.array(columns, pa.string()))


def _reject_fields() -> list[pa.Field]:
    import pyarrow as pa

    return [pa.field(name, pa.string()) for name in REJECT_FIELDS]


def _remembered(
    batches: Iterable[pa.RecordBatch], held: list[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        held.append(batch)
        yield batch


def _task(work: Work, names: list[str]) -> Callable[[Iterator[Any]], Iterator[Any]]:
    """The function of a partition, whose columns get these names: Spark takes no method."""

    def score_partition(batches: Iterator[Any]) -> Iterator[Any]:
        yield from work.batches(batch.rename_columns(names) for batch in batches)
        freeze_once()

    return score_partition


def freeze_once() -> None:
    """Take what is imported out of the garbage collector's sight, the first time in a process.

    Spark's Python workers collect all garbage after every task. That looks through every object of
    pyarrow and pandas, and takes 40 ms: as long as scoring 100,000 rows.
    """
    if not gc.get_freeze_count():
        gc.collect()
        gc.freeze()


def _packed(df: DataFrame, pixels: Sequence[str], kept: Sequence[str]) -> tuple[str, ...]:
    """Return the pixel columns if Spark can send them as one list without changing a value.

    After each row Spark asks every column that it sends for its size: 64 of them cost more than
    to read them.
    """
    types = {repr(field.dataType) for field in df.schema.fields if field.name in pixels}
    alone = len(pixels) == 1 or len(types) > 1 or PACKED in kept
    return () if alone else tuple(pixels)


def _plan(
    df: DataFrame, read: ReadOptions, scorer: Scorer
) -> tuple[list[str], list[str], StructType]:
    """Return the pixel columns, those that pass through, and the schema of the result.

    Raises UnusableInputError or UsageError for columns that can't be scored.
    """
    import pyarrow as pa
    from pyspark.sql.pandas.types import from_arrow_schema
    from pyspark.sql.types import StructType

    from batchdigits.rows.arrays import check_types

    names = df.columns
    pixels = find_pixels(names, read.pixels, WHERE)
    kept = [names[i] for i in select_passthrough(names, pixels, read.select, WHERE)]
    _refuse_equal_but_for_case([*pixels.names, *kept, *scorer.names, REJECT])
    refuse_reserved(kept, {*scorer.names, *REJECT_COLUMNS, REJECT}, WHERE)
    fields = {field.name: field for field in df.schema.fields}
    check_types(pa.schema([_arrow_field(fields[name]) for name in pixels.names]), pixels, WHERE)
    for name in kept:
        _arrow_field(fields[name])
    added = [column.field for column in scorer.columns]
    reject = pa.field(REJECT, pa.struct(_reject_fields()))
    results = from_arrow_schema(pa.schema([*added, reject])).fields
    return [*pixels.names], kept, StructType([*(fields[name] for name in kept), *results])


def _arrow_field(field: Any) -> pa.Field:
    """The Arrow field of a column in a Python worker. Raises UnusableInputError if none can be."""
    from pyspark.errors import PySparkException
    from pyspark.sql.pandas.types import to_arrow_schema
    from pyspark.sql.types import StructType

    # Earlier versions ask for no time zone.
    zone = {"timezone": "UTC"} if "timezone" in signature(to_arrow_schema).parameters else {}
    try:
        return to_arrow_schema(StructType([field]), **zone).field(0)
    except PySparkException as error:
        raise UnusableInputError(
            f"{WHERE}: column {field.name!r} has the type {field.dataType.simpleString()}, which "
            "can't go through Arrow; cast it, or leave it out with --keep"
        ) from error


def _refuse_equal_but_for_case(names: Sequence[str]) -> None:
    """Raise UnusableInputError for names that Spark takes for one and the same column."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.lower(), name)
        if other != name:
            raise UnusableInputError(
                f"{WHERE}: the columns {listing(map(repr, (other, name)))} differ in case alone, "
                "which Spark and Hive can't tell apart; rename one, or choose columns with --keep"
            )


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
