"""The table of training settings: recipes, limits, and changes to both."""

import pytest

from batchdigits.errors import UsageError
from batchdigits.training.settings import NETWORKS, RECIPES, SETTINGS, Settings, make_settings


def test_the_article_recipe_is_the_tutorials_script() -> None:
    """100 epochs of batches of 10, adam at its own rate, uniform weights, nothing added."""
    settings = make_settings(arch="mlp2", recipe="article")
    assert (settings.layers, settings.units, settings.epochs, settings.batch_size) == (
        *(2, 500, 100, 10),
    )
    assert (settings.optimizer, settings.learning_rate) == ("adam", 0.001)
    assert settings.initializer == "uniform"
    assert (settings.one_cycle, settings.label_smoothing, settings.copies) == (False, 0, 0)
    assert settings.calibration_folds == 0


@pytest.mark.parametrize(("arch", "shape"), [("mlp", (1, 500)), ("mlp-small", (1, 96))])
def test_the_article_keeps_its_networks(arch: str, shape: tuple[int, int]) -> None:
    settings = make_settings(arch=arch, recipe="article")
    assert (settings.layers, settings.units) == shape


def test_a_given_value_overrides_the_recipe_and_none_keeps_it() -> None:
    settings = make_settings(seed=7, units=20, epochs=None)
    assert settings.units == 20
    assert settings.epochs == make_settings().epochs
    assert settings.seed == 7


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"arch": "lenet"}, "--arch 'lenet': expected mlp, mlp2, mlp-small, cnn, best"),
        ({"recipe": "secret"}, "--recipe 'secret': expected default, article"),
        ({"optimizer": "adagrad2"}, "--optimizer 'adagrad2': expected adam"),
        ({"units": 0}, "--units 0: expected 1 to 10000"),
        ({"dropout": 1.0}, r"--dropout 1\.0: expected at least 0 and less than 1"),
        ({"learning_rate": float("nan")}, "--learning-rate nan"),
        ({"copies": -1}, "--copies -1: expected 0 to 1000"),
        ({"calibration_folds": 1}, "--calibration-folds 1: expected 0"),
        ({"arch": "best", "layers": 2}, "--layers 2: expected 1"),
        ({"early_stopping": 0}, "--early-stopping 0"),
    ],
)
def test_a_value_out_of_its_limits_is_a_usage_error(given: dict[str, object], message: str) -> None:
    """Unknown names list the known ones; numbers name the flag and the limits."""
    with pytest.raises(UsageError, match=message):
        make_settings(**given)


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("arch", NETWORKS)
def test_every_recipe_is_within_the_limits(arch: str, recipe: str) -> None:
    settings = make_settings(arch=arch, recipe=recipe)
    assert (settings.arch, settings.recipe) == (arch, recipe)
    for setting in SETTINGS:
        value = getattr(settings, setting.name)
        assert value is None or type(value) is setting.kind, setting.name


def test_other_values_name_recipes_and_networks() -> None:
    """A misspelt name in the table would never fit."""
    known = {*RECIPES, *NETWORKS, *(f"{r}/{a}" for r in RECIPES for a in NETWORKS)}
    for setting in SETTINGS:
        assert set(setting.others) <= known, setting.name


def test_facts_are_the_attributes_in_the_order_of_the_table() -> None:
    settings = make_settings(arch="cnn", seed=3)
    facts = settings.as_facts()
    assert list(facts) == [setting.name for setting in SETTINGS]
    assert Settings(**facts).as_facts() == facts
