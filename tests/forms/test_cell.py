"""The recipe by which NIST's characters became rows."""

import numpy as np
import pytest
from paths import shared_data

from batchdigits.forms.cell import _with_even_strokes, binarise, bitmap_of, counts_of, normalise


def picture(*lines: str) -> np.ndarray:
    """Ink where a line has `#`."""
    return np.array([[letter == "#" for letter in line] for line in lines])


def leftmost(bitmap: np.ndarray, row: int) -> int:
    return int(bitmap[row].argmax())


@pytest.fixture(scope="module")
def bitmaps() -> np.ndarray:
    """The 1,797 bitmaps that `load_digits` was counted from, bool (1797, 32, 32)."""
    bits = np.load(shared_data() / "bitmaps.npz")["bits"]
    return np.unpackbits(bits, axis=1).reshape(-1, 32, 32).astype(np.bool_)


@pytest.fixture(scope="module")
def again(bitmaps: np.ndarray) -> np.ndarray:
    """Those bitmaps after the whole recipe."""
    return np.array([bitmap_of(bitmap) for bitmap in bitmaps])


@pytest.fixture(scope="module")
def semeion() -> np.ndarray:
    """1,593 digits of other writers, bool (1593, 16, 16)."""
    bits = np.load(shared_data() / "semeion.npz")["bits"]
    return np.unpackbits(bits, axis=1).reshape(-1, 16, 16).astype(np.bool_)


def test_counts_are_ink_in_blocks_of_four_by_four() -> None:
    bitmap = np.zeros((32, 32), np.bool_)
    bitmap[0:4, 0:4] = True
    bitmap[4, 31] = True
    counts = counts_of(bitmap)
    assert counts.dtype == np.uint8
    assert (counts[0], counts[15], counts.sum()) == (16, 1, 17)


def test_every_bitmap_of_load_digits_gives_its_row(bitmaps: np.ndarray) -> None:
    sklearn_datasets = pytest.importorskip("sklearn.datasets")
    rows = np.array([counts_of(bitmap) for bitmap in bitmaps])
    assert (rows == sklearn_datasets.load_digits().data).all()


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
    before = np.array([counts_of(bitmap) for bitmap in bitmaps]).astype(int)
    after = np.array([counts_of(bitmap) for bitmap in again]).astype(int)
    assert (again == bitmaps).mean() > 0.92
    assert np.abs(after - before).mean() < 1.1


def test_the_left_edge_is_upright_whatever_the_slant(semeion: np.ndarray) -> None:
    """Two rows inside the first and the last inked row; a tie of a half may miss by a column."""
    upright = 0
    for digit in semeion:
        bitmap = bitmap_of(digit)
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
    assert (_with_even_strokes(body) == expected).all()


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
