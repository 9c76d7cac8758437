"""One small training shared by the tests that look at its parts."""

import pytest

from batchdigits.packing.frameworks import prepare_frameworks
from batchdigits.training.data import Labelled, load_tutorial_digits
from batchdigits.training.fit import Fitted, fit
from batchdigits.training.settings import make_settings


@pytest.fixture(scope="session")
def digits() -> Labelled:
    pytest.importorskip("tensorflow")
    prepare_frameworks()
    return load_tutorial_digits()


@pytest.fixture(scope="session")
def small_fit(digits: Labelled) -> Fitted:
    settings = make_settings(epochs=6, units=40, copies=2)
    return fit(digits.pixels, digits.targets, digits.classes, settings)
