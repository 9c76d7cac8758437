"""How a network is trained: every setting in one frozen record, parsed from flags at the edge."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from batchdigits.errors import UsageError
from batchdigits.text import listing
from batchdigits.training.networks import NETWORKS

OPTIMIZERS = ("adam", "adamw", "nadam", "rmsprop", "sgd")


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that decides, with the data and the seed, what weights come out.

    layers          hidden layers of an mlp, convolutions of a cnn
    units           of each hidden dense layer
    dropout         part of the hidden outputs that a training step leaves out, 0..1
    window          pixels along the side of the square that a unit of an mlp's first hidden layer
                    reads (`networks.receptive_fields`); None: the whole image
    noise           standard deviation of what is added to each standardized pixel, anew every epoch
    members         mlps that an ensemble is made of, and as many patch networks; 1 elsewhere
    teachers        mlps of the default recipe, whose mean probabilities are what the network learns
                    instead of the labels; 0 learns the labels
    initializer     of the dense layers' weights, as Keras names it
    optimizer       one of `OPTIMIZERS`
    learning_rate   the highest, where the rate follows a cycle
    one_cycle       warm up for a tenth of the steps from a tenth of the rate, then fall along half
                    a cosine to zero
    label_smoothing part of the target's probability that is spread over all classes, 0..1
    copies          changed copies of each row to learn from besides the row itself
                    (`augmentation.with_copies`); fewer where there are very many rows
    early_stopping  epochs without a better loss on a tenth of the rows, held out for it, before
                    training stops and the best weights are taken back; None trains to the end
    calibration_folds parts of the training rows, each left out by one more network, which together
                    give the temperature that makes confidence honest; 0 leaves it as trained
    seed            of the weights, of the rows' order, of dropout and of the copies
    """

    recipe: str
    arch: str
    layers: int
    units: int
    dropout: float
    window: int | None
    noise: float
    members: int
    teachers: int
    initializer: str
    optimizer: str
    learning_rate: float
    one_cycle: bool
    label_smoothing: float
    copies: int
    epochs: int
    batch_size: int
    early_stopping: int | None
    calibration_folds: int
    seed: int

    def as_facts(self) -> dict[str, Any]:
        """The settings as plain JSON values."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


# The tutorial's script, to the letter.
_ARTICLE = Settings(
    recipe="article",
    arch="mlp",
    layers=1,
    units=500,
    dropout=0.0,
    window=None,
    noise=0.0,
    members=1,
    teachers=0,
    initializer="uniform",
    optimizer="adam",
    learning_rate=0.001,
    one_cycle=False,
    label_smoothing=0.0,
    copies=0,
    epochs=100,
    batch_size=10,
    early_stopping=None,
    calibration_folds=0,
    seed=0,
)

# Chosen by five contiguous blocks of the digits, never by the tutorial's test part: see
# docs/accuracy.md.
_DEFAULT = replace(
    _ARTICLE,
    recipe="default",
    window=4,
    noise=0.3,
    initializer="glorot_uniform",
    learning_rate=0.002,
    one_cycle=True,
    label_smoothing=0.1,
    copies=60,
    epochs=10,
    batch_size=128,
    calibration_folds=3,
)

RECIPES: dict[str, Settings] = {"default": _DEFAULT, "article": _ARTICLE}

# What a network needs instead of its recipe's own settings.
_OF_NETWORK: dict[tuple[str, str], dict[str, Any]] = {
    ("default", "mlp2"): {"layers": 2, "window": None, "noise": 0.0},
    ("default", "mlp-small"): {
        "layers": 2,
        "units": 64,
        "window": 5,
        "noise": 0.2,
        "teachers": 2,
        "epochs": 20,
    },
    ("default", "best"): {"members": 8},
    ("default", "cnn"): {
        "layers": 2,
        "units": 128,
        "window": None,
        "noise": 0.0,
        "dropout": 0.25,
        "copies": 20,
        "epochs": 8,
        "batch_size": 64,
    },
    ("article", "mlp2"): {"layers": 2},
    ("article", "mlp-small"): {"layers": 2, "units": 64},
    ("article", "best"): {"members": 8},
    ("article", "cnn"): {"layers": 2, "units": 128, "dropout": 0.25},
}


def make_settings(arch: str, recipe: str, seed: int, overrides: Mapping[str, Any]) -> Settings:
    """The settings of a recipe for a network, with what the flags change.

    `overrides` maps names of `Settings` to values; None keeps the recipe's. Raises UsageError for
    an unknown recipe or network, or a value that makes no sense.
    """
    _check_known("--recipe", recipe, RECIPES)
    _check_known("--arch", arch, NETWORKS)
    changes = {name: value for name, value in overrides.items() if value is not None}
    of_network = _OF_NETWORK.get((recipe, arch), {})
    settings = replace(RECIPES[recipe], **{**of_network, **changes, "arch": arch, "seed": seed})
    _check_known("--optimizer", settings.optimizer, OPTIMIZERS)
    if settings.calibration_folds == 1:
        raise UsageError("--calibration-folds is 1, expected 0 for none, or 2 to 100")
    if arch == "best" and settings.layers != 1:
        raise UsageError(f"--layers is {settings.layers}, expected 1: best has one hidden layer")
    for name, (is_fine, expected) in _LIMITS.items():
        value = getattr(settings, name)
        if value is not None and not is_fine(value):
            flag = name.replace("_", "-")
            raise UsageError(f"--{flag} is {value}, expected {expected}")
    return settings


def _check_known(flag: str, value: str, known: Mapping[str, Any] | tuple[str, ...]) -> None:
    if value not in known:
        raise UsageError(f"{flag} {value!r} is unknown, known are {listing(known)}")


_LIMITS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "layers": (lambda value: 1 <= value <= 10, "1 to 10"),
    "units": (lambda value: 1 <= value <= 10_000, "1 to 10000"),
    "dropout": (lambda value: 0 <= value < 1, "0 up to less than 1"),
    "learning_rate": (lambda value: 0 < value <= 10, "more than 0 and at most 10"),
    "epochs": (lambda value: 1 <= value <= 100_000, "1 to 100000"),
    "batch_size": (lambda value: 1 <= value <= 1_000_000, "1 to 1000000"),
    "copies": (lambda value: 0 <= value <= 1000, "0 to 1000"),
    "calibration_folds": (lambda value: 0 <= value <= 100, "0 for none, or 2 to 100"),
    "early_stopping": (lambda value: value >= 1, "1 or more epochs"),
    "seed": (lambda value: 0 <= value < 2**32, "0 to 4294967295"),
}
