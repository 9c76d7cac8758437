from typing import Any

import numpy as np
import pytest

from batchdigits.training.augmentation import with_copies
from batchdigits.training.data import Labelled
from batchdigits.training.epochs import receptive_fields
from batchdigits.training.fit import Fitted, fit
from batchdigits.training.settings import NETWORKS, Settings, make_settings

ROWS = 200


def fit_some(digits: Labelled, arch: str, recipe: str, **overrides: object) -> Fitted:
    few = {"epochs": 2, "units": 16, "copies": 1, **overrides}
    settings = make_settings(arch=arch, recipe=recipe, seed=3, **few)
    return fit(digits.pixels[:ROWS], digits.targets[:ROWS], digits.classes, settings)


@pytest.mark.parametrize("arch", NETWORKS)
def test_every_network_gives_a_probability_a_class(digits: Labelled, arch: str) -> None:
    probabilities = fit_some(digits, arch, "default").probabilities(digits.pixels[:50])
    assert probabilities.shape == (50, 10)
    assert probabilities.dtype == np.float32
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("recipe", ["default", "article"])
def test_the_same_seed_gives_the_same_weights(digits: Labelled, recipe: str) -> None:
    """Bit by bit, with dropout and copies; another seed gives others."""
    first, second = (fit_some(digits, "mlp", recipe, dropout=0.2) for _ in range(2))
    for one, other in zip(first.model.get_weights(), second.model.get_weights(), strict=True):
        assert np.array_equal(one, other)
    settings = make_settings(recipe=recipe, seed=4, epochs=2, units=16, dropout=0.2)
    third = fit(digits.pixels[:ROWS], digits.targets[:ROWS], digits.classes, settings)
    assert not np.array_equal(first.model.get_weights()[0], third.model.get_weights()[0])


@pytest.mark.parametrize("recipe", ["default", "article"])
def test_early_stopping_ends_before_the_last_epoch(digits: Labelled, recipe: str) -> None:
    """With a rate that learns nothing any more, patience runs out."""
    fitted = fit_some(
        digits, "mlp", recipe, epochs=60, early_stopping=2, learning_rate=3.0, optimizer="sgd"
    )
    assert fitted.epochs < 60


def test_early_stopping_takes_the_best_weights_back(digits: Labelled) -> None:
    """Going on after the best epoch with a rate that wrecks it leaves no trace."""
    fitted = fit_some(digits, "mlp", "default", epochs=30, early_stopping=30, learning_rate=0.3)
    predicted = fitted.probabilities(digits.pixels[:ROWS]).argmax(axis=1)
    assert (predicted == digits.targets[:ROWS]).mean() > 0.8


def test_fewer_rows_than_a_batch_still_train(digits: Labelled) -> None:
    settings = make_settings(epochs=2, batch_size=512)
    fitted = fit(digits.pixels[:20], digits.targets[:20], digits.classes, settings)
    assert np.isfinite(fitted.probabilities(digits.pixels[:20])).all()


def test_each_epoch_is_told(digits: Labelled) -> None:
    epochs_reported: list[tuple[int, int]] = []
    settings = make_settings(epochs=3, units=8)
    fit(
        digits.pixels[:100],
        digits.targets[:100],
        digits.classes,
        settings,
        lambda epoch, epochs, loss: epochs_reported.append((epoch, epochs)),
    )
    assert epochs_reported == [(1, 3), (2, 3), (3, 3)]


def test_the_scaler_knows_the_training_rows_alone(digits: Labelled) -> None:
    """Without copies mean and variance are those of the rows; with them those of both."""
    fitted = fit_some(digits, "mlp", "default", copies=0)
    assert np.allclose(fitted.scaler.mean_, digits.pixels[:ROWS].mean(axis=0))
    copied = fit_some(digits, "mlp", "default", copies=3)
    seen = with_copies(digits.pixels[:ROWS], 3, np.random.default_rng(3))
    assert np.allclose(copied.scaler.mean_, seen.mean(axis=0), atol=1e-6)
    assert copied.copies == 3


def test_a_unit_reads_one_window_and_still_learns(digits: Labelled) -> None:
    """What lies outside its window has no weight after training; all of what lies inside has."""
    fitted = fit_some(digits, "mlp", "default", window=3)
    fields = receptive_fields(fitted.settings)
    assert fields is not None
    assert np.array_equal(fitted.model.get_weights()[0] != 0, fields != 0)


def test_noise_is_not_in_the_scaler(digits: Labelled) -> None:
    """It changes what is learnt, not what a pixel is worth."""
    clean, noisy = (fit_some(digits, "mlp", "default", noise=noise) for noise in (0.0, 0.5))
    assert np.array_equal(clean.scaler.mean_, noisy.scaler.mean_)
    assert not np.array_equal(clean.model.get_weights()[0], noisy.model.get_weights()[0])


def test_shapes_teach_digits_that_the_rows_lack(digits: Labelled) -> None:
    """A network that saw no 7 among its rows knows drawn ones."""
    known = digits.targets[:ROWS] != 7
    pixels, targets = digits.pixels[:ROWS][known], digits.targets[:ROWS][known]
    settings = make_settings(seed=3, units=64, batch_size=128, copies=1, shapes=120)
    fitted = fit(pixels, targets, digits.classes, settings)
    sevens = digits.pixels[digits.targets == 7]
    assert (fitted.probabilities(sevens).argmax(axis=1) == 7).mean() > 0.5


def test_a_taught_network_learns_what_its_teacher_says(
    digits: Labelled, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the labels: those of a teacher that learnt from the same rows."""

    def make_teacher(**given: Any) -> Settings:
        return make_settings(units=24, epochs=3, **given)

    monkeypatch.setattr("batchdigits.training.fit.make_settings", make_teacher)
    settings = make_settings(arch="mlp-small", seed=3, epochs=30, copies=2)
    pixels, targets = digits.pixels[:ROWS], digits.targets[:ROWS]
    teachers = [
        fit(pixels, targets, 10, make_teacher(copies=2, seed=seed)).probabilities(pixels)
        for seed in (4, 5, 6)
    ]
    taught = fit(pixels, targets, 10, settings).probabilities(pixels)
    labelled = fit(pixels, targets, 10, settings.changed(teachers=0)).probabilities(pixels)
    said = sum(teachers) / 3
    assert np.abs(taught - said).mean() < np.abs(labelled - said).mean() / 2
