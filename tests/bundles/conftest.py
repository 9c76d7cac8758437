"""A store of three small bundles, rows that tell them apart, and the command to run."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bundle_store import Run, bundle_of
from small_bundles import make_pixels

from batchdigits.archive.bundle_file import read_bundle
from batchdigits.bundles.__main__ import main
from batchdigits.engines.onnx.engine import OnnxEngine
from batchdigits.store.store import Store


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command; gives exit code, standard output and standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Three versions with different weights in ./bundles."""
    monkeypatch.chdir(tmp_path)
    store = Store(tmp_path / "bundles")
    for seed in range(3):
        store.publish("digits", lambda version, seed=seed: bundle_of(seed, version))
    return store


@pytest.fixture
def rows(store: Store, tmp_path: Path) -> Path:
    """Rows that version 2 gets right one and all, and the others do not."""
    pixels = make_pixels(300, seed=5)
    bundle = read_bundle(store.path("digits", 2))
    truth = OnnxEngine(bundle.members["model.onnx"], 3).probabilities(pixels).argmax(axis=1)
    columns = {f"pixel_{i}": pa.array(column) for i, column in enumerate(pixels.T)}
    path = tmp_path / "rows.parquet"
    ids = [f"{i:05}" for i in range(300)]
    pq.write_table(pa.table({"form": ids, "label": truth, **columns}), path)
    return path
