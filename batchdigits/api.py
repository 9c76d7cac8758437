"""The Python interface: `open_bundle`, `Bundle`, `score` and `pack`. The commands call it too."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, Any, TypeAlias

from batchdigits.archive.bundle_file import BundleFile
from batchdigits.cli.keywords import spelled, with_keywords
from batchdigits.engines.open import DEFAULT_ENGINE, open_checked, open_once
from batchdigits.errors import UnusableInputError, UsageError
from batchdigits.evaluation.options import DEFAULT_LABEL, LabelledOptions
from batchdigits.files.digest import short_digest
from batchdigits.files.inputs import expand_inputs, scorable_inputs
from batchdigits.files.names import InputFile, Shard
from batchdigits.files.targets import Targets, plan_targets
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
    from batchdigits.evaluation.files import Evaluation
    from batchdigits.monitoring.judge import Judge
    from batchdigits.rows.contract import Rows
    from batchdigits.scoring.batches import ScoredBatch
    from batchdigits.scoring.one_input import OnProgress
    from batchdigits.scoring.run import RunSummary
    from batchdigits.scoring.scorer import Scorer

    TableLike: TypeAlias = pa.Table | pa.RecordBatch | NDArray[np.generic] | pd.DataFrame

logger = logging.getLogger("batchdigits")

PathLike = str | os.PathLike[str]


class Bundle:
    """A checked bundle and an engine that has replayed its golden rows, ready to predict.

    `manifest` holds its facts, `digest` is the sha256 of its file, `path` the file it was read
    from, `signed_by` the id of the trusted key that signed it (None if no signature was checked).

    A bundle can be pickled, as the bytes and the digest of its file. The process that unpickles it
    checks both, and opens one engine for all copies when it first scores.
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
        """The engine; an unpickled bundle opens it when it is first used."""
        if isinstance(self._engine, str):
            self._engine = open_once(self.file, self._engine)
        return self._engine

    @property
    def classes(self) -> pa.Array:
        """The labels, in the order of the engine's outputs."""
        return self.manifest.classes.array()

    @property
    def facts(self) -> dict[str, str]:
        """Name, version and digest, as in summaries and receipts."""
        return self.file.facts

    @with_keywords
    def predict(
        self,
        rows: TableLike,
        *,
        probabilities: bool = False,
        review_below: float | None = None,
        strangeness: bool = False,
        pixels: str | None = None,
        scale: float | None = None,
    ) -> pa.Table | pd.DataFrame:
        """Score rows in memory. The result has the same number of rows, in the same order.

        rows           an Arrow table or record batch or a pandas DataFrame with pixel columns of a
                       known spelling, or a NumPy array of shape (n, 64) of any real dtype; pixels
                       are 0..16, or 0..scale
        probabilities  add the columns `proba_CLASS` (float32)
        review_below   the threshold of the decision, 0..1, instead of the bundle's
        strangeness    add the column `strangeness` (float32), the distance from usual digits
        pixels         the pixel columns, as for the flag `--pixels`
        scale          the largest value that a pixel can have, if that is not 16

        Returns the other columns, `prediction` (of the labels' type), `confidence` (float32, 0..1),
        and `decision` and `cause` (text), unless the bundle knows neither ink nor threshold: as a
        DataFrame with the same index for a DataFrame, else as an Arrow table. Warns
        with BatchdigitsWarning if the rows as a whole do not look like digits. Raises
        UnusableInputError, naming the first 20 rows, if any row can't be scored; UsageError for a
        threshold outside 0..1; UsageError or BundleError if strangeness can't be measured.
        """
        import pyarrow as pa

        from batchdigits.monitoring.suspicion import Suspicion
        from batchdigits.rows.memory import WHERE, as_given, check_table, to_table
        from batchdigits.rows.pixels import refuse_reserved
        from batchdigits.scoring.batches import warn_of

        scorer = self._scorer(probabilities, review_below, strangeness)
        read = ReadOptions(pixels=pixels, scale=scale).checked()
        schema, checked = check_table(to_table(rows), read)
        refuse_reserved(schema.names, scorer.names, WHERE)
        batches = list(checked)
        _refuse_rejects(batches, read.darkest)
        predictions = [scorer.score(batch).predictions for batch in batches]
        suspicion = Suspicion(self._rows_judge, scale)
        for batch in batches:
            suspicion.add(batch)
        warn_of(suspicion)
        table = pa.Table.from_batches(predictions, schema=scorer.schema(schema))
        return as_given(rows, table)

    @with_keywords
    def score_batches(
        self,
        batches: Iterable[pa.RecordBatch],
        *,
        probabilities: bool = False,
        review_below: float | None = None,
        strangeness: bool = False,
        read: ReadOptions | None = None,
        name: str = "rows",
        allow_suspect: bool = True,
    ) -> Iterator[ScoredBatch]:
        """Score a stream of record batches of one schema. A bad row is a reject, never an error.

        read  the pixel columns, their scale, and the columns that pass through
        name  the value of the rejects' column `input`

        Yields the predictions of each batch with the columns that `predict` returns, and its
        rejects with the columns of a rejects file, whose `row` counts from 1 over all batches.
        Warns with BatchdigitsWarning if the rows do not look like digits, after the first 65,536 or
        at the end; with allow_suspect=False it raises UnusableInputError instead. Raises that too
        for columns that can't be scored, and UsageError for wrong options.
        """
        from batchdigits.scoring.batches import score_batches

        scorer = self._scorer(probabilities, review_below, strangeness)
        read = (read or ReadOptions()).checked()
        judge = self._rows_judge
        return score_batches(batches, scorer, read, name, judge=judge, allow_suspect=allow_suspect)

    @cached_property
    def _rows_judge(self) -> Judge:
        from batchdigits.archive.reference import read_reference
        from batchdigits.scoring.watch import make_judge

        return make_judge(self.file, self.engine, read_reference(self.file))

    def _scorer(self, probabilities: bool, review_below: float | None, strangeness: bool) -> Scorer:
        from batchdigits.scoring.scorer import Scorer

        threshold = parse_review_below(review_below)
        options = ScoreOptions(probabilities, threshold, strangeness)
        return Scorer.of(self.file, self.engine, options)

    def _repr_html_(self) -> str:
        """Return a small table for a notebook."""
        from batchdigits.html import facts_table

        facts, engine = self.manifest, self._engine
        return facts_table(
            f"bundle {facts.name}@{facts.version}",
            {
                "classes": listing(str(label) for label in facts.classes.values),
                "digest": short_digest(self.digest),
                "signed by": self.signed_by or "no key was asked for",
                "engine": engine if isinstance(engine, str) else type(engine).__name__,
                "file": self.path,
            },
        )

    def __repr__(self) -> str:
        facts, digest = self.manifest, short_digest(self.digest)
        named = f"{facts.name}@{facts.version} of {len(facts.classes)} classes"
        return f"<Bundle {named}, {digest}, from {str(self.path)!r}>"

    def __reduce__(self) -> tuple[Any, ...]:
        name = self._engine if isinstance(self._engine, str) else self._engine.name
        return Bundle, (self.file, name)


