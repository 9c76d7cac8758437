"""Publishing rows mode's result: whole with a receipt, or nothing; also over Spark Connect."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from paths import PACKAGE, SAMPLE_DATA
from spark_cluster import Cluster

from batchdigits.errors import (
    BundleError,
    NoInputError,
    OutputError,
    TryAgainError,
    UnusableInputError,
    UsageError,
)
from batchdigits.files import folder as folders
from batchdigits.files.lock import hold_lock
from batchdigits.scoring.ledger import Counts
from batchdigits.spark import publish, score, write
from batchdigits.spark.publish import found_error
from batchdigits.spark.receipt import RECEIPT_NAME, SparkReceipt

SAMPLE = f"file://{SAMPLE_DATA}/digits.parquet"
ROWS = 1_797


def test_the_error_of_ours_is_found_in_the_text_of_a_failed_task() -> None:
    text = (
        "Job aborted due to stage failure: Task 0 in stage 1.0 failed 4 times\n"
        '  File "x.py", line 3, in y\n'
        "batchdigits.errors.BundleError: digits.bundle: its bytes changed\n\n\tat org.apache.spark"
    )
    error = found_error(text)
    assert isinstance(error, BundleError)
    assert (str(error), error.exit_code) == ("digits.bundle: its bytes changed", 78)
    assert found_error("java.lang.OutOfMemoryError: Java heap space") is None
    assert found_error("batchdigits.errors.Nothing: such") is None


def test_a_folder_that_appeared_meanwhile_is_not_replaced_unless_asked(tmp_path: Path) -> None:
    """Spark took an hour, and somebody else wrote there."""
    folder, staging = tmp_path / "scored", tmp_path / ".scored.part"
    for path, text in ((folder, "theirs"), (staging, "ours")):
        path.mkdir()
        (path / "part-0.parquet").write_text(text)
    with pytest.raises(OutputError, match="exists already"):
        publish._publish(staging, folder, overwrite=False)
    assert (folder / "part-0.parquet").read_text() == "theirs"
    publish._publish(staging, folder, overwrite=True)
    assert (folder / "part-0.parquet").read_text() == "ours"
    assert [path.name for path in tmp_path.iterdir()] == ["scored"]


def test_the_old_folder_goes_when_the_name_of_the_new_one_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is in the folder above."""
    folder, staging = tmp_path / "scored", tmp_path / ".scored.part"
    folder.mkdir()
    staging.mkdir()
    synced: list[tuple[Path, list[str]]] = []
    monkeypatch.setattr(
        folders,
        "fsync_folder",
        lambda path: synced.append((path, sorted(f.name for f in tmp_path.iterdir()))),
    )
    publish._publish(staging, folder, overwrite=True)
    assert synced == [(tmp_path, [".scored.old", "scored"])]


def test_the_old_folder_stays_if_the_new_one_can_not_have_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "scored"
    folder.mkdir()
    (folder / "part-0.parquet").write_text("old")
    with pytest.raises(OutputError, match="scored: can't be written"):
        publish._publish(tmp_path / ".gone.part", folder, overwrite=True)
    assert (folder / "part-0.parquet").read_text() == "old"
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize("code", [None, False, "0", 5])
def test_an_exit_code_that_no_run_has_is_of_a_damaged_receipt(tmp_path: Path, code: object) -> None:
    times = dict.fromkeys(("started", "finished", "seconds"))
    receipt = SparkReceipt(tmp_path, {}, {}, Counts(), 0, times, ())
    (tmp_path / RECEIPT_NAME).write_text(json.dumps(receipt.facts()))
    assert SparkReceipt.read(tmp_path) == receipt
    (tmp_path / RECEIPT_NAME).write_text(json.dumps({**receipt.facts(), "exit_code": code}))
    with pytest.raises(UnusableInputError, match="a damaged receipt"):
        SparkReceipt.read(tmp_path)


