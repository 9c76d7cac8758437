"""Bitmaps that are found back from the counts of rows."""

import numpy as np
from shared import shared_bits

from batchdigits.bitmaps.recipe import counts_of
from batchdigits.bitmaps.redraw import redrawn


def test_a_redrawn_bitmap_has_the_counts_of_the_row() -> None:
    counts = np.random.default_rng(1).integers(0, 17, (20, 64))
    assert (counts_of(redrawn(counts)) == counts).all()


def test_bitmaps_are_found_back_from_their_counts() -> None:
    """Of the points of the 1,797 originals of load_digits, 97.2 % are right."""
    bitmaps = shared_bits("bitmaps", 32)
    found = redrawn(counts_of(bitmaps))
    assert (counts_of(found) == counts_of(bitmaps)).all()
    assert (found == bitmaps).mean() > 0.972
