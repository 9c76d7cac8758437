"""Hands and pens that are drawn at random."""

from dataclasses import fields

import numpy as np

from batchdigits.bitmaps.hands import ASPECT, GAPS, LARGEST_GAP, PEN, SLANT, TAPER, TURN, Hands

COUNT = 2000
HANDS = Hands.at_random(COUNT, np.random.default_rng(0))


def test_hands_are_within_their_limits_and_reach_them() -> None:
    limits = {
        "taper": (-TAPER, TAPER),
        "aspect": tuple(np.log(ASPECT)),
        "slant": SLANT,
        "angle": (-TURN, TURN),
        "gap": (0, 1),
        "pen": PEN,
    }
    for name, (low, high) in limits.items():
        values = getattr(HANDS, name)
        assert low - 1e-6 <= values.min() < low + 0.02 * (high - low), name
        assert high - 0.02 * (high - low) < values.max() <= high + 1e-6, name


def test_a_share_of_the_characters_has_a_gap() -> None:
    torn = HANDS.torn[HANDS.torn > 0]
    assert abs(len(torn) / COUNT - GAPS) < 0.03
    assert LARGEST_GAP[0] <= torn.min() < torn.max() <= LARGEST_GAP[1]


def test_blocks_are_the_hands_one_after_another() -> None:
    blocks = list(HANDS.blocks(700))
    assert [block.count for block in blocks] == [700, 700, 600]
    for each in fields(HANDS):
        joined = np.concatenate([getattr(block, each.name) for block in blocks])
        assert np.array_equal(joined, getattr(HANDS, each.name)), each.name