@pytest.mark.spark
def test_a_folder_is_published_with_its_receipt_and_replaced_only_if_asked(
    spark: Any, folder: Path
) -> None:
    out = folder / "scored"
    scored = score(spark.read.parquet(SAMPLE))
    receipt = write(scored, out)
    assert (receipt.exit_code, receipt.counts.rows_in, receipt.counts.rows_rejected) == (0, ROWS, 0)
    assert SparkReceipt.read(out) == receipt
    assert receipt.problems() == []
    assert json.loads((out / RECEIPT_NAME).read_text())["kind"] == "spark"
    assert {path.name for path in folder.iterdir()} == {"scored"}
    assert spark.read.parquet(f"file://{out}").count() == ROWS  # readers skip the receipt
    with pytest.raises(OutputError, match="exists already.*overwrite=True"):
        write(scored, out)
    again = write(scored, out, overwrite=True)
    assert SparkReceipt.read(out) == again
    assert [file.path.name for file in again.files] != [file.path.name for file in receipt.files]
    assert {path.name for path in folder.iterdir()} == {"scored"}
    (out / again.files[0].path.name).write_bytes(b"changed")
    (out / "part-9.parquet").write_bytes(b"")
    assert len(again.problems()) == 2


@pytest.mark.spark
def test_what_can_not_be_published_leaves_nothing(spark: Any, folder: Path) -> None:
    df = spark.read.parquet(SAMPLE)
    scored = score(df)
    with pytest.raises(UsageError, match="as batchdigits.spark.score returned it"):
        write(scored.limit(3), folder / "scored")
    with pytest.raises(UsageError, match="the path of a folder"):
        write(scored, "s3a://bucket/scored")
    with pytest.raises(OutputError, match="create it first"):
        write(scored, folder / "absent" / "scored")
    with hold_lock(folder / "scored"), pytest.raises(TryAgainError, match="another run"):
        write(scored, folder / "scored")
    blank = spark.range(200).selectExpr(*(f"0 as pixel_{i}" for i in range(64)), "id")
    with pytest.raises(UnusableInputError, match="allow_suspect"):
        write(score(blank), folder / "scored")
    dark = spark.range(5).selectExpr(*(f"99 as pixel_{i}" for i in range(64)), "id")
    with pytest.raises(UnusableInputError, match="none of the 5 rows"):
        write(score(dark, allow_suspect=True), folder / "scored")
    assert list(folder.iterdir()) == []
    with pytest.raises(NoInputError):
        SparkReceipt.read(folder)


