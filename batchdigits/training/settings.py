"""The table of training settings: flags, checks, sweep keys and the manual come from it.

To add a setting, add a field to `Settings`, and read it where it takes effect.
"""

from __future__ import annotations

from batchdigits.errors import UsageError
from batchdigits.text import listing

TYPE_CHECKING = False
if TYPE_CHECKING:  # only here: --help must not wait for them
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    Limits = tuple[Callable[[Any], bool], str]
    """The values that a setting accepts, as a test and in words."""

NETWORKS = {
    "mlp": "one hidden layer",
    "mlp2": "two hidden layers of 500 units",
    # docs/accuracy.md has what it gives up, and how much faster it is.
    "mlp-small": "one hidden layer of 96 units, for speed",
    "cnn": "convolutions, pooling, dropout",
    "best": "an ensemble of mlps, slow and most accurate",
}
RECIPES = ("default", "article")
OPTIMIZERS = ("adam", "adamw", "nadam", "rmsprop", "sgd")


def _one_of(names: Iterable[str]) -> Limits:
    known = tuple(names)
    return (lambda value: value in known), listing(known)


def _from_to(least: int, most: int) -> Limits:
    return (lambda value: least <= value <= most), f"{least} to {most}"


class Setting:
    """One entry of the table.

    name     of the attribute; with hyphens it is the name of the flag
    kind     str, int, float or bool: that of the default, and int where that is None
    default  the value where `others` names neither recipe nor network
    others   other values, by "RECIPE/NETWORK", network or recipe, the first that fits
    accepts  the test of a value but None, and `limits` the same in words; None accepts any
    help     help text of the flag
    metavar  None: the setting has no flag
    share    the flag takes a share, `0.5%` or `0.005`
    sweep    a sweep may vary it
    fixed    its default is the same for all recipes and networks
    """

    name: str

    def __init__(
        self,
        default: Any,
        others: Mapping[str, Any] | None = None,
        *,
        limits: Limits | None = None,
        flag: tuple[str, str] | None = None,
        share: bool = False,
        sweep: bool = False,
        fixed: bool = False,
    ) -> None:
        self.kind = int if default is None else type(default)
        self.default, self.others = default, others or {}
        self.accepts: Callable[[Any], bool] | None
        self.metavar: str | None
        self.accepts, self.limits = limits or (None, "")
        self.metavar, text = flag or (None, "")
        self.help = text.format(limits=self.limits)
        self.share, self.sweep, self.fixed = share, sweep, fixed

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @property
    def flag(self) -> str:
        """The flag: `--batch-size`."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def flag_default(self) -> Any:
        """The value without the flag; None leaves it to the recipe."""
        return self.default if self.fixed else None

    @property
    def default_words(self) -> str:
        """The default in words."""
        if not self.fixed:
            return "the recipe's"
        return "off" if self.default is None else str(self.default)

    def default_for(self, recipe: str, arch: str) -> Any:
        """The value of a recipe for a network."""
        fitting = [name for name in (f"{recipe}/{arch}", arch, recipe) if name in self.others]
        return self.others[fitting[0]] if fitting else self.default


_EARLY_STOPPING = (
    "hold out a tenth of the training rows, stop after this many epochs without a better loss on "
    "them, and keep the best weights"
)

# Type checkers take a field's own type for it.
_entry: Any = Setting


class Settings:
    """Everything that decides, with the data, the weights of the network.

    The article recipe is exactly the tutorial's script. The default recipe was chosen by five
    contiguous blocks of the digits, never by the tutorial's test rows: see docs/accuracy.md.
    """

    arch: str = _entry(
        "mlp",
        limits=_one_of(NETWORKS),
        flag=(
            "NAME",
            f"network: {'; '.join(f'{name}: {words}' for name, words in NETWORKS.items())}",
        ),
        sweep=True,
        fixed=True,
    )
    recipe: str = _entry(
        "default",
        limits=_one_of(RECIPES),
        flag=("NAME", "default, or article for exactly the tutorial's settings, slower"),
        fixed=True,
    )
    layers: int = _entry(
        1,
        {"mlp2": 2, "cnn": 2},
        limits=_from_to(1, 10),
        flag=("N", "hidden layers (cnn: convolutions), {limits}"),
        sweep=True,
    )
    units: int = _entry(
        500,
        {"default/mlp": 400, "default/best": 400, "mlp-small": 96, "cnn": 128},
        limits=_from_to(1, 10_000),
        flag=("N", "units of each hidden layer, {limits}"),
        sweep=True,
    )
    dropout: float = _entry(
        0.0,
        {"cnn": 0.25},
        limits=(lambda value: 0 <= value < 1, "at least 0 and less than 1"),
        flag=("P", "share of hidden outputs that a training step leaves out, {limits}"),
        share=True,
        sweep=True,
    )
    # Pixels along the side of the square that a unit of an mlp's first hidden layer reads
    # (`epochs.receptive_fields`); None: the whole image.
    window: int | None = _entry(4, {"article": None, "default/mlp2": None, "default/cnn": None})
    # The rows of the image, evenly spread, at which windows begin.
    bands: int = _entry(5, {"default/mlp-small": 2})
    # The standard deviation of what is added to each standardized pixel, anew in every epoch.
    noise: float = _entry(
        0.3, {"article": 0.0, "default/mlp2": 0.0, "default/mlp-small": 0.2, "default/cnn": 0.0}
    )
    # The mlps of an ensemble.
    members: int = _entry(1, {"article/best": 8, "best": 4})
    # The members of an ensemble that learn from copies of which at least half are redrawn.
    redrawn_members: int = _entry(0, {"default/best": 1})
    # The mlps of the default recipe whose mean probabilities the network learns instead of the
    # labels; 0 learns the labels.
    teachers: int = _entry(0, {"default/mlp-small": 3})
    # Keras' name of how weights begin.
    initializer: str = _entry("glorot_uniform", {"article": "uniform"})
    optimizer: str = _entry(
        "adam", limits=_one_of(OPTIMIZERS), flag=("NAME", "optimizer: {limits}"), sweep=True
    )
    learning_rate: float = _entry(
        0.003,
        {"article": 0.001, "default/mlp2": 0.002, "default/cnn": 0.002},
        limits=(lambda value: 0 < value <= 10, "above 0, at most 10"),
        flag=("R", "highest learning rate of the run, {limits}"),
        sweep=True,
    )
    # `epochs.learning_rates`
    one_cycle: bool = _entry(default=True, others={"article": False})
    # The share of a target's probability that is spread over all classes.
    label_smoothing: float = _entry(0.1, {"article": 0.0})
    epochs: int = _entry(
        10,
        {"article": 100, "default/mlp-small": 30, "default/cnn": 8},
        limits=_from_to(1, 100_000),
        flag=("N", "most epochs, {limits}"),
        sweep=True,
    )
    batch_size: int = _entry(
        256,
        {"article": 10, "default/mlp2": 128, "default/cnn": 64},
        limits=_from_to(1, 1_000_000),
        flag=("ROWS", "rows of one training step, {limits}"),
        sweep=True,
    )
    early_stopping: int | None = _entry(
        None,
        limits=(lambda value: value >= 1, "1 or more epochs"),
        flag=("PATIENCE", _EARLY_STOPPING),
        fixed=True,
    )
    # Fewer where there are very many rows: `augmentation.copies_for`.
    copies: int = _entry(
        60,
        {"article": 0, "default/cnn": 20},
        limits=_from_to(0, 1000),
        flag=("N", "learn from N changed copies of each row as well as from the row, {limits}"),
        sweep=True,
    )
    redrawn: float = _entry(
        0.0,
        limits=(lambda value: 0 <= value <= 1, "0 to 1"),
        flag=("P", "share of the copies that other hands and pens draw, {limits}"),
        share=True,
        sweep=True,
    )
    # Only where the classes are the digits 0 to 9 (`augmentation.drawn_shapes`).
    shapes: int = _entry(
        0,
        limits=_from_to(0, 5000),
        flag=("N", "learn from N drawings of each of the shapes of the digits too, {limits}"),
    )
    calibration_folds: int = _entry(
        3,
        {"article": 0},
        limits=(lambda value: value == 0 or 2 <= value <= 100, "0 for none, or 2 to 100"),
        flag=("N", "networks from which the temperature of the confidence is fitted; {limits}"),
    )
    seed: int = _entry(
        0,
        limits=_from_to(0, 2**32 - 1),
        flag=(
            "N",
            "seed of weights and shuffling; on one machine the same seed gives the same weights",
        ),
        fixed=True,
    )

    def __init__(self, **values: Any) -> None:
        vars(self).update(values)

    def changed(self, **changes: Any) -> Settings:
        """The settings with some of them changed, unchecked."""
        return Settings(**{**vars(self), **changes})

    def as_facts(self) -> dict[str, Any]:
        """The settings as plain JSON values."""
        return dict(vars(self))

    def architecture(self) -> dict[str, Any]:
        """The network alone as plain JSON values, for the manifest."""
        names = ("layers", "units", "dropout")
        return {"name": self.arch, "hyperparameters": {name: vars(self)[name] for name in names}}


SETTINGS = tuple(entry for entry in vars(Settings).values() if isinstance(entry, Setting))


def make_settings(**given: Any) -> Settings:
    """Make the settings of a recipe for a network, with the values that are `given` and not None.

    Raises UsageError for a value out of its limits.
    """
    values = {name: value for name, value in given.items() if value is not None}
    chosen = {**{setting.name: setting.default for setting in SETTINGS}, **values}
    recipe, arch = chosen["recipe"], chosen["arch"]
    defaults = {setting.name: setting.default_for(recipe, arch) for setting in SETTINGS}
    settings = Settings(**{**defaults, **values})
    for setting in SETTINGS:
        value = vars(settings)[setting.name]
        if value is not None and setting.accepts is not None and not setting.accepts(value):
            raise UsageError(f"{setting.flag} {value!r}: expected {setting.limits}")
    if arch == "best" and settings.layers != 1:
        raise UsageError(f"--layers {settings.layers}: expected 1, since best has one hidden layer")
    return settings
