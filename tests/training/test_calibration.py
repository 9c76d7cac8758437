import json

import numpy as np
import pytest

from batchdigits.training.calibration import (
    Calibration,
    at_temperature,
    fit_temperature,
    fold_in,
    measure_reliability,
)
from batchdigits.training.cross_validation import at_other_folds_temperature
from batchdigits.training.data import Labelled
from batchdigits.training.fit import Fitted, fit
from batchdigits.training.settings import make_settings


def drawn(rows: int, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that are right once their logits are divided by `temperature`; the classes."""
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 3, (rows, 4))
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    targets = (true.cumsum(axis=1) < generator.random((rows, 1))).sum(axis=1)
    return at_temperature(true, 1 / temperature), targets


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_the_temperature_that_spoilt_them_is_found(temperature: float) -> None:
    probabilities, targets = drawn(20_000, temperature)
    assert fit_temperature(probabilities, targets) == pytest.approx(temperature, rel=0.05)


def test_rows_that_are_all_right_do_not_ask_for_certainty() -> None:
    """Without Platt's targets the temperature would run into its limit."""
    probabilities = np.tile([0.9, 0.1], (50, 1))
    temperature = fit_temperature(probabilities, np.zeros(50, np.int64))
    assert at_temperature(probabilities, temperature)[0, 0] == pytest.approx(51 / 52, abs=1e-6)


def test_errors_of_calibration_are_those_of_hand_counting() -> None:
    """Two bins: four rows at 0.95 of which three are right, one row at 0.6 that is right."""
    probabilities = np.array([[0.95, 0.05]] * 4 + [[0.6, 0.4]])
    measured = measure_reliability(probabilities, np.array([0, 0, 0, 1, 0]))
    assert measured.calibration_error == pytest.approx((4 * 0.2 + 0.4) / 5)
    expected = -(3 * np.log(0.95) + np.log(0.05) + np.log(0.6)) / 5
    assert measured.log_loss == pytest.approx(expected)
    assert [(one.rows, one.accuracy) for one in measured.bins] == [(1, 1.0), (4, 0.75)]


def test_certainty_falls_into_the_last_bin() -> None:
    measured = measure_reliability(np.array([[1.0, 0.0]]), np.array([0]))
    assert measured.bins[0].high == 1
    assert measured.calibration_error == 0


def test_the_last_layer_holds_the_temperature(digits: Labelled) -> None:
    """Folded in, the network itself gives what dividing its logits would."""
    settings = make_settings(epochs=3, units=20, copies=1)
    fitted = fit(digits.pixels[:300], digits.targets[:300], digits.classes, settings)
    before = fitted.probabilities(digits.pixels)
    after = fold_in(fitted, 0.5).probabilities(digits.pixels)
    assert np.array_equal(fitted.probabilities(digits.pixels), before)
    assert np.allclose(after, at_temperature(before, 0.5), atol=1e-5)
    assert np.array_equal(after.argmax(axis=1), before.argmax(axis=1))


def test_a_fold_has_no_part_in_its_own_temperature(small_fit: Fitted, digits: Labelled) -> None:
    probabilities = small_fit.probabilities(digits.pixels[:100])
    fold = np.arange(100) % 2
    changed = np.where(fold == 0, 9 - digits.targets[:100], digits.targets[:100])
    first = at_other_folds_temperature(probabilities, digits.targets[:100], fold)
    second = at_other_folds_temperature(probabilities, changed, fold)
    assert np.array_equal(first[fold == 0], second[fold == 0])
    assert not np.array_equal(first[fold == 1], second[fold == 1])


def test_facts_are_plain_json() -> None:
    probabilities, targets = drawn(200, 2.0)
    measured = measure_reliability(probabilities, targets)
    facts = Calibration(2.0, "some rows", "others", measured, measured).as_facts()
    assert json.loads(json.dumps(facts)) == facts
    assert len(facts["after"]["bins"]) == len(measured.bins)
