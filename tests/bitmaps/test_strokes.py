"""Middle lines of strokes, and characters drawn from them by other hands and pens."""

import numpy as np
import pytest
from crops import label, rows_and_labels

import batchdigits
from batchdigits.bitmaps import hands
from batchdigits.bitmaps.hands import Hands
from batchdigits.bitmaps.recipe import bitmaps_of, counts_of
from batchdigits.bitmaps.redraw import redrawn
from batchdigits.bitmaps.strokes import CANVAS, Strokes, loops_of, thinned
from batchdigits.forms.components import label_pieces

COUNT = 60
BITMAPS = redrawn(rows_and_labels()[0][:COUNT])
STROKES = Strokes.of(BITMAPS)


def drawn(seed: int) -> np.ndarray:
    return by_hands(STROKES, seed)


def by_hands(strokes: Strokes, seed: int) -> np.ndarray:
    return strokes.drawn(Hands.at_random(strokes.count, np.random.default_rng(seed)))


def test_thinning_keeps_pieces_and_holes_and_leaves_lines() -> None:
    """A line has no square of four points."""
    lines = thinned(BITMAPS)
    assert (lines <= BITMAPS).all()
    for before, after in zip(BITMAPS, lines, strict=True):
        assert label_pieces(before)[1] == label_pieces(after)[1]
    squares = lines[:, 1:, 1:] & lines[:, :-1, 1:] & lines[:, 1:, :-1] & lines[:, :-1, :-1]
    assert squares.mean() < 0.001
    assert lines.sum() < 0.2 * BITMAPS.sum()


def test_a_bar_is_thinned_to_its_middle() -> None:
    bar = np.zeros((1, 20, 20), np.bool_)
    bar[0, 2:18, 7:12] = True
    columns = np.nonzero(thinned(bar)[0])[1]
    assert set(columns.tolist()) == {9}


def test_with_nothing_to_change_a_character_is_drawn_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("TURN", "TAPER", "WOBBLE", "GAPS"):
        monkeypatch.setattr(hands, name, 0.0)
    monkeypatch.setattr(hands, "SLANT", (0.0, 0.0))
    monkeypatch.setattr(hands, "ASPECT", (1.0, 1.0))
    monkeypatch.setattr(hands, "PEN", (2.5, 2.5))
    again = bitmaps_of(drawn(0))
    assert (again == bitmaps_of(BITMAPS)).mean() > 0.88


def test_a_pen_that_would_fill_every_loop_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """A narrow 0 of a thick pen would be a bar: no one could tell it from a 1."""
    angles = np.linspace(0, 2 * np.pi, 200, dtype=np.float32)
    ring = Strokes(1, np.zeros(200, np.int64), 5 * np.cos(angles), 14 * np.sin(angles))
    monkeypatch.setattr(hands, "WOBBLE", 0.0)
    monkeypatch.setattr(hands, "GAPS", 0.0)
    monkeypatch.setattr(hands, "ASPECT", (0.9, 1.0))
    monkeypatch.setattr(hands, "PEN", (0.5, 6.0))
    seen = [loops_of(by_hands(ring, seed))[0] for seed in range(30)]
    assert min(seen) == 1


def test_loops_are_counted_and_pieces_are_not() -> None:
    pictures = np.zeros((3, 30, 30), np.bool_)
    pictures[:, 3:27, 5:20] = True
    pictures[1:, 8:12, 8:12] = False
    pictures[2, 15:20, 8:12] = False
    assert loops_of(pictures).tolist() == [0, 1, 2]


def test_the_same_seed_draws_the_same_and_another_draws_otherwise() -> None:
    assert (drawn(1) == drawn(1)).all()
    assert drawn(1).shape == (COUNT, CANVAS, CANVAS)
    different = (drawn(1) != drawn(2)).any(axis=(1, 2))
    assert different.all()


def test_digits_that_are_drawn_once_more_are_still_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the packaged bundle, which learned from none of these: most of them."""
    monkeypatch.setattr(hands, "WOBBLE", 1.0)
    rows = np.concatenate([counts_of(bitmaps_of(drawn(seed))) for seed in range(5)])
    predicted = batchdigits.open_bundle().predict(rows)["prediction"].to_pylist()
    right = sum(p == label(i % COUNT) for i, p in enumerate(predicted))
    assert right > 0.8 * len(predicted)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_characters_without_ink_have_no_strokes(count: int) -> None:
    blank = Strokes.of(np.zeros((count, 32, 32), np.bool_))
    assert not by_hands(blank, 0).any()
