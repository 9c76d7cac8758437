"""The options of a run: five frozen records, made once from flags or keywords and checked then.

None of them imports NumPy, so that a usage error does not wait for it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Self

from batchdigits.engines.open import ENGINES, check_engine
from batchdigits.errors import UsageError
from batchdigits.rows.options import Machine, ReadOptions
from batchdigits.store.choice import BundleChoice
from batchdigits.text import listing, parse_share

if TYPE_CHECKING:
    from fractions import Fraction

ON_OTHER = ("fail", "keep", "replace")
"""What a run may do with finished outputs that it would write in another way."""

TOO_MANY_REJECTS = 3
"""The exit code of an input file with more rejects than --max-rejects; it is published."""

TOO_MUCH_DRIFT = 4
"""The exit code of an input file with more drift than --max-drift; it is published."""

OK = {"rejects": TOO_MANY_REJECTS, "drift": TOO_MUCH_DRIFT}
"""The causes that `--ok` can name: all publish their input file."""


@dataclass(frozen=True, slots=True)
class Limit:
    """The most rejects with which a run ends with 0: a count, or a share of the rows in."""

    count: int = 0
    share: Fraction | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `5`, `0.5%` or `0.005`. Raises UsageError for anything else."""
        if re.fullmatch(r"[0-9]{1,18}", text):
            return cls(count=int(text))
        try:
            share = parse_share(text)
        except ValueError:
            share = None
        # 1.0 could mean one row or all rows.
        if share is None or (share == 1 and not text.endswith("%")):
            raise UsageError(
                f"--max-rejects {text!r}: expected a count such as 5, or a share such as 0.5%"
            )
        return cls(share=share)

    def allows(self, rejected: int, rows: int) -> bool:
        if self.share is not None:
            return rejected <= self.share * rows  # exact, since a share is a fraction
        return rejected <= self.count


@dataclass(frozen=True, slots=True)
class ScoreOptions:
    """The columns to write.

    probabilities  whether to write a `proba_CLASS` column for each class
    review_below   the least confidence, 0..1, that is accepted; None: the bundle's threshold
    strangeness    whether to write how far each row is from usual digits
    keep_pixels    whether to write the pixels as the network saw them
    row_number     whether to write the number of each row in the input even if other columns pass
                   through; without any it is always written
    """

    probabilities: bool = False
    review_below: float | None = None
    strangeness: bool = False
    keep_pixels: bool = False
    row_number: bool = False

    def check_engine(self, engine: str) -> None:
        """Raise UsageError for an engine that can't give these columns."""
        if self.strangeness and not ENGINES[engine].measures:
            able = " and ".join(name for name, kind in ENGINES.items() if kind.measures)
            raise UsageError(
                f"--strangeness: the {engine} engine can't measure it, only {able} can: "
                "leave out --engine or --strangeness"
            )

    def facts(self) -> dict[str, Any]:
        """Return the options as receipts hold them."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class RunPolicy:
    """The limits and permissions of a run.

    max_rejects    the most rejects of an input file; with more the exit code is 3
    max_drift      the most drift of an input file, 0..1; with more the exit code is 4. None: any
    on_other       what to do with outputs of another input, bundle or options: one of `ON_OTHER`
    allow_suspect  whether to score data that look scaled, inverted, turned or blank
    lock           whether to keep other runs away from the outputs
    trust_etag     whether to take an object of the receipt's version for unchanged, unread
    ok             the exit codes, of those in `OK`, that the run turns into 0
    """

    max_rejects: Limit = field(default_factory=Limit)
    max_drift: float | None = None
    on_other: str = "fail"
    allow_suspect: bool = False
    lock: bool = True
    trust_etag: bool = False
    ok: frozenset[int] = frozenset()

    @property
    def overwrite(self) -> bool:
        return self.on_other == "replace"

    @property
    def keep(self) -> bool:
        return self.on_other == "keep"


@dataclass(frozen=True, slots=True)
class RunOptions:
    """All options of a run, except its input files and its outputs."""

    read: ReadOptions
    score: ScoreOptions
    bundle: BundleChoice
    policy: RunPolicy
    machine: Machine

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """Make the options from the flags of predict or the keywords of `score`.

        Raises UsageError for a value that no run could use.
        """
        limit = Limit.parse(str(given["max_rejects"]))
        drift = _share("--max-drift", given["max_drift"], "a number from 0 to 1, such as 0.25")
        other = _on_other(given.get("on_other"), overwrite=given["overwrite"])
        limits = {"max_rejects": limit, "max_drift": drift, "ok": _ok(given["ok"])}
        policy = _record(RunPolicy, given, on_other=other, **limits)
        read = _record(ReadOptions, given, keep=_names(given["keep"])).checked()
        bundle = _record(BundleChoice, given)  # checked when it is loaded, if it is
        check_engine(bundle.engine)
        score = _record(ScoreOptions, given, review_below=parse_review_below(given["review_below"]))
        score.check_engine(bundle.engine)
        machine = Machine(given["workers"], given["batch_size"], _text(given["scratch"])).checked()
        return cls(read, score, bundle, policy, machine)

    def facts(self) -> dict[str, Any]:
        """Return the options that change the bytes of an output, as receipts hold them."""
        return {"engine": self.bundle.engine, **self.read.facts(), **self.score.facts()}


def _text(path: str | os.PathLike[str] | None) -> str | None:
    return None if path is None else os.fspath(path)


def _on_other(value: str | None, *, overwrite: bool) -> str:
    """Parse `--on-other` and `--overwrite`, which is short for one of its values."""
    if value is None:
        return "replace" if overwrite else "fail"
    if value not in ON_OTHER:
        raise UsageError(f"--on-other {value!r}: expected one of {listing(ON_OTHER)}")
    if overwrite:
        raise UsageError(
            f"--overwrite and --on-other {value}: --overwrite is --on-other replace; give one of "
            "the two"
        )
    return value


def _ok(causes: str | Sequence[str]) -> frozenset[int]:
    """Parse `--ok`: causes in a list, or joined by commas."""
    words = causes.split(",") if isinstance(causes, str) else causes
    unknown = [word for word in words if word not in OK]
    if unknown:
        raise UsageError(f"--ok {unknown[0]!r}: expected {' or '.join(OK)}, or both with a comma")
    return frozenset(OK[word] for word in words)


def parse_review_below(value: float | str | None) -> float | None:
    """Parse the value of `--review-below`. Raises UsageError unless it is in 0..1."""
    return _share("--review-below", value, "a confidence in 0..1, such as 0.95 or 95%")


def _record(kind: Any, given: Mapping[str, Any], **parsed: Any) -> Any:
    """Make a record whose fields have their values in `parsed`, in `given`, or their defaults."""
    values = {**given, **parsed}
    return kind(
        **{entry.name: values[entry.name] for entry in fields(kind) if entry.name in values}
    )


def _share(flag: str, value: float | str | None, expected: str) -> float | None:
    if value is None:
        return None
    try:
        text = str(value).strip()
        # A plain number may be spelled in any way that float() reads, or be a float already.
        share = float(parse_share(text) if text.endswith("%") else value)
    except (ValueError, OverflowError):
        share = -1.0
    if not 0 <= share <= 1:
        raise UsageError(f"{flag} {value}: expected {expected}")
    return share


def _names(keep: Any) -> tuple[str, ...] | None:
    if isinstance(keep, str):  # else its letters would be taken for names
        raise UsageError(f"keep={keep!r}: expected a list of column names, such as [{keep!r}]")
    return None if keep is None else tuple(keep)
