from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from batchdigits.training.strangeness import FALSE_ALARM, Usual, distance, fit_usual


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    pixels: np.ndarray = load_digits().data
    return pixels


@pytest.fixture(scope="module")
def usual(digits: np.ndarray) -> Usual:
    return fit_usual(digits, 0)


def test_few_digits_are_taken_for_none(digits: np.ndarray, usual: Usual) -> None:
    """What is kept is what was measured on rows that had no part in it."""
    assert 0 < usual.false_alarm <= FALSE_ALARM
    assert usual.bounds_hold(digits).mean() > 0.995


def test_what_is_no_digit_is_strange(digits: np.ndarray, usual: Usual) -> None:
    """By ink or by distance: images turned about their diagonal, and rows of shuffled pixels."""
    generator = np.random.default_rng(0)
    turned = digits.reshape(-1, 8, 8).transpose(0, 2, 1).reshape(-1, 64)
    shuffled = generator.permuted(digits, axis=1)
    for rows in (turned, shuffled, 16 - digits, digits / 16, digits * 0):
        is_far = distance(rows, usual.centres) > usual.strange_above
        assert (is_far | ~usual.bounds_hold(rows)).all()


def test_the_same_rows_give_the_same_centres(digits: np.ndarray) -> None:
    first, second = fit_usual(digits[:400], 3), fit_usual(digits[:400], 3)
    assert first.as_facts() == second.as_facts()
    assert first.centres.tobytes() == second.centres.tobytes()


@pytest.mark.parametrize("rows", [20, 50, 100])
def test_few_rows_of_unusual_ink_are_no_obstacle(digits: np.ndarray, rows: int) -> None:
    """Then more than 1 % can be beyond the bounds of the others, however far the distance goes."""
    fits = [
        fit_usual(np.random.default_rng(seed).permutation(digits)[:rows], seed) for seed in range(8)
    ]
    assert all(np.isfinite(usual.strange_above) for usual in fits)
    assert max(usual.false_alarm for usual in fits) > FALSE_ALARM


@pytest.mark.parametrize("rows", [2, 3, 20])
def test_a_handful_of_rows_has_its_centres_too(digits: np.ndarray, rows: int) -> None:
    usual = fit_usual(digits[:rows], 0)
    assert len(usual.centres) == max(1, rows // 3)
    assert np.isfinite(usual.strange_above)
