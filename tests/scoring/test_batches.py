"""Record batches are scored in this process and in others; a bad row is not an error."""

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from paths import SAMPLE_DATA

import batchdigits
from batchdigits.errors import BundleError, UnusableInputError, UsageError
from batchdigits.rows.options import ReadOptions
from batchdigits.scoring.batches import ScoredBatch

SAMPLE = pq.read_table(SAMPLE_DATA / "digits.parquet").slice(0, 40)


def batches() -> list[pa.RecordBatch]:
    """Forty digits in four batches; row 3 has a pixel of 99, row 25 a null."""
    table = SAMPLE
    pixels = next(name for name in table.column_names if name.startswith("pixel"))
    values = table[pixels].to_pylist()
    values[2], values[24] = 99, None
    place = table.column_names.index(pixels)
    table = table.set_column(place, pixels, pa.array(values, pa.uint8()))
    return table.combine_chunks().to_batches(max_chunksize=10)


def test_every_row_is_predicted_or_rejected_in_its_batch() -> None:
    scored = list(batchdigits.open_bundle().score_batches(batches(), name="forms"))
    assert [part.predictions.num_rows for part in scored] == [9, 10, 9, 10]
    rejects = pa.Table.from_batches([part.rejects for part in scored]).to_pylist()
    assert [(reject["input"], reject["row"], reject["reason"]) for reject in rejects] == [
        ("forms", 3, "out-of-range"),
        ("forms", 25, "missing"),
    ]


def test_the_predictions_are_those_of_predict() -> None:
    bundle = batchdigits.open_bundle()
    scored = bundle.score_batches(SAMPLE.to_batches(max_chunksize=7), probabilities=True)
    parts = pa.Table.from_batches([part.predictions for part in scored])
    assert parts.equals(bundle.predict(SAMPLE, probabilities=True))


def test_read_options_apply_to_batches() -> None:
    read = ReadOptions(keep=())
    (part, *_) = batchdigits.open_bundle().score_batches(batches(), read=read)
    assert part.predictions.schema.names[:2] == ["prediction", "confidence"]
    assert part.rejects.schema.names[:2] == ["input", "row"]


def open_scored(given: list[pa.RecordBatch]) -> list[ScoredBatch]:
    return list(batchdigits.open_bundle().score_batches(given))


def test_an_empty_batch_keeps_its_place() -> None:
    """A caller that zips batches and results must not lose step."""
    first, *_ = batches()
    parts = open_scored([first, first.slice(0, 0), first])
    assert [part.predictions.num_rows for part in parts] == [9, 0, 9]


def test_wrong_options_are_refused_before_a_batch_is_read() -> None:
    with pytest.raises(UsageError, match="scale"):
        batchdigits.open_bundle().score_batches([], read=ReadOptions(scale=-1))


def test_columns_that_cannot_be_scored_are_an_error() -> None:
    batch = pa.record_batch({"id": [1]})
    with pytest.raises(UnusableInputError, match="no pixel columns"):
        list(batchdigits.open_bundle().score_batches([batch]))


def test_a_bundle_scores_in_another_process(tmp_path: Path) -> None:
    """The bundle is pickled as bytes. The other process opens one engine, with the same results."""
    bundle = batchdigits.open_bundle()
    expected = bundle.predict(SAMPLE)["prediction"].to_pylist()
    pixels = (
        np.array([row["pixels"] for row in SAMPLE.to_pylist()])
        if "pixels" in (SAMPLE.column_names)
        else np.stack([SAMPLE[f"pixel_{i}"].to_numpy() for i in range(64)], axis=1)
    )
    (tmp_path / "bundle.pickle").write_bytes(pickle.dumps((bundle, pixels)))
    script = (
        "import pickle, sys\n"
        "from batchdigits.engines import open as engines\n"
        "data = open('bundle.pickle', 'rb').read()\n"
        "first, pixels = pickle.loads(data)\n"
        "second, _ = pickle.loads(data)\n"
        "assert not engines._OPENED\n"
        "print(first.predict(pixels)['prediction'].to_pylist())\n"
        "assert second.engine is first.engine\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.stderr, done.stdout) == ("", f"{expected}\n")


def test_bytes_that_changed_on_the_way_are_refused() -> None:
    """The pickle holds the digest, and every member is checked again."""
    bundle = batchdigits.open_bundle()
    _, (path, data, digest, signed_by) = bundle.file.__reduce__()
    make = bundle.file.__reduce__()[0]
    assert make(path, data, digest, signed_by).members == bundle.file.members
    with pytest.raises(BundleError, match="changed on the way"):
        make(path, data[:-1] + b"x", digest, signed_by)
