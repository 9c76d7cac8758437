"""Connected pieces of ink."""

import numpy as np
import pytest

from batchdigits.forms.components import label_pieces


def test_pieces_are_those_that_scipy_finds() -> None:
    """The same numbers too, for corners, edges, empty pictures and single rows."""
    ndimage = pytest.importorskip("scipy.ndimage")
    generator = np.random.default_rng(0)
    for _ in range(400):
        ink = generator.random(generator.integers(0, 14, 2)) < generator.random()
        labels, count = label_pieces(ink)
        if not ink.size:
            assert (labels.shape, count) == (ink.shape, 0)
            continue
        expected, pieces = ndimage.label(ink, np.ones((3, 3)))
        assert count == pieces
        assert (labels == expected).all()


def test_a_piece_that_winds_through_many_rows_is_one() -> None:
    """Columns that are joined at the bottom and at the top in turn."""
    ink = np.zeros((40, 401), np.bool_)
    ink[:, ::2] = True
    ink[-1, 1::4] = ink[0, 3::4] = True
    assert label_pieces(ink)[1] == 1
    ink[20, 200] = False
    assert label_pieces(ink)[1] == 2