@with_keywords
def open_bundle(
    reference: PathLike | None = None,
    *,
    store: PathLike | None = None,
    engine: str = DEFAULT_ENGINE,
    expect_digest: str | None = None,
    require_signature: bool | None = None,
    trusted_keys: PathLike | None = None,
) -> Bundle:
    """Open a bundle: a path, `NAME@VERSION`, `NAME@ALIAS`, or `NAME` for its newest version.

    The default of `reference` is $BATCHDIGITS_BUNDLE, else the bundle inside the package; that of
    `require_signature` and `trusted_keys` (a folder) are $BATCHDIGITS_REQUIRE_SIGNATURE and
    $BATCHDIGITS_TRUSTED_KEYS. Raises BundleError if the bundle is missing or damaged, has another
    digest, lacks a required signature, or fails its golden rows; UsageError for a store without a
    reference; MissingExtraError if a package for the engine or the signature is not installed.
    """
    choice = BundleChoice(reference, store, expect_digest, require_signature, trusted_keys, engine)
    file = choice.load()
    return Bundle(file, open_checked(file, engine))


@with_keywords
def score(
    inputs: PathLike | Iterable[PathLike],
    *,
    output: PathLike | None = None,
    format: str | None = None,  # noqa: A002  # the keywords are the flags
    recursive: bool = False,
    shard: str | None = None,
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
    skip_lines: int = 0,
    comment: str | None = None,
    decimal: str = ".",
    encoding: str = "utf-8",
    probabilities: bool = False,
    review_below: float | str | None = None,
    strangeness: bool = False,
    keep_pixels: bool = False,
    row_number: bool = False,
    max_rejects: int | str = 0,
    max_drift: float | str | None = None,
    ok: str | Sequence[str] = (),
    overwrite: bool = False,
    on_other: str | None = None,
    allow_suspect: bool = False,
    allow_empty: bool = False,
    lock: bool = True,
    check: bool = False,
    trust_etag: bool = False,
    batch_size: int = BATCH_ROWS,
    workers: int | None = None,
    scratch: PathLike | None = None,
    on_progress: OnProgress | None = None,
) -> RunSummary:
    """Score files as `python -m batchdigits.predict` does, with its flags, files and exit codes.

    The summary lists refused inputs with their one-line error. `format` is "csv" or "parquet", for
    outputs in folders; `recursive` reads all subfolders of folders, not only those named key=value;
    `shard` is "I/N". `ok` names causes, "rejects" or "drift", with which a run that published ends
    with 0. With `check` nothing is scored or written, and the summary tells the results
    as far as they are known. `on_other` is "fail", "keep" or "replace", which `overwrite` is short
    for. Inputs, `output` and `bundle` may be objects (s3:// gs:// az://); with `trust_etag` those
    of an unchanged version are not read again; copies are made in the folder `scratch`.
    `on_progress` is called with the rows done, the share done (0..1 or None) and the name of
    the current input. Raises UsageError, NoInputError or BundleError for an error that concerns the
    whole run.
    """
    planned, options = plan_run(dict(locals()))

    # Imported only now, so that a usage error does not wait for Arrow.
    from batchdigits.scoring.run import score_inputs

    summary = score_inputs(planned, options, on_progress or _no_progress, dry_run=check)
    return replace(
        summary,
        inputs=tuple(replace(result, error=spelled(result.error)) for result in summary.inputs),
    )


