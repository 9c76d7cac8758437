import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from batchdigits.bitmaps.shapes import SHAPES
from batchdigits.training import augmentation
from batchdigits.training.augmentation import MOST_ROWS, copies_for, drawn_shapes, with_copies

CENTRE = np.zeros((8, 8))
CENTRE[2:6, 3:5] = 12.0


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_copies_follow_the_rows_and_stay_in_range(seed: int, copies: int) -> None:
    """The originals come first and untouched, then every row once a copy; nothing leaves 0..16."""
    pixels = np.random.default_rng(1).integers(0, 17, (30, 64)).astype(np.float64)
    copied = with_copies(pixels, copies, np.random.default_rng(seed))
    assert copied.shape == (30 * (copies + 1), 64)
    assert np.array_equal(copied[:30], pixels)
    assert ((copied >= 0) & (copied <= 16)).all()
    assert np.array_equal(copied, with_copies(pixels, copies, np.random.default_rng(seed)))


def test_no_copies_are_the_rows_themselves() -> None:
    pixels = np.ones((5, 64))
    assert with_copies(pixels, 0, np.random.default_rng(0)) is pixels


def test_paper_stays_paper() -> None:
    assert not with_copies(np.zeros((3, 64)), 5, np.random.default_rng(0)).any()


def test_with_nothing_to_change_a_copy_is_the_image(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ROTATION", "LOG_SCALE", "SHEAR", "SHIFT", "LOG_GAMMA", "LOG_INTENSITY"):
        monkeypatch.setattr(augmentation, name, 0.0)
    pixels = np.random.default_rng(0).integers(0, 17, (9, 64)).astype(np.float64)
    copied = with_copies(pixels, 2, np.random.default_rng(0))
    assert np.allclose(copied, np.concatenate([pixels] * 3), atol=1e-4)


def test_copies_are_turned_and_moved_both_ways_about_the_centre() -> None:
    """Over many copies the middle of the ink stays where it was; in each it is elsewhere."""
    copied = with_copies(CENTRE.reshape(1, 64), 2000, np.random.default_rng(0))[1:]
    across = copied.reshape(-1, 8, 8).sum(axis=1) @ np.arange(8) / copied.sum(axis=1)
    assert abs(across.mean() - 3.5) < 0.03
    assert 0.3 < across.std() < 0.6
    assert abs(across - 3.5).max() < 1.2


def test_very_many_rows_get_fewer_copies() -> None:
    assert copies_for(1257, 60) == 60
    assert copies_for(MOST_ROWS // 10, 60) == 9
    assert copies_for(10 * MOST_ROWS, 60) == 1
    assert copies_for(10 * MOST_ROWS, 0) == 0


def test_a_share_of_the_copies_is_redrawn_by_the_recipe() -> None:
    """Those come last, and hold whole counts; the others are the same as without."""
    pixels = load_digits().data[:20]
    changed = with_copies(pixels, 2, np.random.default_rng(4))
    both = with_copies(pixels, 4, np.random.default_rng(4), redrawn_share=0.5)
    assert both.shape == (100, 64)
    assert np.array_equal(both[:60], changed)
    last = both[60:]
    assert np.array_equal(last, np.round(last))
    assert not np.array_equal(last[:20], last[20:])
    assert (last.reshape(-1, 8, 8)[:, 0].sum(axis=1) > 0).all()  # stretched to the top


@pytest.mark.parametrize(
    ("copies", "share", "redrawn"), [(1, 0.5, 1), (5, 0.5, 3), (3, 0, 0), (2, 1, 2), (100, 0.07, 7)]
)
def test_at_least_the_share_is_redrawn(copies: int, share: float, redrawn: int) -> None:
    """Redrawn copies hold whole counts; the others, here of half counts, don't."""
    row = load_digits().data[:1] / 1.25
    copied = with_copies(row, copies, np.random.default_rng(0), redrawn_share=share)[1:]
    assert (copied == np.round(copied)).all(axis=1).sum() == redrawn


def test_shapes_drawn_in_blocks_are_those_drawn_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = drawn_shapes(5, np.random.default_rng(1))
    monkeypatch.setattr(augmentation, "_BLOCK_ROWS", 2 * len(SHAPES))
    in_blocks = drawn_shapes(5, np.random.default_rng(1))
    for one, other in zip(at_once, in_blocks, strict=True):
        assert np.array_equal(one, other)


def test_paper_is_redrawn_as_paper() -> None:
    assert not with_copies(np.zeros((3, 64)), 2, np.random.default_rng(0), redrawn_share=1).any()


def test_what_has_no_strokes_is_copied_as_it_is() -> None:
    """A wall of ink and a speck are thinned to nothing: paper would be taught as their label."""
    pixels = np.zeros((3, 64))
    pixels[0], pixels[1, 20] = 16, 3
    pixels[2] = load_digits().data[0]
    wall, speck, digit = (
        with_copies(pixels, 8, np.random.default_rng(0), redrawn_share=1)[3:]
        .reshape(8, 3, 64)
        .swapaxes(0, 1)
    )
    assert (wall == 16).all()
    assert speck.any(axis=1).all()
    assert digit.any(axis=1).all()
    assert not np.array_equal(digit[0], digit[1])
