from dataclasses import replace

import numpy as np
import pytest

from batchdigits.errors import UnusableInputError
from batchdigits.training.data import Labelled, load_tutorial_digits
from batchdigits.training.split import split_folds, split_rows


@pytest.fixture(scope="module")
def tutorial() -> Labelled:
    return load_tutorial_digits()


def some(tutorial: Labelled, targets: list[int]) -> Labelled:
    return replace(tutorial, pixels=tutorial.pixels[: len(targets)], targets=np.array(targets))


def test_the_default_split_is_the_tutorials(tutorial: Labelled) -> None:
    """Figures compare only on the very same rows."""
    from sklearn.model_selection import train_test_split

    split = split_rows(tutorial, 0.3, 0)
    train, held = train_test_split(tutorial.pixels, test_size=0.3, random_state=0)
    assert np.array_equal(tutorial.pixels[split.train], train)
    assert np.array_equal(tutorial.pixels[split.held], held)
    assert split.facts["stratified"] is False


def test_a_share_of_nothing_trains_on_every_row(tutorial: Labelled) -> None:
    split = split_rows(tutorial, 0, 0)
    assert len(split.train) == 1797
    assert len(split.held) == 0


def test_rare_classes_are_in_both_parts(tutorial: Labelled) -> None:
    """Where the plain split misses a class, the stratified one is taken and said so."""
    targets = [i % 10 for i in range(20)]
    split = split_rows(some(tutorial, targets), 0.5, 0)
    for part in (split.train, split.held):
        assert {targets[i] for i in part} == set(range(10))
    assert split.facts["stratified"] is True


@pytest.mark.parametrize(
    ("targets", "share", "message"),
    [
        ([0, *(list(range(1, 10)) * 5)], 0.3, r"class 0 \(1\)"),
        (list(range(10)) * 2, 0.1, "can't be split"),
    ],
)
def test_too_few_rows_are_refused(
    tutorial: Labelled, targets: list[int], share: float, message: str
) -> None:
    with pytest.raises(UnusableInputError, match=message):
        split_rows(some(tutorial, targets), share, 0)


def test_every_row_is_held_out_in_one_fold(tutorial: Labelled) -> None:
    held = np.concatenate([part for _, part in split_folds(tutorial, 5, 0)])
    assert np.array_equal(np.sort(held), np.arange(1797))


def test_more_folds_than_rows_of_a_class_are_refused(tutorial: Labelled) -> None:
    with pytest.raises(UnusableInputError, match="take fewer folds"):
        list(split_folds(tutorial, 175, 0))
