"""The options of an import, and the command line that asks for the same."""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Self

from batchdigits.archive.manifest import is_bundle_name
from batchdigits.errors import UsageError
from batchdigits.evaluation.options import DEFAULT_LABEL
from batchdigits.rows.options import ReadOptions
from batchdigits.text import parse_share

if TYPE_CHECKING:
    import argparse

MIN_ACCURACY = "90%"


@dataclass(frozen=True, slots=True)
class Terms:
    """What must hold before a model is published, and where.

    logits        the network's last layer has no activation: its values are logits
    calibrate     fit a temperature after the proof, so that confidence is the share that is right
    min_accuracy  the least share of the labelled rows that must be right, `90%` or `0.9`
    store         the folder to publish into (None: $BATCHDIGITS_STORE, else ./bundles)
    created       the manifest's time, ISO-8601 in UTC with a Z; None: now
    """

    name: str = "digits"
    store: str | None = None
    logits: bool = False
    calibrate: bool = False
    min_accuracy: str | float = MIN_ACCURACY
    created: str | None = None

    @property
    def least(self) -> float:
        """The least accuracy, 0..1."""
        return float(parse_share(str(self.min_accuracy)))

    def checked(self) -> Self:
        """The same terms. Raises UsageError for values that no import could use."""
        if not is_bundle_name(self.name):
            raise UsageError(f"--name {self.name!r}: use lower-case letters, digits, '.', '_', '-'")
        try:
            parse_share(str(self.min_accuracy))
        except ValueError as error:
            raise UsageError(
                f"--min-accuracy {self.min_accuracy!r}: expected a share such as 90% or 0.9"
            ) from error
        return self


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """The flags of `python -m batchdigits.bundles import`.

    keras, sklearn   the saved model: one of the two files
    scaler           the file of its scaler; None: none
    scaler_divide    the number that pixels are divided by first; None: they are not
    label_binarizer  the file of what encoded the labels; `labels` lists them instead
    data             a labelled CSV or Parquet file, `label` its column of labels
    rows             how its rows are read
    """

    data: str
    keras: str | None = None
    sklearn: str | None = None
    scaler: str | None = None
    scaler_divide: float | None = None
    label_binarizer: str | None = None
    labels: str | None = None
    label: str = DEFAULT_LABEL
    rows: ReadOptions = field(default_factory=ReadOptions)
    terms: Terms = field(default_factory=Terms)

    @classmethod
    def of_flags(cls, arguments: argparse.Namespace) -> Self:
        """Take the options from the flags of `bundles import`."""
        given = vars(arguments)
        terms = Terms(**{f.name: given[f.name] for f in fields(Terms) if f.name in given})
        names = {f.name for f in fields(cls)} - {"rows", "terms", "label"}
        own = {name: given[name] for name in names}
        label = given["label"] or DEFAULT_LABEL
        return cls(**own, label=label, rows=ReadOptions.of_flags(arguments), terms=terms)

    def checked(self) -> Self:
        """The same options. Raises UsageError for values that no import could use."""
        if (self.keras is None) == (self.sklearn is None):
            raise UsageError("--keras and --sklearn: give the file of one model, and its kind")
        if self.labels is not None and self.label_binarizer is not None:
            raise UsageError("--labels and --label-binarizer: give one of them")
        if self.keras is not None and self.labels is None and self.label_binarizer is None:
            raise UsageError(
                "--keras needs the labels of the network's outputs: give --label-binarizer FILE, "
                "or list them in order, such as --labels 0,1,2,3,4,5,6,7,8,9"
            )
        if self.scaler_divide is not None:
            check_divisor(self.scaler_divide)
        self.rows.checked()
        self.terms.checked()
        return self

    def command_line(self) -> str:
        """The command that imports the same; files by their names alone."""
        words = ["python", "-m", "batchdigits.bundles", "import"]
        for flag in ("keras", "sklearn", "scaler", "label_binarizer", "data"):
            if (path := getattr(self, flag)) is not None:
                words += [f"--{flag.replace('_', '-')}", Path(path).name]
        if self.scaler_divide is not None:
            words += ["--scaler-divide", f"{self.scaler_divide:g}"]
        if self.labels is not None:
            words += ["--labels", self.labels]
        if self.label != DEFAULT_LABEL:
            words += ["--label", self.label]
        words += self.rows.words()
        words += ["--logits"] * self.terms.logits + ["--calibrate"] * self.terms.calibrate
        if self.terms.least != float(parse_share(MIN_ACCURACY)):
            words += ["--min-accuracy", str(self.terms.min_accuracy)]
        return shlex.join([*words, "--name", self.terms.name])


def check_divisor(number: float) -> None:
    """Raise UsageError for a number that pixels can't be divided by."""
    if type(number) not in (int, float) or not (math.isfinite(number) and number > 0):
        raise UsageError(f"--scaler-divide {number}: expected a number above 0, such as 16")
