"""What a training is asked for, and the command line that asks for the same."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

from batchdigits.archive.manifest import is_bundle_name
from batchdigits.errors import UsageError
from batchdigits.rows.options import ReadOptions
from batchdigits.training.review_threshold import parse_max_error
from batchdigits.training.settings import Settings, make_settings


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """The flags of `python -m batchdigits.train`; None leaves a setting to the recipe.

    data        a labelled CSV or Parquet file; None: scikit-learn's digits
    label       its label column
    rows        how its rows are read
    test_share  part of the rows held out, 0..1; with 0 all rows train and the accuracy comes from
                cross-validation in `folds` parts
    max_error   the part of accepted rows that may be wrong, `0.5%` or `0.005`; None proves none
    seed        of weights and shuffling; `split_seed` alone decides which rows are held out
    store       the folder to publish into (None: $BATCHDIGITS_STORE, else ./bundles)
    output      one bundle file to write instead, which is version 1
    sweep       a TOML file of settings to choose among first; `study` keeps its trials (None: the
                same name with .study)
    created     the manifest's time, ISO-8601 in UTC with a Z; None: now
    """

    arch: str = "mlp"
    recipe: str = "default"
    data: str | None = None
    label: str = "label"
    rows: ReadOptions = field(default_factory=ReadOptions)
    layers: int | None = None
    units: int | None = None
    dropout: float | None = None
    optimizer: str | None = None
    learning_rate: float | None = None
    epochs: int | None = None
    batch_size: int | None = None
    early_stopping: int | None = None
    copies: int | None = None
    calibration_folds: int | None = None
    seed: int = 0
    test_share: float = 0.3
    split_seed: int = 0
    folds: int = 10
    max_error: str | None = None
    name: str = "digits"
    store: str | None = None
    output: str | None = None
    overwrite: bool = False
    created: str | None = None
    sweep: str | None = None
    study: str | None = None

    def checked(self) -> Self:
        """The same options. Raises UsageError for values that no training could use."""
        if not is_bundle_name(self.name):
            raise UsageError(f"--name {self.name!r}: use lower-case letters, digits, '.', '_', '-'")
        if self.output is not None and self.store is not None:
            raise UsageError("--output writes one file, --store publishes: give one of them")
        if not 0 <= self.split_seed < 2**32:
            raise UsageError(f"--split-seed is {self.split_seed}, expected 0 to 4294967295")
        self.rows.checked()
        settings = settings_of(self)
        if self.max_error is not None:
            parse_max_error(self.max_error)
            if not settings.calibration_folds:
                raise UsageError(
                    f"--max-error {self.max_error}: needs confidence that is calibrated: add "
                    "--calibration-folds 3"
                )
        return self


OVERRIDES = (
    *("layers", "units", "dropout", "optimizer", "learning_rate", "epochs", "batch_size"),
    *("early_stopping", "copies", "calibration_folds"),
)
"""The options that change a recipe's settings."""


def settings_of(options: TrainOptions) -> Settings:
    """The settings of the recipe, with what the options change; UsageError for a wrong one."""
    overrides = {name: getattr(options, name) for name in OVERRIDES}
    return make_settings(options.arch, options.recipe, options.seed, overrides)


def settings_with(options: TrainOptions, values: Mapping[str, Any]) -> Settings:
    """The settings of the options with some of them changed; UsageError for a wrong value."""
    return settings_of(replace(options, **values))


# Where a bundle goes does not decide what is in it, and would name the machine.
_ABOUT_PLACE = {"store", "output", "overwrite", "created", "rows"}


def command_line(options: TrainOptions) -> str:
    """The shortest command that makes the same model: the network, and what is not the default."""
    words = ["python", "-m", "batchdigits.train", "--arch", options.arch]
    for one in fields(TrainOptions):
        value = getattr(options, one.name)
        is_default = bool(options.test_share) if one.name == "folds" else value == one.default
        if one.name not in {*_ABOUT_PLACE, "arch"} and not is_default:
            words += [f"--{one.name.replace('_', '-')}", str(value).removesuffix(".0")]
    return shlex.join(words + options.rows.words())
