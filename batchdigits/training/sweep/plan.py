"""The plan of a sweep: one TOML file, parsed strictly into frozen types."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchdigits.errors import NoInputError, UsageError
from batchdigits.files.plain import read_small
from batchdigits.text import listing
from batchdigits.training.settings import SETTINGS

SAMPLERS = ("tpe", "random", "grid")

_KINDS = {setting.name: setting.kind for setting in SETTINGS if setting.sweep}
_EXPECTED = {
    str: 'a list of texts such as ["a", "b"]',
    int: "a list of whole numbers such as [100, 200], or { low = 100, high = 200 }",
    float: "a list of numbers such as [0.1, 0.2], or { low = 0.1, high = 0.2 }",
}
MAX_PLAN_BYTES = 1024 * 1024
_MOST_TRIALS = 100_000


@dataclass(frozen=True, slots=True)
class Dimension:
    """One setting that varies: among `values`, or, without any, from `low` to `high`.

    step  the distance between values; None for any value. Whole numbers stay whole
    log   the search is uniform in the logarithm
    """

    name: str
    values: tuple[Any, ...] = ()
    low: float = 0
    high: float = 0
    step: float | None = None
    log: bool = False

    @property
    def examples(self) -> tuple[Any, ...]:
        """The values, or both ends of the range."""
        return self.values or (self.low, self.high)

    def as_facts(self) -> Any:
        """The dimension as plain JSON values, as in the file."""
        if self.values:
            return list(self.values)
        facts: dict[str, Any] = {"low": self.low, "high": self.high}
        if self.step is not None:
            facts["step"] = self.step
        return {**facts, "log": True} if self.log else facts


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """A sweep file.

    trials   combinations to try
    folds    parts of the training rows that judge each combination
    sampler  one of `SAMPLERS`
    prune    whether a combination that falls behind in its first folds is stopped there
    """

    path: str
    trials: int
    folds: int
    seed: int
    sampler: str
    prune: bool
    space: tuple[Dimension, ...]


def read_plan(path: str) -> SweepPlan:
    """Read the TOML file of a sweep.

    Raises NoInputError if it can't be read, and UsageError, with the key, for anything that
    docs/sweeps.md does not allow.
    """
    document = _parse(path)
    _refuse_unknown(path, document, ("search", "space"))
    search = _table(path, document, "search", {})
    space = _table(path, document, "space")
    _refuse_unknown(f"{path}: [search]", search, ("trials", "folds", "seed", "sampler", "prune"))
    _refuse_unknown(f"{path}: [space]", space, _KINDS)
    if not space:
        raise UsageError(f"{path}: [space] is empty, expected a setting to vary: {listing(_KINDS)}")
    dimensions = tuple(_dimension(f"{path}: [space] {key}", key, space[key]) for key in space)
    where = f"{path}: [search]"
    sampler = search.get("sampler", SAMPLERS[0])
    if sampler not in SAMPLERS:
        expected = f"expected one of {listing(SAMPLERS)}"
        raise UsageError(f"{where} sampler is {sampler!r}, {expected}")
    return SweepPlan(
        path=path,
        trials=_trials(where, search, sampler, dimensions),
        folds=_whole(where, search, "folds", 5, (2, 100)),
        seed=_whole(where, search, "seed", 0, (0, 2**32 - 1)),
        sampler=sampler,
        prune=_switch(where, search, "prune", default=True),
        space=dimensions,
    )


def _parse(path: str) -> dict[str, Any]:
    try:
        text = read_small(Path(path), MAX_PLAN_BYTES, follow=True)
        return tomllib.loads(text.decode("utf-8"))
    except OSError as error:
        raise NoInputError(f"--sweep {path}: can't be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # of TOML, or of UTF-8
        raise UsageError(f"{path}: is not TOML: {error}") from error


def _refuse_unknown(where: str, keys: Iterable[str], known: Iterable[str]) -> None:
    unknown = sorted(set(keys) - set(known))
    if unknown:
        raise UsageError(f"{where}: unknown {listing(unknown)}; expected {listing(known)}")


def _table(
    path: str, document: Mapping[str, Any], name: str, default: Any = None
) -> dict[str, Any]:
    value = document.get(name, default)
    if not isinstance(value, dict):
        got = "nothing" if value is None else repr(value)
        raise UsageError(f"{path}: {name} is {got}, expected a table [{name}]")
    return value


def _whole(
    where: str, search: Mapping[str, Any], key: str, default: int, limits: tuple[int, int]
) -> int:
    value, (least, most) = search.get(key, default), limits
    if type(value) is not int or not least <= value <= most:
        raise UsageError(f"{where} {key} is {value!r}, expected {least} to {most}")
    return value


def _switch(where: str, search: Mapping[str, Any], key: str, *, default: bool) -> bool:
    value = search.get(key, default)
    if not isinstance(value, bool):
        raise UsageError(f"{where} {key} is {value!r}, expected true or false")
    return value


def _trials(
    where: str, search: Mapping[str, Any], sampler: str, space: tuple[Dimension, ...]
) -> int:
    """The number of trials; for a grid at most, and by default, all its combinations."""
    if sampler != "grid":
        return _whole(where, search, "trials", 30, (1, _MOST_TRIALS))
    ranges = [dimension.name for dimension in space if not dimension.values]
    if ranges:
        raise UsageError(
            f"{where} sampler is 'grid', which needs lists; write {listing(ranges)} as a list, or "
            "use the sampler tpe or random"
        )
    whole = math.prod(len(dimension.values) for dimension in space)
    if whole > _MOST_TRIALS:
        raise UsageError(
            f"{where} sampler is 'grid' and the space has {whole} combinations, expected at most "
            f"{_MOST_TRIALS}; list fewer values, or use the sampler tpe or random"
        )
    return min(whole, _whole(where, search, "trials", whole, (1, _MOST_TRIALS)))


def _dimension(where: str, name: str, value: Any) -> Dimension:
    kind = _KINDS[name]
    if isinstance(value, list):
        values = tuple(_value(where, kind, item) for item in value)
        if not values or len(set(values)) != len(values):
            raise UsageError(f"{where} is {value!r}, expected {_EXPECTED[kind]}, each value once")
        return Dimension(name, values)
    if not isinstance(value, dict) or kind is str:
        raise UsageError(f"{where} is {value!r}, expected {_EXPECTED[kind]}")
    return _range(where, name, value, kind)


def _value(where: str, kind: type, value: Any) -> Any:
    if type(value) is kind:
        return value
    if kind is float and type(value) is int and abs(value) < 2**53:
        return float(value)
    raise UsageError(f"{where} has {value!r}, expected {_EXPECTED[kind]}")


def _range(where: str, name: str, table: Mapping[str, Any], kind: type) -> Dimension:
    _refuse_unknown(where, table, ("low", "high", "step", "log"))
    missing = [key for key in ("low", "high") if key not in table]
    if missing:
        raise UsageError(f"{where}: lacks {listing(missing)}, expected {_EXPECTED[kind]}")
    low, high = (_value(where, kind, table[key]) for key in ("low", "high"))
    step = _value(where, kind, table["step"]) if "step" in table else None
    log = _switch(where, table, "log", default=False)
    if not low < high:
        raise UsageError(f"{where}: low is {low!r}, expected less than high, which is {high!r}")
    if step is not None and not 0 < step <= high - low:
        raise UsageError(f"{where}: step is {step!r}, expected above 0, at most high - low")
    if log and (low <= 0 or step is not None):
        raise UsageError(f"{where}: log needs a low above 0 and no step")
    return Dimension(name, low=low, high=high, step=step, log=log)
