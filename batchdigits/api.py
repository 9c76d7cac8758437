"""What `import batchdigits` offers. The commands call the same functions."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from batchdigits.archive.bundle_file import BundleFile
from batchdigits.engines.open import DEFAULT_ENGINE, open_checked, open_once
from batchdigits.errors import UnusableInputError
from batchdigits.evaluation.options import DEFAULT_LABEL, LabelledOptions
from batchdigits.files.inputs import expand_inputs
from batchdigits.files.targets import plan_targets
from batchdigits.images import PIXELS
from batchdigits.rows.options import BATCH_ROWS, ReadOptions
from batchdigits.scoring.options import RunOptions, ScoreOptions, parse_review_below
from batchdigits.store.choice import BundleChoice
from batchdigits.text import count_of, listing

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray

    from batchdigits.engines.contract import Engine
    from batchdigits.evaluation.summary import Evaluation
    from batchdigits.rows.contract import Rows
    from batchdigits.scoring.one_input import OnProgress
    from batchdigits.scoring.run import RunSummary
    from batchdigits.scoring.scorer import Scorer

    TableLike: TypeAlias = pa.Table | pa.RecordBatch | NDArray[np.generic] | pd.DataFrame

PathLike = str | os.PathLike[str]


class ScoredBatch(NamedTuple):
    """A record batch scored: every row is in `predictions` or in `rejects`, in its order."""

    predictions: pa.RecordBatch
    rejects: pa.RecordBatch


class Bundle:
    """A checked bundle with an engine whose golden rows were replayed, ready to predict.

    `manifest` holds its facts, `digest` is the sha256 of its file, `path` where it was read,
    `signed_by` the id of the trusted key that signed it (None if no signature was checked).

    A bundle can be pickled: it goes as the bytes of its file with their digest. The process that
    gets it checks both, and opens the engine when it first scores: once for all of its copies.
    """

    def __init__(self, file: BundleFile, engine: Engine | str) -> None:
        self.file = file
        self.path = file.path
        self.digest = file.digest
        self.signed_by = file.signed_by
        self.manifest = file.manifest
        self._engine = engine

    @property
    def engine(self) -> Engine:
        """The engine; only in a process that got the bundle pickled it may have to be opened."""
        if isinstance(self._engine, str):
            self._engine = open_once(self.file, self._engine)
        return self._engine

    @property
    def classes(self) -> pa.Array:
        """The label of each of the engine's outputs."""
        return self.manifest.classes.array()

    @property
    def facts(self) -> dict[str, str]:
        """Name, version and digest, as summaries and receipts show them."""
        return self.file.facts

    def predict(
        self,
        rows: TableLike,
        *,
        probabilities: bool = False,
        review_below: float | None = None,
        strangeness: bool = False,
        pixels: str | None = None,
    ) -> pa.Table:
        """Score rows in memory; the result has one row for each, in the same order.

        rows           Arrow table or record batch or pandas DataFrame with the pixel columns by
                       any known spelling, or a NumPy array of shape (n, 64), any real dtype; pixels
                       are 0..16
        probabilities  add `proba_<class>` columns (float32)
        review_below   decide by this confidence, 0..1, instead of the bundle's
        strangeness    add the column `strangeness` (float32): how far a row is from usual digits
        pixels         which columns hold the pixels, as the `--pixels` flag

        Returns the other columns, `prediction` (the label's type), `confidence` (float32 in 0..1)
        and, with a threshold or strangeness, `decision` and `cause` (text). Raises
        UnusableInputError if any row can't be scored, naming the first 20: nothing is dropped and
        nothing made up.
        """
        import pyarrow as pa

        from batchdigits.rows.memory import WHERE, check_table, to_table
        from batchdigits.rows.pixels import refuse_reserved

        scorer = self.scorer(
            probabilities=probabilities, review_below=review_below, strangeness=strangeness
        )
        schema, checked = check_table(to_table(rows), ReadOptions(pixels=pixels))
        refuse_reserved(schema.names, scorer.names, WHERE)
        parts = list(checked)
        _refuse_rejects(parts)
        batches = [scorer.score(part).predictions for part in parts]
        return pa.Table.from_batches(batches, schema=scorer.schema(schema))

    def score_batches(
        self,
        batches: Iterable[pa.RecordBatch],
        *,
        probabilities: bool = False,
        review_below: float | None = None,
        strangeness: bool = False,
        read: ReadOptions | None = None,
        name: str = "rows",
    ) -> Iterator[ScoredBatch]:
        """Score record batches of one schema, one after another: for streams that must not end.

        read  which columns hold the pixels, their scale, and which columns pass through
        name  what the column `input` of the rejects calls the rows

        Yields, for each batch, its predictions with the columns that `predict` describes, and its
        rejects with the columns of a rejects file; `row` counts from 1 over all batches. A row that
        can't be scored is a reject, never an error. Raises UnusableInputError for columns that
        can't be scored.
        """
        from batchdigits.scoring.batches import score_batches

        scorer = self.scorer(
            probabilities=probabilities, review_below=review_below, strangeness=strangeness
        )
        scored = score_batches(batches, scorer, read or ReadOptions(), name)
        return (ScoredBatch(predictions, rejects) for predictions, rejects in scored)

    def scorer(
        self,
        *,
        probabilities: bool = False,
        review_below: float | None = None,
        strangeness: bool = False,
    ) -> Scorer:
        """The scorer that adds the columns which `predict` describes.

        Raises UsageError for a threshold out of 0..1 or an engine that can't measure strangeness,
        BundleError for a bundle that can't.
        """
        from batchdigits.scoring.scorer import Scorer

        options = ScoreOptions.of(
            {
                "probabilities": probabilities,
                "review_below": review_below,
                "strangeness": strangeness,
            }
        )
        return Scorer.of(self.file, self.engine, options)

    def __reduce__(self) -> tuple[Any, ...]:
        name = self._engine if isinstance(self._engine, str) else self._engine.name
        return Bundle, (self.file, name)


