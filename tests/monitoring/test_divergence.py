"""Distances between histograms, and the part that chance explains."""

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from batchdigits.monitoring.divergence import compare_histograms

SHARES = np.array([0.7, 0.2, 0.07, 0.02, 0.01])


def test_the_distance_is_that_of_jensen_and_shannon() -> None:
    random = np.random.default_rng(0)
    seen, expected = random.integers(0, 50, (2, 6, 5))
    distances = [jensenshannon(p, q, base=2) for p, q in zip(seen, expected, strict=True)]
    comparison = compare_histograms(seen, expected)
    assert comparison.distance == pytest.approx(np.sqrt(np.mean(np.square(distances))), abs=1e-6)
    assert (comparison.worst, comparison.worst_distance) == (
        np.argmax(distances),
        pytest.approx(max(distances), abs=1e-6),
    )


@pytest.mark.parametrize(("seen", "distance"), [([5, 0, 5, 0], 0.0), ([0, 5, 0, 5], 1.0)])
def test_the_distance_goes_from_0_to_1(seen: list[int], distance: float) -> None:
    comparison = compare_histograms(np.array([seen]), np.array([[50, 0, 50, 0]]))
    assert comparison.distance == distance


@pytest.mark.parametrize("rows", [500, 5_000, 500_000])
@pytest.mark.parametrize("expected", [500, 1_797])
def test_samples_of_one_source_stay_within_chance(rows: int, expected: int) -> None:
    """About one pair in a thousand is beyond it, and then by little."""
    random = np.random.default_rng(rows + expected)
    pairs = zip(
        random.multinomial(rows, SHARES, 300),
        random.multinomial(expected, SHARES, 300),
        strict=True,
    )
    beyond = [compare_histograms(p[np.newaxis], q[np.newaxis]).beyond_chance for p, q in pairs]
    assert np.count_nonzero(beyond) <= 3
    assert max(beyond) < 0.05


def test_the_distance_beyond_chance_is_what_chance_does_not_explain() -> None:
    seen, expected = np.array([[250, 250]]), np.array([[900, 100]])
    comparison = compare_histograms(seen, expected)
    assert 0 < comparison.by_chance < comparison.beyond_chance < comparison.distance
    assert comparison.beyond_chance**2 == pytest.approx(
        comparison.distance**2 - comparison.by_chance**2, abs=1e-5
    )
