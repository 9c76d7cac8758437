"""Which texts a field may hold, and the most probable of them for what the cells show."""

from __future__ import annotations

import heapq
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from batchdigits.errors import NoInputError, UnusableInputError, UsageError, missing_extra
from batchdigits.fields.options import LONGEST_FIELD, FieldOptions, compile_pattern

MOST_TRIES = 1_000
"""Texts that are tried against a pattern, the most probable first."""

_FIRST_TRIES = 64
"""Texts that are looked up among the values before all of these are compared."""

_ALIASES = {"iso7064": "iso7064.mod_11_10"}
_MAX_VALUES_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Allowed:
    """The tests of a text; each is None if it was not asked for.

    values   the allowed texts; `by_length` has the same, as arrays of code points
    """

    check: Callable[[str], bool] | None = None
    pattern: re.Pattern[str] | None = None
    values: frozenset[str] | None = None
    by_length: Mapping[int, NDArray[np.uint32]] = field(default_factory=dict)

    @property
    def asked(self) -> bool:
        """Whether there is any test."""
        return any(test is not None for test in (self.check, self.pattern, self.values))

    def cause(self, text: str) -> str | None:
        """Return the cause for which a text is not allowed; None if it is."""
        if self.values is not None and text not in self.values:
            return "values"
        if self.pattern is not None and self.pattern.fullmatch(text) is None:
            return "pattern"
        if self.check is not None and not self.check(text):
            return "check"
        return None

    def most_probable(self, classes: str, probabilities: NDArray[np.float64]) -> str | None:
        """Return the most probable text that is allowed; None if there is none.

        classes        the characters of the classes, k of them
        probabilities  float64 (n, k), of n cells, which count as independent

        Without a list of values, None also if none of the 1,000 most probable texts is allowed.
        """
        tries = MOST_TRIES if self.values is None else _FIRST_TRIES
        for text, _ in zip(in_order(classes, probabilities), range(tries), strict=False):
            if self.cause(text) is None:
                return text
        texts = self.by_length.get(len(probabilities))
        return None if texts is None else _likeliest(texts, classes, probabilities)


def open_allowed(options: FieldOptions) -> Allowed:
    """Make the tests that the options ask for.

    Raises UsageError for an unknown algorithm, MissingExtraError without python-stdnum,
    NoInputError or UnusableInputError for a file of values that can't be read.
    """
    check = None if options.check is None else _checker(options.check)
    pattern = None if options.pattern is None else compile_pattern(options.pattern)
    if options.values is None:
        return Allowed(check, pattern)
    others = Allowed(check, pattern)
    values = frozenset(v for v in _read_values(Path(options.values)) if others.cause(v) is None)
    if not values:
        raise UnusableInputError(
            f"{options.values}: no value passes --check and --pattern too; check the file"
        )
    return Allowed(check, pattern, values, _by_length(values))


def in_order(classes: str, probabilities: NDArray[np.float64]) -> Iterator[str]:
    """Yield the texts of n cells from the most to the least probable, those above 0.

    Lazily, by a heap of texts whose next candidates are one class further down in one cell.
    """
    ranked = np.argsort(-probabilities, axis=1, kind="stable")
    sorted_p = np.take_along_axis(probabilities, ranked, axis=1)
    with np.errstate(divide="ignore"):
        logs = np.log(sorted_p)
    letters = [[classes[at] for at in row] for row in ranked]
    # Each text is reached once: only cells from the last changed one on go further down.
    start = (0,) * len(letters)
    heap = [(-logs[:, 0].sum(), 0, start)]
    while heap:
        cost, changed, ranks = heapq.heappop(heap)
        if cost == np.inf:
            return
        yield "".join(row[rank] for row, rank in zip(letters, ranks, strict=True))
        for cell in range(changed, len(ranks)):
            rank = ranks[cell] + 1
            if rank < len(classes) and logs[cell, rank] > -np.inf:
                step = logs[cell, ranks[cell]] - logs[cell, rank]
                heapq.heappush(heap, (cost + step, cell, (*ranks[:cell], rank, *ranks[cell + 1 :])))


def _likeliest(
    texts: NDArray[np.uint32], classes: str, probabilities: NDArray[np.float64]
) -> str | None:
    """Return the most probable of `texts`, code points (v, n); None if all have probability 0."""
    codes = np.array([ord(letter) for letter in classes], np.uint32)
    order = np.argsort(codes)
    places = np.minimum(np.searchsorted(codes[order], texts), len(codes) - 1)
    known = codes[order][places] == texts
    each = probabilities[:, order][np.arange(len(probabilities)), places]
    products = np.where(known, each, 0.0).prod(axis=1)
    best = int(products.argmax())
    return "".join(map(chr, texts[best])) if products[best] > 0 else None


def _checker(name: str) -> Callable[[str], bool]:
    try:
        import_module("stdnum")
    except ImportError:
        raise missing_extra("--check needs python-stdnum", "fields") from None
    module_name = _ALIASES.get(name, name)
    is_valid: Callable[[str], bool] | None = None
    if re.fullmatch(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?", module_name):
        with suppress(ImportError):
            is_valid = getattr(import_module(f"stdnum.{module_name}"), "is_valid", None)
    if is_valid is None:
        raise UsageError(
            f"--check {name}: unknown; name an algorithm of python-stdnum, such as luhn, verhoeff, "
            "damm, iso7064 (MOD 11,10), iso7064.mod_97_10 or de.idnr"
        )
    return is_valid


def _read_values(path: Path) -> list[str]:
    try:
        if path.stat().st_size > _MAX_VALUES_BYTES or path.is_char_device():
            raise UnusableInputError(
                f"{path}: a device, or larger than 256 MiB; give a shorter list of values"
            )
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise NoInputError(f"{path}: no such file; --values takes texts, one a line") from None
    except OSError as error:
        raise NoInputError(f"{path}: can't be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UnusableInputError(f"{path}: not UTF-8; save it as UTF-8 text") from error
    values = [line.strip() for line in text.splitlines()]
    values = [value for value in values if value]
    if not values or max(map(len, values)) > LONGEST_FIELD:
        raise UnusableInputError(
            f"{path}: expected texts of at most {LONGEST_FIELD:,} characters, one a line"
        )
    return values


def _by_length(values: frozenset[str]) -> dict[int, NDArray[np.uint32]]:
    groups: dict[int, list[str]] = defaultdict(list)
    for value in sorted(values):  # of equally probable ones the first, whatever the set's order
        groups[len(value)].append(value)
    return {
        length: np.array(texts, f"<U{length}").view(np.uint32).reshape(-1, length)
        for length, texts in groups.items()
    }