@with_keywords
def evaluate(
    inputs: PathLike | Iterable[PathLike],
    *,
    label: str = DEFAULT_LABEL,
    by: Sequence[str] = (),
    read: ReadOptions | None = None,
    recursive: bool = False,
    bundle: PathLike | BundleChoice | None = None,
    review_below: float | str | None = None,
    on_progress: OnProgress | None = None,
) -> Evaluation:
    """Score labelled files as `python -m batchdigits.evaluate` does, and return the figures.

    label         the column of true labels
    by            other columns whose values group the rows
    read          the pixel columns, the form of the CSV, and the scale of the pixels
    recursive     read all subfolders of folders, not only those named key=value
    bundle        a reference as for `open_bundle`, or a BundleChoice with conditions
    review_below  the threshold of the decision, 0..1, instead of the bundle's

    Raises UsageError, NoInputError, UnusableInputError, TryAgainError or BundleError; one refused
    input file refuses all.
    """
    options = LabelledOptions(**{**asdict(read or ReadOptions()), "keep": tuple(by)}, label=label)
    options.checked()
    choice = bundle if isinstance(bundle, BundleChoice) else BundleChoice(bundle)
    threshold = parse_review_below(review_below)
    input_files = expand_inputs(_paths(inputs), recursive=recursive).inputs

    from batchdigits.evaluation.files import evaluate_files  # as in `score`

    return evaluate_files(
        input_files, options, choice.checked(), review_below=threshold, on_progress=on_progress
    )


def rows_from_images(images: Iterable[Any]) -> pa.Table:
    """Make rows of crops in memory, each an image of one character; `Bundle.predict` takes them.

    images  NumPy arrays (height, width) or (height, width, 3 or 4), or Pillow images; of a bool
            array True is ink, all others hold brightness 0..1 or 0..255, with dark or light ink

    Returns the columns `pixels` (64 uint8), `image` (PNG), `width`, `height`, `ink` (its pixels in
    the crop, int32) and `blank`. Raises UsageError or UnusableInputError, naming the first 20
    images that can't be used, MissingExtraError without the forms extra.
    """
    from batchdigits.forms.arrays import rows_of

    return rows_of(images)


def normalise(image: Any) -> NDArray[np.uint8]:
    """Make the row of one crop, as `rows_from_images` does: uint8 (64,), 0..16; zeros if blank.

    Raises UsageError or UnusableInputError for an image that can't be used, MissingExtraError
    without the forms extra.
    """
    from batchdigits.forms.arrays import crop_of

    return crop_of(image).pixels


