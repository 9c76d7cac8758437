import pytest

from batchdigits.errors import UsageError
from batchdigits.training.settings import RECIPES, make_settings


def test_the_article_recipe_is_the_tutorials_script() -> None:
    """100 epochs of batches of 10, adam at its own rate, uniform weights, nothing added."""
    settings = make_settings("mlp2", "article", 0, {})
    assert (settings.layers, settings.units, settings.epochs, settings.batch_size) == (
        *(2, 500, 100, 10),
    )
    assert (settings.optimizer, settings.learning_rate) == ("adam", 0.001)
    assert settings.initializer == "uniform"
    assert (settings.one_cycle, settings.label_smoothing, settings.copies) == (False, 0, 0)
    assert settings.calibration_folds == 0


def test_flags_override_the_recipe_and_none_keeps_it() -> None:
    settings = make_settings("mlp", "default", 7, {"units": 20, "epochs": None})
    assert settings.units == 20
    assert settings.epochs == RECIPES["default"].epochs
    assert settings.seed == 7


@pytest.mark.parametrize(
    ("arch", "recipe", "overrides", "told"),
    [
        ("lenet", "default", {}, "known are mlp, mlp2, mlp-small, cnn, best"),
        ("mlp", "secret", {}, "known are default, article"),
        ("mlp", "default", {"optimizer": "adagrad2"}, "known are adam"),
        ("mlp", "default", {"units": 0}, "--units is 0, expected 1 to 10000"),
        ("mlp", "default", {"dropout": 1.0}, "--dropout is 1.0"),
        ("mlp", "default", {"learning_rate": float("nan")}, "--learning-rate is nan"),
        ("mlp", "default", {"copies": -1}, "--copies is -1, expected 0 to 1000"),
        ("mlp", "default", {"calibration_folds": 1}, "--calibration-folds is 1, expected 0"),
        ("best", "default", {"layers": 2}, "--layers is 2, expected 1"),
        ("mlp", "default", {"early_stopping": 0}, "--early-stopping is 0"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(
    arch: str, recipe: str, overrides: dict[str, object], told: str
) -> None:
    """Unknown names list the known ones; numbers out of range name the flag and the range."""
    with pytest.raises(UsageError, match=told):
        make_settings(arch, recipe, 0, overrides)
