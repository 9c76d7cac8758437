import threading
import time
from contextlib import closing

import numpy as np
import pytest

from batchdigits.training import workers
from batchdigits.training.cross_validation import predict_folds
from batchdigits.training.data import Labelled
from batchdigits.training.settings import make_settings
from batchdigits.training.workers import Stopped, raise_if_stopped, side_by_side


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "available_workers", lambda: 2)


@pytest.mark.usefixtures("two_cores")
def test_two_fits_run_at_once_and_keep_their_order() -> None:
    """Neither ends before both have begun; the first takes longer."""
    both = threading.Barrier(2)

    def fit_one(number: int) -> int:
        both.wait(60)
        time.sleep(0.02 if number == 0 else 0)
        return number

    assert list(side_by_side(fit_one, [0, 1], make_settings())) == [0, 1]


@pytest.mark.usefixtures("two_cores")
def test_a_fit_inside_a_fit_stays_in_its_thread() -> None:
    def fit_one(_: int) -> set[str]:
        return set(side_by_side(thread, range(3), make_settings()))

    def thread(_: int) -> str:
        return threading.current_thread().name

    inner = list(side_by_side(fit_one, [0, 1], make_settings()))
    assert all(len(names) == 1 for names in inner)
    assert threading.current_thread().name not in set.union(*inner)


@pytest.mark.usefixtures("two_cores")
def test_the_articles_recipe_has_one_thread() -> None:
    """Its steps draw from the generator of the whole process."""
    settings = make_settings(recipe="article")
    threads = list(side_by_side(lambda _: threading.current_thread(), [0, 1], settings))
    assert threads == [threading.current_thread()] * 2


@pytest.mark.usefixtures("two_cores")
def test_fits_end_when_nobody_waits_for_them() -> None:
    """After an error or an interrupt no fit runs on to its end, and no further one begins."""
    begun, ended = [], []

    def fit_one(number: int) -> int:
        begun.append(number)
        try:
            while number:
                raise_if_stopped()
                time.sleep(0.001)
        except Stopped:
            ended.append(number)
            raise
        return number

    with closing(side_by_side(fit_one, range(9), make_settings())) as results:
        assert next(results) == 0
    assert sorted(ended) == sorted(number for number in begun if number)
    assert len(begun) <= 3
    raise_if_stopped()  # another thread's end is none of this one's


def test_folds_are_the_same_on_one_core_and_on_two(
    digits: Labelled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit by bit, with dropout; the second time with networks compiled before."""
    settings = make_settings(epochs=2, units=16, copies=1, dropout=0.2, seed=5)
    rows = np.arange(160)
    parts = [(rows[rows % 4 != part], rows[rows % 4 == part]) for part in range(4)]
    results = []
    for cores in (1, 2):
        monkeypatch.setattr(workers, "available_workers", lambda cores=cores: cores)
        results.append(predict_folds(digits.part(rows), parts, settings, lambda _: None, "fold"))
    for one, two in zip(*results, strict=True):
        assert np.array_equal(one, two)
