"""What `import batchdigits` offers. The commands call the same functions."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import TYPE_CHECKING, TypeAlias

from batchdigits.archive.bundle_file import BundleFile
from batchdigits.archive.manifest import Manifest
from batchdigits.engines.contract import Engine
from batchdigits.engines.open import DEFAULT_ENGINE, check_engine, open_checked
from batchdigits.errors import BundleError, UnusableInputError, UsageError
from batchdigits.files.inputs import expand_inputs
from batchdigits.files.targets import plan_targets
from batchdigits.images import PIXELS
from batchdigits.rows.contract import Rows
from batchdigits.rows.options import BATCH_ROWS, Machine, ReadOptions
from batchdigits.rows.rejects import REJECT_COLUMNS
from batchdigits.scoring.options import Limit
from batchdigits.store.choice import BundleChoice
from batchdigits.text import count_of, listing

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray

    from batchdigits.engines.contract import MeasuringEngine
    from batchdigits.scoring.one_input import OnProgress, Work
    from batchdigits.scoring.run import RunSummary
    from batchdigits.scoring.scorer import Scorer

    TableLike: TypeAlias = pa.Table | pa.RecordBatch | NDArray[np.generic] | pd.DataFrame

PathLike = str | os.PathLike[str]


class Bundle:
    """A checked bundle with the engine that `open_checked` opened for it, ready to predict.

    `manifest` holds its facts, `digest` is the sha256 of its file, `path` where it was read,
    `signed_by` the id of the trusted key that signed it (None if no signature was checked).
    """

    def __init__(self, file: BundleFile, engine: Engine) -> None:
        self.file = file
        self.path = file.path
        self.digest = file.digest
        self.signed_by = file.signed_by
        self.manifest: Manifest = file.manifest
        self.classes: pa.Array = file.manifest.classes.array()
        self.engine = engine

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
        refuse_reserved(schema.names, [field.name for field in scorer.columns], WHERE)
        parts = list(checked)
        _refuse_rejects(parts)
        batches = [scorer.score(part).predictions for part in parts]
        return pa.Table.from_batches(batches, schema=scorer.schema(schema))

    def scorer(
        self,
        *,
        probabilities: bool = False,
        review_below: float | None = None,
        strangeness: bool = False,
    ) -> Scorer:
        """What turns checked rows into the columns that `predict` describes.

        Raises UsageError for a threshold out of 0..1 or an engine that can't measure strangeness,
        BundleError for a bundle that can't.
        """
        from batchdigits.scoring.decision import Decider
        from batchdigits.scoring.scorer import Scorer

        check_decisions(review_below, self.engine.name, strangeness=strangeness)
        thresholds = self.manifest.thresholds
        if review_below is not None:
            thresholds = replace(thresholds, review_below=review_below)
        decides = thresholds.review_below is not None or strangeness
        return Scorer(
            self.engine,
            self.classes,
            probabilities,
            decider=Decider(thresholds) if decides else None,
            measuring=self._measuring() if strangeness else None,
        )

    def _measuring(self) -> MeasuringEngine:
        from batchdigits.engines.onnx.engine import OnnxEngine

        if not isinstance(self.engine, OnnxEngine) or not self.engine.measures:
            raise BundleError(
                f"{self.path}: can't measure strangeness, its model.onnx has no such output: leave "
                "--strangeness out, or rebuild the bundle with train"
            )
        return self.engine

    @property
    def facts(self) -> dict[str, str]:
        """Name, version and digest, as summaries and receipts show them."""
        return self.file.facts


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
    choice = BundleChoice(
        bundle=reference,
        store=store,
        expect_digest=expect_digest,
        require_signature=require_signature,
        trusted_keys=trusted_keys,
        engine=engine,
    )
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
    review_below: float | None = None,
    strangeness: bool = False,
    max_rejects: int | str = 0,
    max_drift: float | None = None,
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
    arguments = [inputs] if isinstance(inputs, (str, os.PathLike)) else list(inputs)
    found = expand_inputs([os.fspath(argument) for argument in arguments])
    targets = plan_targets(found, _text(output))
    limit = Limit.parse(str(max_rejects))
    rows = ReadOptions(
        pixels=pixels,
        header=header,
        delimiter=delimiter,
        scale=scale,
        keep=_names(keep),
    ).checked()
    machine = Machine(workers, batch_size).checked()
    check_engine(engine)
    check_decisions(review_below, engine, strangeness=strangeness)
    if max_drift is not None and not 0 <= max_drift <= 1:
        raise UsageError(f"--max-drift {max_drift}: expected a number from 0 to 1, such as 0.25")

    # From here on there is work to do. Whatever a usage error did not wait for is imported now.
    from batchdigits.archive.reference import read_reference
    from batchdigits.scoring.one_input import Work
    from batchdigits.scoring.receipt import Key
    from batchdigits.scoring.run import score_inputs

    def open_work() -> Work:
        opened = open_bundle(
            bundle,
            store=store,
            engine=engine,
            expect_digest=expect_digest,
            require_signature=require_signature,
            trusted_keys=trusted_keys,
        )
        scorer = opened.scorer(
            probabilities=probabilities, review_below=review_below, strangeness=strangeness
        )
        return Work(
            scorer=scorer,
            reference=read_reference(opened.file),
            rows=rows,
            machine=machine,
            reserved=frozenset([*(field.name for field in scorer.columns), *REJECT_COLUMNS]),
            key=Key(
                opened.facts,
                {
                    "engine": engine,
                    **rows.facts(),
                    "probabilities": probabilities,
                    "review_below": review_below,
                    "strangeness": strangeness,
                },
                opened.signed_by,
            ),
            max_rejects=limit,
            max_drift=max_drift,
            overwrite=overwrite,
            allow_suspect=allow_suspect,
            on_progress=on_progress or _no_progress,
        )

    planned = list(zip(found.inputs, targets, strict=True))
    if check:
        from batchdigits.scoring.dry_run import check_inputs

        return check_inputs(planned, open_work)
    return score_inputs(planned, open_work)


def check_decisions(review_below: float | None, engine: str, *, strangeness: bool) -> None:
    """Raise UsageError for what no bundle could decide by."""
    if review_below is not None and not 0 <= review_below <= 1:
        raise UsageError(
            f"--review-below {review_below}: expected a confidence in 0..1, such as 0.95"
        )
    if strangeness and engine != DEFAULT_ENGINE:
        raise UsageError(
            f"--strangeness: the {engine} engine can't measure it, only {DEFAULT_ENGINE} can: "
            "leave --engine or --strangeness out"
        )


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


def _names(keep: Sequence[str] | None) -> tuple[str, ...] | None:
    if isinstance(keep, str):  # which is a sequence of letters
        raise UsageError(f"keep={keep!r}: expected a list of column names, such as [{keep!r}]")
    return None if keep is None else tuple(keep)


def _text(path: PathLike | None) -> str | None:
    return None if path is None else os.fspath(path)


def _no_progress(_rows: int, _part: float | None, _name: str) -> None:
    pass
