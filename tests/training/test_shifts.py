import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from batchdigits.training.shifts import shifted


def all_shifts(image: np.ndarray) -> list[list[float]]:
    framed = np.pad(image.reshape(8, 8), 1)
    corners = [(1, 1), (0, 1), (2, 1), (1, 0), (1, 2)]
    return [framed[y : y + 8, x : x + 8].ravel().tolist() for y, x in corners]


@given(st.integers(0, 2**32 - 1))
def test_a_shifted_image_is_the_image_moved_by_one_pixel(seed: int) -> None:
    """Each row is itself or one of its four neighbours, with paper where nothing came in."""
    generator = np.random.default_rng(seed)
    pixels = generator.integers(1, 17, (20, 64)).astype(np.float64)
    for before, after in zip(pixels, shifted(pixels, 0.8, generator), strict=True):
        assert after.tolist() in all_shifts(before)


def test_about_the_share_of_the_rows_moves() -> None:
    generator = np.random.default_rng(0)
    pixels = generator.integers(1, 17, (4000, 64)).astype(np.float64)
    moved = (shifted(pixels, 0.5, generator) != pixels).any(axis=1).mean()
    assert 0.45 < moved < 0.55


def test_no_share_moves_nothing() -> None:
    pixels = np.ones((5, 64))
    assert shifted(pixels, 0.0, np.random.default_rng(0)) is pixels
