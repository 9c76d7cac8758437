"""Ink and paper in a crop."""

import numpy as np
import pytest

from batchdigits.bitmaps.recipe import bitmaps_of, counts_of
from batchdigits.forms.cell import binarise, normalise


def test_a_row_is_the_counts_of_the_bitmap() -> None:
    ink = np.random.default_rng(0).random((50, 40)) < 0.3
    assert (normalise(ink) == counts_of(bitmaps_of(ink[np.newaxis]))[0]).all()


def test_ink_is_what_is_darker_than_the_paper_beneath_it() -> None:
    """The paper at the right is darker than the ink at the left."""
    truth = np.zeros((48, 64), np.bool_)
    truth[10:38, 10:14] = truth[10:38, 50:54] = truth[22:26, 10:54] = True
    paper = np.linspace(240, 90, 64) * np.ones((48, 1))
    noise = np.random.default_rng(3).normal(0, 3, truth.shape)
    grey = (paper * np.where(truth, 0.55, 1) + noise).clip(0, 255).astype(np.uint8)
    assert grey[truth].max() > grey[~truth].min()
    assert (binarise(grey) == truth).mean() > 0.995


@pytest.mark.parametrize("noise", [0, 2, 5, 10])
def test_paper_alone_has_no_ink(noise: int) -> None:
    generator = np.random.default_rng(noise)
    shaded = np.linspace(250, 120, 40) * np.ones((40, 1))
    grey = (shaded + generator.normal(0, noise, shaded.shape)).clip(0, 255).astype(np.uint8)
    assert not binarise(grey).any()
