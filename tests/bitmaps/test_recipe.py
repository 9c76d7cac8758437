"""The recipe by which NIST's characters became rows."""

import numpy as np
import pytest
from shared import shared_bits

from batchdigits.bitmaps.recipe import _even_out, bitmaps_of, counts_of


def picture(*lines: str) -> np.ndarray:
    """Ink where a line has `#`."""
    return np.array([[letter == "#" for letter in line] for line in lines])


def bitmap_of(ink: np.ndarray) -> np.ndarray:
    bitmap: np.ndarray = bitmaps_of(ink[np.newaxis])[0]
    return bitmap


def normalise(ink: np.ndarray) -> np.ndarray:
    return counts_of(bitmap_of(ink))


def leftmost(bitmap: np.ndarray, row: int) -> int:
    return int(bitmap[row].argmax())


@pytest.fixture(scope="module")
def bitmaps() -> np.ndarray:
    """The 1,797 bitmaps that `load_digits` was counted from, bool (1797, 32, 32)."""
    return shared_bits("bitmaps", 32)


@pytest.fixture(scope="module")
def again(bitmaps: np.ndarray) -> np.ndarray:
    """Those bitmaps after the whole recipe."""
    return bitmaps_of(bitmaps)


@pytest.fixture(scope="module")
def semeion() -> np.ndarray:
    """1,593 digits of other writers, bool (1593, 16, 16)."""
    return shared_bits("semeion", 16)


def test_counts_are_ink_in_blocks_of_four_by_four() -> None:
    bitmap = np.zeros((32, 32), np.bool_)
    bitmap[0:4, 0:4] = True
    bitmap[4, 31] = True
    counts = counts_of(bitmap)
    assert counts.dtype == np.uint8
    assert (counts[0], counts[15], counts.sum()) == (16, 1, 17)


def test_every_bitmap_of_load_digits_gives_its_row(bitmaps: np.ndarray) -> None:
    sklearn_datasets = pytest.importorskip("sklearn.datasets")
    assert (counts_of(bitmaps) == sklearn_datasets.load_digits().data).all()


def test_bitmaps_that_pass_the_recipe_again_stay_what_they_are(again: np.ndarray) -> None:
    """Ink in its range, first and last blocks inked, the left edge upright: as in the originals."""
    ink = again.sum(axis=(1, 2))
    assert ((ink >= 256) & (ink <= 412)).mean() > 0.99
    assert again[:, :4].any(axis=(1, 2)).all()
    assert again[:, -4:].any(axis=(1, 2)).all()


def test_bitmaps_that_pass_the_recipe_again_stay_near(
    bitmaps: np.ndarray, again: np.ndarray
) -> None:
    """No recipe undoes a shear or an erosion: what was 20 wide is stretched to 20 once more."""
    before, after = counts_of(bitmaps).astype(int), counts_of(again).astype(int)
    assert (again == bitmaps).mean() > 0.92
    assert np.abs(after - before).mean() < 1.1


def test_the_left_edge_is_upright_whatever_the_slant(semeion: np.ndarray) -> None:
    """Two rows inside the first and the last inked row; a tie of a half may miss by a column."""
    upright = 0
    for bitmap in bitmaps_of(semeion):
        rows = np.flatnonzero(bitmap.any(axis=1))
        off = leftmost(bitmap, rows[0] + 2) - leftmost(bitmap, rows[-1] - 2)
        assert abs(off) <= 1
        upright += off == 0
    assert upright > 0.98 * len(semeion)


@pytest.mark.parametrize(
    ("ink", "steps"),
    [(107, 2), (108, 1), (255, 1), (256, 0), (412, 0), (413, -1), (560, -1), (561, -2)],
)
def test_thin_strokes_grow_and_thick_ones_shrink(ink: int, steps: int) -> None:
    """Twice beyond the outer limits; four neighbours, and beyond the edge there is paper."""
    ndimage = pytest.importorskip("scipy.ndimage")
    body = np.zeros((32, 32), np.bool_)
    body.reshape(-1)[32 : 32 + ink] = True
    body[1:4, 12] = False
    body.reshape(-1)[32 + ink : 35 + ink] = True  # as much ink as was removed
    assert body.sum() == ink
    change = ndimage.binary_dilation if steps > 0 else ndimage.binary_erosion
    expected = change(body, iterations=abs(steps)) if steps else body
    changed = np.array([body, ~body])
    _even_out(changed)
    assert (changed[0] == expected).all()


def test_paper_around_a_character_and_its_aspect_do_not_matter() -> None:
    seven = picture("#######", ".....##", "....##.", "...##..", "..##...", ".##....")
    wide = seven.repeat(3, axis=1)
    placed = np.pad(seven, ((7, 1), (0, 9)))
    assert (normalise(wide) == normalise(seven)).all()
    assert (normalise(placed) == normalise(seven)).all()


def test_a_slanted_stroke_becomes_upright() -> None:
    slanted = np.zeros((40, 60), np.bool_)
    for row in range(40):
        slanted[row, 40 - row : 46 - row] = True
    bitmap = bitmap_of(slanted)
    columns = [leftmost(bitmap, row) for row in range(2, 30)]
    assert max(columns) - min(columns) <= 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (3, 3), (5, 200), (400, 300)])
def test_ink_of_any_shape_gives_a_row(shape: tuple[int, int]) -> None:
    row = normalise(np.ones(shape, np.bool_))
    assert row.shape == (64,)
    assert 0 < row.sum() <= 1024


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (1, 1), (20, 30)])
def test_no_ink_gives_zeros(shape: tuple[int, int]) -> None:
    assert not normalise(np.zeros(shape, np.bool_)).any()


def test_many_characters_are_made_as_each_of_them_alone() -> None:
    generator = np.random.default_rng(2)
    ink = generator.random((40, 37, 23)) < generator.random((40, 1, 1)) ** 3
    ink[7] = False
    assert (bitmaps_of(ink) == np.array([bitmap_of(one) for one in ink])).all()
    assert not bitmaps_of(ink)[7].any()
