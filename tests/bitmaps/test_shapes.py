"""The shapes of the digits, as middle lines."""

import numpy as np

from batchdigits.bitmaps.hands import Hands
from batchdigits.bitmaps.recipe import BITMAP, BODY, bitmaps_of, counts_of
from batchdigits.bitmaps.shapes import SHAPES, shapes_of


def test_every_digit_has_shapes_and_each_is_repeated() -> None:
    strokes, digits = shapes_of(3)
    assert set(digits.tolist()) == set(range(10))
    assert digits.tolist() == [digit for digit, _ in SHAPES] * 3
    assert strokes.count == len(digits)
    assert np.array_equal(np.unique(strokes.owner), np.arange(strokes.count))
    assert (np.diff(strokes.owner) >= 0).all()


def test_shapes_are_about_the_middle_and_as_large_as_a_character() -> None:
    """Lines that reach far beyond the body, or stop in its middle, are slips of the table."""
    strokes, _ = shapes_of(1)
    for number in range(strokes.count):
        x, y = (place[strokes.owner == number] for place in (strokes.x, strokes.y))
        assert abs(x).max() <= BODY / 2 + 2
        assert abs(y).max() <= BITMAP / 2 + 1
        assert y.max() - y.min() >= BITMAP - 4


def test_shapes_are_drawn_as_rows_that_differ() -> None:
    strokes, _ = shapes_of(2)
    rows = counts_of(
        bitmaps_of(strokes.drawn(Hands.at_random(strokes.count, np.random.default_rng(0))))
    )
    first, second = np.split(rows, 2)
    assert (rows.sum(axis=1) > 100).all()
    assert not (first == second).all(axis=1).any()
