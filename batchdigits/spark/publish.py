"""Publishing what rows mode scored: written beside, counted, compared, and renamed at once.

Spark writes into a hidden folder beside the final one. The driver reads that folder back, counts
its rows, compares them with the input's, puts the receipt in, and gives the folder its name: one
rename publishes predictions, rejects and receipt. No accumulator counts anything, since tasks that
run twice would count twice.
"""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from batchdigits import errors
from batchdigits.api import PathLike
from batchdigits.cli.keywords import with_keywords
from batchdigits.clock import utc_text
from batchdigits.cpus import available_workers
from batchdigits.errors import (
    BatchdigitsError,
    OutputError,
    TryAgainError,
    UnusableInputError,
    UsageError,
)
from batchdigits.files.atomic import fsync_folder, write_synced
from batchdigits.files.commit import as_json
from batchdigits.files.digest import digest_file
from batchdigits.files.folder import rename_folder
from batchdigits.files.lock import hold_lock
from batchdigits.files.written import WrittenFile
from batchdigits.rows.rejects import REASONS
from batchdigits.scoring.ledger import CAUSES, Counts
from batchdigits.scoring.options import TOO_MANY_REJECTS, Limit
from batchdigits.spark.receipt import RECEIPT_NAME, SparkReceipt
from batchdigits.spark.rows import REJECT, Source, source_of

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame


@with_keywords
def write(
    df: DataFrame,
    path: PathLike,
    *,
    max_rejects: int | str = 0,
    overwrite: bool = False,
) -> SparkReceipt:
    """Write a DataFrame of `score` as a folder of Parquet files with a receipt, or nothing.

    path         the folder, on a file system that this process and all executors see
    max_rejects  the most rejects, a count or a share of the rows; with more the receipt's
                 `exit_code` is 3, and the folder is published anyway
    overwrite    replace what is there

    Raises what `score` raises in a task, as one line; UnusableInputError if no row could be scored,
    TryAgainError if another run writes there or the input changed meanwhile, OutputError for a
    folder that exists or that the executors don't share, UsageError for wrong options. Then nothing
    was published. Spark's own errors pass through.
    """
    source = source_of(df)
    if source is None:
        raise UsageError(
            "write takes a DataFrame as batchdigits.spark.score returned it: change the input "
            "before it is scored, or what was written"
        )
    limit, folder = Limit.parse(str(max_rejects)), _folder(path)
    if not folder.parent.is_dir():
        raise OutputError(f"{folder}: {folder.parent} is not a folder; create it first")
    with hold_lock(folder):
        _refuse_existing(folder, overwrite=overwrite)
        staging = _beside(folder, "part")
        shutil.rmtree(staging, ignore_errors=True)
        try:
            receipt = _staged(df, source, staging, folder, limit)
            _publish(staging, folder, overwrite=overwrite)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return receipt


def _folder(path: PathLike) -> Path:
    """The folder at a path or `file:` URL, absolute. Raises UsageError for other URLs."""
    text = os.fspath(path)
    text = text.removeprefix("file://") if text.startswith("file:///") else text
    if "://" in text or not Path(text).name:
        raise UsageError(
            f"{text}: expected the path of a folder on a file system that the driver and all "
            "executors see; what score returns can be written elsewhere without a receipt"
        )
    return Path(text).absolute()


def _beside(folder: Path, ending: str) -> Path:
    return folder.with_name(f".{folder.name}.{ending}")


def _refuse_existing(folder: Path, *, overwrite: bool) -> None:
    if os.path.lexists(folder) and not overwrite:
        raise OutputError(f"{folder}: exists already; move it away, or replace it with --overwrite")
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise OutputError(f"{folder}: is not a folder; move it away")


def _staged(
    df: DataFrame, source: Source, staging: Path, folder: Path, limit: Limit
) -> SparkReceipt:
    """Let Spark write, count what it wrote, and put the receipt beside it."""
    started = time.time()
    with our_errors():
        df.write.parquet(f"file://{staging}")
    if not (staging / "_SUCCESS").is_file():
        raise OutputError(
            f"{folder}: this process does not see what the executors wrote; name a folder on a "
            "file system that all of them share"
        )
    paths = sorted(staging.glob("part-*.parquet"))
    with ThreadPoolExecutor(available_workers(), thread_name_prefix="count") as pool:
        read_back = pool.map(partial(_read_back, folder, decides=source.decides), paths)
        with our_errors():  # meanwhile
            rows = source.df.count()
        files, counted = zip(*read_back, strict=True) if paths else ((), ())
    counts = sum(counted, start=Counts())
    _check(counts, rows, folder)
    receipt = SparkReceipt(
        folder=folder,
        bundle={**source.work.bundle.facts, "signed_by": source.work.bundle.signed_by},
        options=source.options,
        counts=counts,
        exit_code=0 if limit.allows(counts.rows_rejected, rows) else TOO_MANY_REJECTS,
        times={
            "started": utc_text(started),
            "finished": utc_text(),
            "seconds": round(time.time() - started, 3),
        },
        files=files,
    )
    write_synced(staging / RECEIPT_NAME, folder, as_json(receipt.facts()))
    fsync_folder(staging)
    return receipt


