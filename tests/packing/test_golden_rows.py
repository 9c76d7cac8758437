import numpy as np

from batchdigits.packing.golden_rows import choose_golden


def test_golden_rows_are_the_least_certain_and_some_of_every_class() -> None:
    generator = np.random.default_rng(0)
    targets = generator.integers(0, 10, 500)
    probabilities = generator.dirichlet(np.ones(10), 500).astype(np.float32)
    candidates = np.arange(500) * 3
    chosen = choose_golden(targets, probabilities, candidates)
    ordered = np.sort(probabilities, axis=1)
    least_certain = np.argsort(ordered[:, -1] - ordered[:, -2])[:16]
    assert len(chosen) == len(set(chosen.tolist())) == 64
    assert set((least_certain * 3).tolist()) <= set(chosen.tolist())
    assert np.bincount(targets[chosen // 3], minlength=10).min() >= 4


def test_fewer_rows_are_all_golden() -> None:
    probabilities = np.full((5, 2), 0.5, np.float32)
    chosen = choose_golden(np.array([0, 1, 0, 1, 1]), probabilities, np.arange(10, 15))
    assert chosen.tolist() == [10, 11, 12, 13, 14]
