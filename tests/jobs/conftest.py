"""A store with a production bundle, and forms to score, for the tests of schedulers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from paths import FORMAT_1_BUNDLE, ROOT, SAMPLE_DATA

from batchdigits.store.store import Store

WriteForms = Callable[..., Path]
WriteManyForms = Callable[[Path], None]
PredictStoppedMidway = Callable[[Path, Path], AbstractContextManager[None]]

PATIENCE = 60.0  # seconds


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out tests whose tools are not there, even if `-m` asks for them."""
    needs = {"airflow": "AIRFLOW_PYTHON", "scheduling": "BATCHDIGITS_SCHEDULING"}
    absent = [mark for mark, variable in needs.items() if variable not in os.environ]
    left_out = [item for item in items if any(map(item.get_closest_marker, absent))]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that holds a bundle as digits@production."""
    folder = tmp_path_factory.mktemp("store")
    published = Store(folder)
    published.publish("digits", lambda _version: FORMAT_1_BUNDLE.read_bytes())
    published.set_alias("digits", "production", 1)
    return folder


def sample_pixels(rows: int, only: int | None = None) -> NDArray[np.uint8]:
    """Digits of the sample data over and over, uint8 (rows, 64); `only` those of one class."""
    table = pq.read_table(SAMPLE_DATA / "digits.parquet")
    pixels = np.column_stack([table[f"pixel_{number}"] for number in range(64)]).astype(np.uint8)
    if only is not None:
        pixels = pixels[np.array(table["label"]) == only]
    return np.resize(pixels, (rows, 64))


@pytest.fixture(scope="session")
def write_forms() -> WriteForms:
    """Return a function that writes digits as Parquet, with 99 in the first `out_of_range` rows.

    20 rows are too few to judge drift; 500 rows have drifted far: all of them are ones.
    """

    def write(path: Path, *, rows: int = 20, out_of_range: int = 0) -> Path:
        pixels = sample_pixels(rows, only=1 if rows >= 500 else None).T.copy()
        pixels[5, :out_of_range] = 99
        columns = {f"pixel_{number}": values for number, values in enumerate(pixels)}
        pq.write_table(pa.table({"id": [f"{n:04}" for n in range(rows)], **columns}), path)
        return path

    return write


@pytest.fixture(scope="session")
def write_many_forms() -> WriteManyForms:
    """Return a function that writes 500,000 rows as Parquet: enough to be stopped midway."""

    def write(path: Path) -> None:
        pixels = sample_pixels(100_000).ravel()
        table = pa.table({"pixels": pa.FixedSizeListArray.from_arrays(pa.array(pixels), 64)})
        with pq.ParquetWriter(path, table.schema) as writer:
            for _ in range(5):
                writer.write_table(table)

    return write


@pytest.fixture
def predict_stopped_midway(write_many_forms: WriteManyForms) -> PredictStoppedMidway:
    """Another run that scores `forms` into `output`, paused midway and killed at the end."""

    @contextmanager
    def stopped(forms: Path, output: Path) -> Iterator[None]:
        write_many_forms(forms)
        process = subprocess.Popen(
            [sys.executable, "-m", "batchdigits.predict", forms, "--output", f"{output}/"],
            cwd=ROOT,
            env={**os.environ, "BATCHDIGITS_WORKERS": "1"},
        )
        try:
            end = time.monotonic() + PATIENCE
            while not list(output.glob(".*.predictions.parquet.tmp")):
                assert process.poll() is None
                assert time.monotonic() < end
                time.sleep(0.01)
            process.send_signal(signal.SIGSTOP)
            yield
        finally:
            process.kill()
            process.wait()

    return stopped