def _read_back(folder: Path, file: Path, *, decides: bool) -> tuple[WrittenFile, Counts]:
    """Count the rows of a file, and send it to the disk; it will be in `folder`."""
    counts = _count(file, decides=decides)
    return WrittenFile(folder / file.name, _synced(file), file.stat().st_size), counts


def _synced(file: Path) -> str:
    """Send a file to the disk, and return its digest."""
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return digest_file(file)


def _count(file: Path, *, decides: bool) -> Counts:
    """Count the rows of a Parquet file that rows mode wrote."""
    import pyarrow.parquet as pq

    columns = ["prediction", f"{REJECT}.reason", *(["cause"] if decides else [])]
    total = Counts(causes={} if decides else None)
    with pq.ParquetFile(file) as parquet:
        for batch in parquet.iter_batches(columns=columns):
            total += _count_batch(batch, decides=decides)
    return total


def _count_batch(batch: pa.RecordBatch, *, decides: bool) -> Counts:
    prediction, reject = batch.column("prediction"), batch.column(REJECT)
    causes = _values(batch.column("cause"), CAUSES) if decides else None
    return Counts(
        rows_in=batch.num_rows,
        rows_predicted=batch.num_rows - prediction.null_count,
        rows_rejected=batch.num_rows - reject.null_count,
        reasons=_values(reject.field("reason"), REASONS),
        causes=causes,
    )


def _values(column: pa.Array, order: Mapping[str, str]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for entry in column.value_counts().to_pylist():
        found[entry["values"]] += entry["counts"]
    return {name: found[name] for name in order if found[name]}


def _check(counts: Counts, rows: int, folder: Path) -> None:
    """Refuse counts that don't add up, or that are not those of the input."""
    counts.check(str(folder))
    if counts.rows_in != rows:
        raise TryAgainError(
            f"{folder}: {counts.rows_in:,} rows were written, and the input has {rows:,} now: it "
            "changed meanwhile, gives other rows each time it is read, or the executors don't "
            "share this folder; nothing was published; write the input to files first, then run "
            "again"
        )
    if counts.rows_in and not counts.rows_predicted:
        reasons = ", ".join(f"{count} {reason}" for reason, count in counts.reasons.items())
        raise UnusableInputError(
            f"{folder}: none of the {counts.rows_in} rows can be scored ({reasons}); nothing was "
            "published; check the columns and --scale"
        )


def _publish(staging: Path, folder: Path, *, overwrite: bool) -> None:
    """Give the complete folder its name, in place of an older one, but of none that appeared."""
    _refuse_existing(folder, overwrite=overwrite)
    old = _beside(folder, "old")
    shutil.rmtree(old, ignore_errors=True)
    rename_folder(staging, folder, old, overwrite=overwrite)


@contextmanager
def our_errors() -> Iterator[None]:
    """Raise the error of ours that failed a task as itself, not as Spark's traceback of it."""
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, *_java_errors()) as error:
        ours = found_error(str(error))
        if ours is None:
            raise
        raise ours from None


def _java_errors() -> tuple[type[Exception], ...]:
    """The errors of a classic session that pyspark does not translate."""
    try:
        from py4j.protocol import Py4JJavaError
    except ImportError:  # the client of Spark Connect alone
        return ()
    return (Py4JJavaError,)


def found_error(text: str) -> BatchdigitsError | None:
    """Return the error of ours that the text of a failed task tells of; None if there is none."""
    for line in text.splitlines():
        name, found, message = line.strip().partition(": ")
        kind = getattr(errors, name.removeprefix("batchdigits.errors."), None)
        if found and name.startswith("batchdigits.errors.") and isinstance(kind, type):
            error = kind(message)
            if isinstance(error, BatchdigitsError):
                return error
    return None
