"""The options of a run: frozen records, built once from flags or keywords, checking themselves.

No record imports NumPy, so that wrong usage is refused before anything heavy is loaded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from fractions import Fraction
from typing import Any, Self, TypeVar

from batchdigits.engines.open import ENGINES
from batchdigits.errors import UsageError
from batchdigits.rows.options import Machine, ReadOptions
from batchdigits.store.choice import BundleChoice
from batchdigits.text import parse_share

RecordT = TypeVar("RecordT")


@dataclass(frozen=True, slots=True)
class Limit:
    """How many rejects a run may have and still end with 0: a count, or a share of the rows in."""

    count: int = 0
    share: Fraction | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """`5`, `0.5%` or `0.005`. Raises UsageError for anything else."""
        if re.fullmatch(r"[0-9]{1,18}", text):
            return cls(count=int(text))
        try:
            share = parse_share(text)
        except ValueError:
            share = None
        # 1.0 may be meant as one row or as all of them.
        if share is None or (share == 1 and not text.endswith("%")):
            raise UsageError(
                f"--max-rejects {text!r}: expected a count such as 5, or a share such as 0.5%"
            )
        return cls(share=share)

    def allows(self, rejected: int, rows: int) -> bool:
        """Whether `rejected` of `rows` rows are within the limit."""
        if self.share is not None:
            return rejected <= self.share * rows  # exact: a limit that is just met is met
        return rejected <= self.count


@dataclass(frozen=True, slots=True)
class ScoreOptions:
    """What is written of each row.

    probabilities  a `proba_CLASS` column for each class
    review_below   the least confidence, 0..1, that is accepted; None: the bundle's threshold
    strangeness    how far each row is from usual digits
    """

    probabilities: bool = False
    review_below: float | None = None
    strangeness: bool = False

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """The options among flags or keywords."""
        review_below = parse_review_below(given["review_below"])
        return cls(given["probabilities"], review_below, given["strangeness"])

    def check_engine(self, engine: str) -> None:
        """Raise UsageError where an engine can't do what is asked for."""
        if self.strangeness and not ENGINES[engine].measures:
            able = " and ".join(name for name, kind in ENGINES.items() if kind.measures)
            raise UsageError(
                f"--strangeness: the {engine} engine can't measure it, only {able} can: "
                "leave out --engine or --strangeness"
            )

    def facts(self) -> dict[str, Any]:
        """The options as a receipt keeps them."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


@dataclass(frozen=True, slots=True)
class RunPolicy:
    """What a run may do, and when it ends with another code than 0.

    max_rejects    rejects of an input file; more: exit code 3
    max_drift      drift of an input file, 0..1; more: exit code 4. None: any
    overwrite      whether outputs of another input, bundle or options may be replaced
    allow_suspect  whether data that look scaled, inverted, turned or blank are scored
    """

    max_rejects: Limit = field(default_factory=Limit)
    max_drift: float | None = None
    overwrite: bool = False
    allow_suspect: bool = False

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """The policy among flags or keywords."""
        return cls(
            Limit.parse(str(given["max_rejects"])),
            _share("--max-drift", given["max_drift"], "a number from 0 to 1, such as 0.25"),
            given["overwrite"],
            given["allow_suspect"],
        )


@dataclass(frozen=True, slots=True)
class RunOptions:
    """All that a run is asked for, besides its input files and where outputs go."""

    read: ReadOptions
    score: ScoreOptions
    bundle: BundleChoice
    policy: RunPolicy
    machine: Machine

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """The options among the flags of predict, or the keywords of `score`, all checked.

        Raises UsageError for a value that no run could use.
        """
        policy = RunPolicy.of(given)
        read = ReadOptions(**_named(ReadOptions, given, keep=_names(given["keep"]))).checked()
        bundle = BundleChoice(**_named(BundleChoice, given)).checked()
        score = ScoreOptions.of(given)
        score.check_engine(bundle.engine)
        machine = Machine(given["workers"], given["batch_size"]).checked()
        return cls(read, score, bundle, policy, machine)

    def facts(self) -> dict[str, Any]:
        """What decides the bytes of an output besides input file and bundle, for its receipt."""
        return {"engine": self.bundle.engine, **self.read.facts(), **self.score.facts()}


def parse_review_below(value: float | str | None) -> float | None:
    """The confidence that `--review-below` names, 0..1. Raises UsageError for what is none."""
    return _share("--review-below", value, "a confidence in 0..1, such as 0.95 or 95%")


def _named(record: Any, given: Mapping[str, Any], **others: Any) -> dict[str, Any]:
    """The values that a record's fields have among `given`, `others` in their place."""
    return {one.name: others.get(one.name, given[one.name]) for one in fields(record)}


def _share(flag: str, value: float | str | None, expected: str) -> float | None:
    """A part of 1 as a flag or a keyword has it. Raises UsageError for what is none."""
    if value is None:
        return None
    try:
        return float(parse_share(str(value)))
    except ValueError as error:
        raise UsageError(f"{flag} {value}: expected {expected}") from error


def _names(keep: Any) -> tuple[str, ...] | None:
    if isinstance(keep, str):  # which is a sequence of letters
        raise UsageError(f"keep={keep!r}: expected a list of column names, such as [{keep!r}]")
    return None if keep is None else tuple(keep)