@pytest.mark.spark
def test_an_input_that_changes_while_it_is_scored_is_75(
    spark: Any, cluster: Cluster, folder: Path
) -> None:
    """The rows that were written are counted in the files, and those of the input once more."""
    reads = str(cluster.folder / "reads")

    def some_of(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            with open(reads, "a") as file:  # noqa: PTH123  # a row more each time
                file.write(".")
            yield batch.slice(0, 100 + os.path.getsize(reads))  # noqa: PTH202

    whole = spark.read.parquet(SAMPLE)
    df = whole.mapInArrow(some_of, whole.schema)
    with pytest.raises(TryAgainError, match="gives other rows each time"):
        write(score(df), folder / "scored")
    assert list(folder.iterdir()) == []


@pytest.mark.spark
def test_more_rejects_than_allowed_end_with_3_and_are_published(spark: Any, folder: Path) -> None:
    df = spark.read.parquet(SAMPLE)
    bad = df.selectExpr("*", "if(position = 1, 99, pixel_3) as pixel_x").drop("pixel_3")
    scored = score(bad.withColumnRenamed("pixel_x", "pixel_3"))
    receipt = write(scored, folder / "scored")
    rejected = receipt.counts.rows_rejected
    assert receipt.exit_code == 3
    assert receipt.counts.reasons == {"out-of-range": rejected}
    assert 0 < rejected < ROWS
    allowed = write(scored, folder / "scored", max_rejects=rejected, overwrite=True)
    assert allowed.exit_code == 0


IN_A_SESSION = """
import sys
from pyspark.sql import SparkSession
from batchdigits import spark
from batchdigits.errors import BatchdigitsError
session = SparkSession.builder.{session}.getOrCreate()
try:
    df = session.read.parquet("file://{sample}").repartition(4)
    receipt = spark.write(spark.score(df{keywords}), "{out}")
    print(type(df).__module__, receipt.counts.rows_in, receipt.counts.rows_predicted)
except BatchdigitsError as error:
    print("ERROR", error.exit_code, error)
except Exception as error:
    print("FAILED", type(error).__name__, "No module named" in str(error))
finally:
    session.stop()
"""


def run_in_a_session(session: str, out: Path, keywords: str = "", **environment: str) -> str:
    """Score the sample in a process of its own, and return the last line that it printed."""
    sample = shutil.copy(SAMPLE_DATA / "digits.parquet", out.with_name("sample.parquet"))
    code = IN_A_SESSION.format(session=session, sample=sample, out=out, keywords=keywords)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    Path(sample).unlink()
    lines = done.stdout.splitlines()
    assert lines, done.stderr
    return lines[-1]


@pytest.mark.spark
def test_spark_connect_scores_and_publishes_the_same(folder: Path) -> None:
    """A server of its own, which starts with the session."""
    pytest.importorskip("grpc_status")
    line = run_in_a_session('remote("local[2]")', folder / "scored", SPARK_LOCAL_IP="127.0.0.1")
    assert line == f"pyspark.sql.connect.dataframe {ROWS} {ROWS}"
    assert SparkReceipt.read(folder / "scored").problems() == []


@pytest.mark.spark
def test_over_spark_connect_an_error_of_a_task_is_ours_too(folder: Path) -> None:
    pytest.importorskip("grpc_status")
    line = run_in_a_session(
        'remote("local[1]")', folder / "scored", ", scale=255", SPARK_LOCAL_IP="127.0.0.1"
    )
    assert line.startswith("ERROR 65 "), line
    assert list(folder.iterdir()) == []


@pytest.mark.spark
def test_a_bundle_that_changed_on_one_executor_is_78_and_nothing_is_published(
    tmp_path_factory: pytest.TempPathFactory, folder: Path
) -> None:
    """One of two executors flips a bit of what it receives. One failed task ends this job.

    The job waits for both, and its tasks don't wait for the one that holds their rows: else a
    slow start, or luck, leaves all of them to the executor that is sound.
    """
    with Cluster.started(tmp_path_factory.mktemp("changed"), workers=1) as cluster:
        cluster.add_worker({"FLIP_A_BIT": "1"})
        cluster.wait_for(lambda: cluster.log("master").count("Registering worker") == 2)
        session = (
            f'master("{cluster.url}").config("spark.task.maxFailures", "1")'
            '.config("spark.cores.max", "2").config("spark.locality.wait", "0")'
            '.config("spark.scheduler.minRegisteredResourcesRatio", "1")'
            '.config("spark.scheduler.maxRegisteredResourcesWaitingTime", "60s")'
        )
        line = run_in_a_session(session, folder / "scored", **cluster.environment)
    assert line.startswith("ERROR 78 "), line
    assert "its bytes changed on the way from another process" in line
    assert list(folder.iterdir()) == []


HIDE = 'for hidden in $HIDDEN; do mount -t tmpfs none "$hidden" || exit 1; done; exec "$@"'


@pytest.mark.spark
def test_a_packed_environment_is_enough_where_executors_see_nothing_of_the_driver(
    tmp_path_factory: pytest.TempPathFactory, folder: Path
) -> None:
    """In their mount namespace the checkout and the driver's NumPy, Arrow and pandas are gone."""
    archive = os.environ.get("SPARK_ENVIRONMENT")
    if archive is None or os.geteuid() != 0:
        pytest.skip(
            "needs root, and SPARK_ENVIRONMENT: an archive of venv-pack, as .ci/spark makes"
        )
    packages = Path(pa.__file__).parents[1]
    names = ("numpy", "pyarrow", "pandas", "onnxruntime", "batchdigits")
    hidden = [PACKAGE.parent, *(packages / n for n in names if (packages / n).is_dir())]
    with Cluster.started(
        tmp_path_factory.mktemp("apart"),
        before=("unshare", "--mount", "sh", "-c", HIDE, "sh"),
        HIDDEN=" ".join(map(str, hidden)),
    ) as cluster:
        session = f'master("{cluster.url}").config("spark.executor.memory", "600m")'
        told = {**cluster.environment, "PYSPARK_DRIVER_PYTHON": sys.executable}
        bare = run_in_a_session(session, folder / "bare", **told)
        archived = f'{session}.config("spark.archives", "{archive}#environment")'
        told["PYSPARK_PYTHON"] = "./environment/bin/python"
        line = run_in_a_session(archived, folder / "scored", **told)
    assert bare == "FAILED PythonException True"
    assert line == f"pyspark.sql.classic.dataframe {ROWS} {ROWS}"
    assert [path.name for path in folder.iterdir()] == ["scored"]
