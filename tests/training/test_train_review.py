"""What train leaves in a bundle for accept or review."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from batchdigits.archive.bundle_file import read_bundle
from batchdigits.engines.onnx.engine import OnnxEngine
from batchdigits.errors import UnusableInputError, UsageError
from batchdigits.training.job import train
from batchdigits.training.options import TrainOptions, command_line

ROWS = 240


@pytest.fixture
def options(tmp_path: Path) -> TrainOptions:
    """Two classes that are learnt in a moment."""
    pytest.importorskip("tensorflow")
    generator = np.random.default_rng(0)
    dark = np.arange(ROWS) % 2
    pixels = generator.integers(0, 5, (ROWS, 64)) + 10 * dark[:, None]
    columns = {f"pixel_{i}": pixels[:, i] for i in range(64)}
    pq.write_table(pa.table({**columns, "label": dark}), tmp_path / "rows.parquet")
    return TrainOptions(
        data=(str(tmp_path / "rows.parquet"),),
        output=str(tmp_path / "small.bundle"),
        settings={"units": 8, "epochs": 4, "batch_size": 32, "copies": 0, "calibration_folds": 2},
        max_error="5%",
    )


def test_the_threshold_is_in_manifest_card_and_command(options: TrainOptions) -> None:
    result = train(options)
    bundle = read_bundle(result.path)
    limits = bundle.manifest.thresholds
    facts = limits.facts
    assert result.contents.thresholds.review_below is not None
    assert facts["review_below"] == result.contents.thresholds.review_below
    assert (facts["max_error"], facts["rows"], facts["level"]) == (0.05, 168, 0.95)
    assert facts["coverage"] == facts["accepted"] / facts["rows"] > 0.3
    card = bundle.members["card.md"].decode()
    assert f"confidence of {facts['review_below']:.6g} or more are accepted" in card
    assert "--max-error 5%" in bundle.manifest.command == command_line(options)
    assert_strangeness_is_measured(bundle.members["model.onnx"])
    assert None not in (limits.least_ink, limits.most_ink, limits.least_darkest)
    assert limits.strange_above is not None
    assert limits.strange_above > 0


def assert_strangeness_is_measured(model: bytes) -> None:
    engine = OnnxEngine(model, 2)
    assert engine.measures
    best, confidence, strangeness = engine.measure(np.full((3, 64), 8, np.uint8))
    np.testing.assert_array_equal(confidence, engine.most_probable(np.full((3, 64), 8.0))[1])
    assert (best == best[0]).all()
    assert (strangeness > 10).all()


def test_what_can_not_be_proven_is_not_published(options: TrainOptions, tmp_path: Path) -> None:
    """The line says how many rows could; with all rows training, their folds prove it too."""
    with pytest.raises(UnusableInputError, match=r"that takes 2995 accepted rows without an error"):
        train(replace(options, max_error="0.1%", test_share=0, folds=2))
    assert not Path(str(options.output)).exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_error": "half"}, "--max-error 'half': expected the share"),
        ({"settings": {"calibration_folds": 0}}, "add --calibration-folds 3"),
    ],
)
def test_what_can_not_be_asked_is_refused(
    options: TrainOptions, change: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        train(replace(options, **change))
