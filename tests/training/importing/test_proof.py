"""What other libraries saved answers here as it answered there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from artefacts import ARTEFACTS, NAMES, answers_of, options_for

from batchdigits.training.importing.job import parts_of
from batchdigits.training.importing.network import build_model
from batchdigits.training.importing.proof import matrix_of


@pytest.mark.usefixtures("digits")
@pytest.mark.parametrize("name", NAMES)
def test_a_rewritten_model_answers_like_the_original(name: str, tmp_path: Path) -> None:
    """The same label where the two best differ by more than 1e-4, probabilities within 1e-4.

    `benchmarks/importing.py` proves it for 11,797 rows and for the bundle; here are 300 rows, and
    the network before it is compiled.
    """
    options = options_for(name, tmp_path)
    parts = parts_of(options)
    rows, classes, expected = answers_of(name)
    model = build_model(parts.network, matrix_of(parts, options.terms))
    scaled = parts.affine.standard_scaler().transform(rows.astype(np.float64))
    found = model(scaled.astype(np.float32), training=False).numpy()
    expected = expected[:, np.argsort(classes)]
    second, best = np.sort(expected, axis=1)[:, -2:].T
    decided = best - second > 1e-4
    assert decided.mean() > 0.9
    np.testing.assert_allclose(found, expected, atol=1e-4)
    np.testing.assert_array_equal(found.argmax(1)[decided], expected.argmax(1)[decided])


def test_the_artefacts_are_the_twenty_that_were_promised() -> None:
    """Each kind of file, scaler and label, from four environments; all of it is small."""
    assert len(NAMES) >= 20
    assert {name.partition("-")[0] for name in NAMES} == {"keras2", "keras30", "today", "sklearn16"}
    size = sum(path.stat().st_size for path in ARTEFACTS.rglob("*") if path.is_file())
    assert size < 1_500_000
