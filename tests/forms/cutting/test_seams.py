"""Seams through a part of ink."""

import itertools

import numpy as np

from batchdigits.forms.cutting.hand import Hand
from batchdigits.forms.cutting.seams import seams_of

HAND = Hand(0.0, 6.0, 50.0, 36.0)


def ring(ink: np.ndarray, left: int, width: int = 36) -> None:
    ink[0:50, left : left + 6] = True
    ink[0:50, left + width - 6 : left + width] = True
    ink[0:6, left : left + width] = True
    ink[44:50, left : left + width] = True


def test_the_cheapest_seam_of_two_touching_rings_runs_between_them() -> None:
    ink = np.zeros((50, 76), np.bool_)
    ring(ink, 0)
    ring(ink, 40)
    ink[22:28, 36:40] = True  # they touch there
    best = min(seams_of(ink, HAND), key=lambda seam: seam.cost)
    assert best.cost < 1.6
    assert ((best.columns >= 35) & (best.columns <= 41)).all()


def test_a_narrow_part_has_no_seam() -> None:
    assert seams_of(np.ones((50, 20), np.bool_), HAND) == []


def test_a_solid_block_has_no_seam_that_is_cheap_enough() -> None:
    assert seams_of(np.ones((50, 80), np.bool_), HAND) == []


def test_seams_go_from_left_to_right_and_do_not_cross() -> None:
    ink = np.zeros((50, 156), np.bool_)
    for left in (0, 40, 80, 120):
        ring(ink, left)
    ink[22:28] |= ink[22:28].any(0) | True
    seams = seams_of(ink, HAND)
    assert len(seams) >= 3
    for before, after in itertools.pairwise(seams):
        assert (before.columns <= after.columns).all()