def open_bundle(
    reference: PathLike | None = None,
    *,
    store: PathLike | None = None,
    engine: str = DEFAULT_ENGINE,
    expect_digest: str | None = None,
    require_signature: bool | None = None,
    trusted_keys: PathLike | None = None,
) -> Bundle:
    """Open a bundle: a path, `NAME@VERSION`, `NAME@ALIAS` or `NAME` (its newest).

    Without a reference: $BATCHDIGITS_BUNDLE, else the bundle that ships inside the package.
    `require_signature` and `trusted_keys` (a folder) left out: $BATCHDIGITS_REQUIRE_SIGNATURE and
    $BATCHDIGITS_TRUSTED_KEYS. Raises BundleError if it is missing, damaged, not the expected one,
    not signed as it must be, or fails its golden rows; UsageError if a store is given without a
    reference; MissingExtraError if what the engine or a signature needs is not installed.
    """
    choice = BundleChoice(reference, store, expect_digest, require_signature, trusted_keys, engine)
    file = choice.load()
    return Bundle(file, open_checked(file, engine))


def score(
    inputs: PathLike | Iterable[PathLike],
    *,
    output: PathLike | None = None,
    bundle: PathLike | None = None,
    store: PathLike | None = None,
    expect_digest: str | None = None,
    require_signature: bool | None = None,
    trusted_keys: PathLike | None = None,
    engine: str = DEFAULT_ENGINE,
    pixels: str | None = None,
    header: bool = True,
    delimiter: str = ",",
    scale: float | None = None,
    keep: Sequence[str] | None = None,
    probabilities: bool = False,
    review_below: float | str | None = None,
    strangeness: bool = False,
    max_rejects: int | str = 0,
    max_drift: float | str | None = None,
    overwrite: bool = False,
    allow_suspect: bool = False,
    check: bool = False,
    batch_size: int = BATCH_ROWS,
    workers: int | None = None,
    on_progress: OnProgress | None = None,
) -> RunSummary:
    """Score files, as `python -m batchdigits.predict` does: same flags, files and exit codes.

    Refused inputs are in the summary, with their one-line error; `exit_code` sums it up. With
    `check` nothing is scored or written: the summary says what is known beforehand. `on_progress`
    is called with rows done, part done (0..1 or None) and name of the input at hand. Raises
    UsageError, NoInputError and BundleError for what concerns the run as a whole.
    """
    # Every keyword is a field of one of the five records that these options consist of.
    given = dict(locals())
    input_files = expand_inputs(_paths(inputs))
    targets = plan_targets(input_files, None if output is None else os.fspath(output))
    options = RunOptions.of(given)

    # From here on there is work to do. Whatever a usage error did not wait for is imported now.
    from batchdigits.scoring.run import score_inputs

    planned = list(zip(input_files.inputs, targets, strict=True))
    return score_inputs(planned, options, on_progress or _no_progress, dry_run=check)


def evaluate(
    inputs: PathLike | Iterable[PathLike],
    *,
    label: str = DEFAULT_LABEL,
    by: Sequence[str] = (),
    read: ReadOptions | None = None,
    bundle: PathLike | BundleChoice | None = None,
    review_below: float | str | None = None,
    on_progress: OnProgress | None = None,
) -> Evaluation:
    """Score labelled files, as `python -m batchdigits.evaluate` does, and return the figures.

    label         the column of true labels
    by            other columns, by whose values rows are counted too
    read          which columns hold the pixels, how the CSV is written, the scale of the pixels
    bundle        as `open_bundle` takes it, or a BundleChoice with conditions
    review_below  count what is accepted at this confidence, 0..1, instead of the bundle's

    Raises UsageError, NoInputError, UnusableInputError, TryAgainError and BundleError: one input
    file that is refused refuses all.
    """
    options = LabelledOptions(**{**asdict(read or ReadOptions()), "keep": tuple(by)}, label=label)
    options.checked()
    choice = bundle if isinstance(bundle, BundleChoice) else BundleChoice(bundle)
    threshold = parse_review_below(review_below)
    input_files = expand_inputs(_paths(inputs)).inputs

    from batchdigits.evaluation.files import evaluate_files  # as in `score`

    return evaluate_files(
        input_files, options, choice.checked(), review_below=threshold, on_progress=on_progress
    )


def _paths(inputs: PathLike | Iterable[PathLike]) -> list[str]:
    arguments = [inputs] if isinstance(inputs, (str, os.PathLike)) else inputs
    return [os.fspath(argument) for argument in arguments]


def _refuse_rejects(parts: Sequence[Rows]) -> None:
    count = sum(len(part.rejects) for part in parts)
    if not count:
        return
    starts = accumulate((part.rows for part in parts), initial=0)
    problems = (
        f"row {start + reject.row} is {reject.reason} ({reject.column})"
        for start, part in zip(starts, parts, strict=False)
        for reject in part.rejects
    )
    raise UnusableInputError(
        f"{count_of(count, 'row')} can't be scored (rows count from 0): {listing(problems)}; "
        f"each needs {PIXELS} numbers in 0..16"
    )


def _no_progress(_rows: int, _part: float | None, _name: str) -> None:
    pass