@with_keywords
def pack(
    model: Any,
    *,
    data: Any,
    scaler: Any = None,
    scaler_divide: float | None = None,
    label_binarizer: Any = None,
    labels: Sequence[Any] | None = None,
    name: str = "digits",
    store: PathLike | None = None,
    label: str = DEFAULT_LABEL,
    logits: bool = False,
    calibrate: bool = False,
    min_accuracy: float | str = "90%",
) -> Bundle:
    """Pack a model that was trained elsewhere, publish it as the next version, and open it.

    model            a Keras model, an MLPClassifier or LogisticRegression of scikit-learn, or a
                     Pipeline of scalers and one of these; or the path of a saved one
    data             (pixels, labels) that prove the model: pixels (n, 64), (n, 8, 8) or a data
                     frame, 0..16 and not scaled, and n labels; or the path of a labelled file
    scaler           its fitted scaler, or the path of one; None for a model without
    scaler_divide    the number that pixels are divided by, before the scaler if there is one
    label_binarizer  the LabelBinarizer, LabelEncoder or OneHotEncoder of its labels, or the path
                     of one; a classifier of scikit-learn has its own labels
    labels           the labels in the order of its outputs, instead of a label_binarizer
    store            the folder of bundles; None: $BATCHDIGITS_STORE, else ./bundles
    label            the column of labels, if `data` is a path
    logits           the last layer has no softmax: it gives logits
    calibrate        fit a temperature after the proof
    min_accuracy     the least share of the rows that must be right, 0..1 or such as "90%"

    The model is saved, read back as data and rewritten; what is published answers like it: the same
    label where the two best classes differ by more than 1e-4, and probabilities within 1e-4. Raises
    UsageError for arguments of other kinds, UnusableInputError for a model that can't be rewritten
    or that the rows do not prove, with the likely cause, MissingExtraError without the train extra,
    OutputError for a store that can't be written.
    """
    from batchdigits.training.importing.job import import_objects
    from batchdigits.training.importing.options import Terms
    from batchdigits.training.importing.parts import InMemory

    given = InMemory(model, scaler, scaler_divide, label_binarizer, labels)
    folder = None if store is None else os.fspath(store)
    terms = Terms(name, folder, logits, calibrate, min_accuracy)
    result = import_objects(given, data, label, terms)
    # Nobody can have signed it yet.
    return open_bundle(result.path, require_signature=False)


def plan_run(
    given: Mapping[str, Any],
) -> tuple[list[tuple[InputFile, Targets]], RunOptions]:
    """Return the input files of a run with their outputs, and its options.

    `given` are all keywords of `score`. Raises UsageError or NoInputError.
    """
    share = None if given["shard"] is None else Shard.parse(given["shard"])
    allow_empty, recursive, output = (given[n] for n in ("allow_empty", "recursive", "output"))
    paths = _paths(given["inputs"])
    input_files = scorable_inputs(paths, allow_empty=allow_empty, recursive=recursive)
    targets = plan_targets(
        input_files, None if output is None else os.fspath(output), given["format"]
    )
    # Every other keyword is a field of one of the five option records.
    options = RunOptions.of(given)
    return _share(share, list(zip(input_files.inputs, targets, strict=True))), options


def _share(
    shard: Shard | None, planned: list[tuple[InputFile, Targets]]
) -> list[tuple[InputFile, Targets]]:
    """Return the work of one shard, and log that there is none. Raises UsageError for `-`."""
    if shard is None:
        return planned
    if any(input_file.path is None for input_file, _ in planned):
        raise UsageError(
            "--shard: standard input is not a file that shards can divide; leave --shard out"
        )
    share = [(input_file, targets) for input_file, targets in planned if shard.takes(input_file)]
    if not share:
        logger.info("shard %s: nothing to score (0 of %s)", shard, count_of(len(planned), "input"))
    return share


def _paths(inputs: PathLike | Iterable[PathLike]) -> list[str]:
    arguments = [inputs] if isinstance(inputs, (str, os.PathLike)) else inputs
    return [os.fspath(argument) for argument in arguments]


def _refuse_rejects(batches: Sequence[Rows], darkest: float) -> None:
    count = sum(len(batch.rejects) for batch in batches)
    if not count:
        return
    starts = accumulate((batch.rows for batch in batches), initial=0)
    problems = (
        f"row {start + reject.row} is {reject.reason} ({reject.column})"
        for start, batch in zip(starts, batches, strict=False)
        for reject in batch.rejects
    )
    raise UnusableInputError(
        f"{count_of(count, 'row')} can't be scored (rows count from 0): {listing(problems)}; "
        f"give each row {PIXELS} numbers in 0..{darkest:g}, or the largest value that a pixel can "
        "have with --scale MAX"
    )


def _no_progress(_rows: int, _part: float | None, _name: str) -> None:
    pass
