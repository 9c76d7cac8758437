"""The options of a training, and the command line that asks for the same."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from batchdigits.archive.manifest import is_bundle_name
from batchdigits.errors import UsageError
from batchdigits.rows.options import ReadOptions
from batchdigits.text import exact, parse_share
from batchdigits.training.settings import SETTINGS, Settings, make_settings


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """The flags of `python -m batchdigits.train`.

    settings    values by name that differ from the recipe's (`settings.Settings`)
    data        labelled CSV and Parquet files, folders and globs; None: scikit-learn's digits
    label       its label column
    rows        how its rows are read
    test_share  share of the rows held out, 0..1; with 0 all rows train, and the accuracy comes from
                cross-validation in `folds` parts
    split_seed  alone decides which rows are held out
    max_error   the share of accepted rows that may be wrong, `0.5%` or `0.005`; None proves none
    store       the folder to publish into (None: $BATCHDIGITS_STORE, else ./bundles)
    output      one bundle file to write instead, as version 1
    sweep       a TOML file of settings to choose among first; `study` keeps its trials (None: the
                same name with .study)
    created     the manifest's time, ISO-8601 in UTC with a Z; None: now
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    data: tuple[str, ...] | None = None
    label: str = "label"
    rows: ReadOptions = field(default_factory=ReadOptions)
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
            raise UsageError("--output writes one file, --store publishes; give one of them")
        if not 0 <= self.test_share < 1:
            raise UsageError(
                f"--test-share {self.test_share}: expected a share of at least 0 and less than 1, "
                "such as 0.3 or 30%"
            )
        if not 2 <= self.folds <= 1000:
            raise UsageError(f"--folds {self.folds}: expected 2 to 1000")
        if not 0 <= self.split_seed < 2**32:
            raise UsageError(f"--split-seed {self.split_seed}: expected 0 to {2**32 - 1}")
        if self.study is not None and self.sweep is None:
            raise UsageError(
                f"--study {self.study}: keeps the trials of a --sweep; give --sweep too"
            )
        if self.sweep is not None and self.test_share == 0:
            raise UsageError(
                "--sweep needs held-out rows that judge its choice; give a --test-share above 0 "
                "(the chosen settings can be trained on all rows afterwards)"
            )
        self.rows.checked()
        settings = self.make_settings()
        if self.max_error is not None:
            parse_max_error(self.max_error)
            if not settings.calibration_folds:
                raise UsageError(
                    f"--max-error {self.max_error}: needs calibrated confidence; add "
                    "--calibration-folds 3"
                )
        return self

    def make_settings(self, **changes: Any) -> Settings:
        """The settings to train with, some of them changed. Raises UsageError for a wrong value."""
        return make_settings(**{**self.settings, **changes})


def parse_max_error(text: str) -> float:
    """`0.5%` or `0.005` as 0.005. Raises UsageError for anything else."""
    try:
        share = float(parse_share(text))
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        raise UsageError(
            f"--max-error {text!r}: expected the share of accepted rows that may be wrong, more "
            "than 0 and less than 1, such as 0.5% or 0.005"
        )
    return share


# A place is not named: where a bundle goes does not decide its contents.
_ORDER = (
    *("arch", "recipe", "data", "label", *(setting.name for setting in SETTINGS)),
    *("test_share", "split_seed", "folds", "max_error", "name", "sweep", "study"),
)


def command_line(options: TrainOptions) -> str:
    """The shortest command that makes the same model; it always names the network."""
    plain, given = asdict(TrainOptions()), asdict(options)
    values = {name: value for name, value in given.items() if value != plain[name]}
    values |= {"arch": options.make_settings().arch, "folds": options.folds, **options.settings}
    if options.test_share != 0:
        del values["folds"]
    words = ["python", "-m", "batchdigits.train"]
    for name in dict.fromkeys(_ORDER):
        if name in values:
            several = values[name] if isinstance(values[name], tuple) else (values[name],)
            for value in several:
                text = exact(value) if isinstance(value, float) else str(value)
                words += [f"--{name.replace('_', '-')}", text]
    return shlex.join(words + options.rows.words())
