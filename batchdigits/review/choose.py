"""The choice of cells: those in doubt, a sample of the accepted, and the planted ones.

Chance is a hash of a row's place, the digest of its predictions and the seed: the same predictions
and options choose the same cells.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from batchdigits.errors import UnusableInputError, UsageError
from batchdigits.evaluation.labels import label_places
from batchdigits.review.document import DOUBTFUL, PLANTED, SAMPLE
from batchdigits.scoring.published import Predictions
from batchdigits.text import count_of

MOST_CELLS = 100_000
"""Cells that a page holds; nobody settles more in a day."""

SURE = 0.99
"""The least confidence of a planted cell: what it was read as must be what it is."""

ROW = np.dtype([("key", "f8"), ("file", "i8"), ("place", "i8"), ("read", "i8"), ("sure", "f8")])
"""A row that may be shown: the key that ranks it, the number of its file, its place among the
predictions there, the class that predict wrote, and its confidence."""

Rows = NDArray[np.void]


class NothingToReviewError(UnusableInputError):
    """Predictions without a cell to show."""


@dataclass(frozen=True, slots=True)
class ChoiceOptions:
    """Which cells to show.

    limit    the most cells in doubt, the least confident first; None: all of them
    planted  the share of planted cells among all that are shown, 0..0.5
    sample   the number of accepted rows to show
    seed     of the hash that chooses the sample and the planted cells
    group    the columns that name a field, whose cells are shown on demand
    """

    limit: int | None = None
    planted: float = 0.07
    sample: int = 100
    seed: int = 0
    group: tuple[str, ...] = ()

    def checked(self) -> Self:
        """Return the same options. Raises UsageError for values that no page can have."""
        if not 0 <= self.planted <= 0.5:
            raise UsageError(
                f"--planted {self.planted:g}: expected a share of the cells from 0 to 50%, such as "
                "7%"
            )
        for name, value in (("limit", self.limit), ("sample", self.sample)):
            if value is not None and not 0 <= value <= MOST_CELLS:
                raise UsageError(
                    f"--{name} {value}: a page holds 0 to {MOST_CELLS:,} cells; name the number to "
                    "show, and make more pages of fewer files"
                )
        return self

    def facts(self) -> dict[str, Any]:
        """Return the options as the document holds them."""
        return asdict(self) | {"group": list(self.group)}


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen rows of all files by kind, and the number of accepted rows of each file."""

    rows: Mapping[str, Rows]
    accepted: tuple[int, ...]


def check_decisions(file: Predictions) -> None:
    """Raise UnusableInputError for predictions that don't say which rows are in doubt."""
    if "decision" not in file.schema.names:
        raise UnusableInputError(
            f"{file.path}: has no column 'decision', so that nothing says which cells are in "
            "doubt; predict with --review-below, such as --review-below 0.95"
        )


def choose(
    files: Sequence[Predictions], keys: Sequence[Mapping[str, int]], options: ChoiceOptions
) -> Choice:
    """Choose the cells of all files together.

    keys  for each file, its classes by the texts that stand for them

    Raises UnusableInputError for predictions without anything to show, or with more cells in doubt
    than a page holds.
    """
    limit = MOST_CELLS if options.limit is None else options.limit
    found = _Found(limit, options)
    for number, (file, classes) in enumerate(zip(files, keys, strict=True)):
        found.add_file(number, file, classes)
    if options.limit is None and found.in_doubt > MOST_CELLS:
        raise UnusableInputError(
            f"{files[0].path}: {found.in_doubt:,} cells are in doubt in "
            f"{count_of(len(files), 'file')}, a page holds {MOST_CELLS:,}; take the most doubtful "
            f"with --limit {MOST_CELLS}, make a page of fewer files, or predict with a lower "
            "--review-below"
        )
    doubtful, sample = found.doubtful.lowest(), found.sample.lowest()
    shown = len(doubtful) + len(sample)
    if not shown:
        raise NothingToReviewError(
            f"{files[0].path}: no row has the decision review, and no accepted row is asked for: "
            "there is nothing to look at; give --sample, or predict with a higher --review-below"
        )
    sure = found.sure.lowest()
    is_free = ~np.isin(_identity(sure), _identity(sample))
    planted = sure[is_free][: round(shown * options.planted / (1 - options.planted))]
    rows = {DOUBTFUL: doubtful, SAMPLE: sample, PLANTED: planted}
    return Choice(rows, tuple(found.accepted))


class _Found:
    """The rows of all files that may be shown, as far as they may be chosen."""

    def __init__(self, limit: int, options: ChoiceOptions) -> None:
        self.doubtful, self.sample = _Pool(limit), _Pool(options.sample)
        self.sure = _Pool(2 * MOST_CELLS)
        self.accepted: list[int] = []
        self.in_doubt = 0
        self._seed = options.seed

    def add_file(self, number: int, file: Predictions, classes: Mapping[str, int]) -> None:
        start, accepted = 0, 0
        for batch in file.batches(("prediction", "confidence", "decision")):
            rows = np.zeros(batch.num_rows, ROW)
            rows["file"], rows["place"] = number, np.arange(start, start + batch.num_rows)
            rows["read"] = label_places(batch.column(0), classes)
            rows["sure"] = batch.column(1).cast(pa.float64()).to_numpy(zero_copy_only=False)
            _refuse_unknown(rows, file)
            is_review = pc.equal(batch.column(2).cast(pa.string()), "review")
            in_doubt = pc.fill_null(is_review, True).to_numpy(zero_copy_only=False)
            accepted += int((~in_doubt).sum())
            self._add(rows, in_doubt, file)
            start += batch.num_rows
        self.in_doubt += start - accepted
        self.accepted.append(accepted)

    def _add(self, rows: Rows, in_doubt: NDArray[np.bool_], file: Predictions) -> None:
        rows["key"] = rows["sure"]
        self.doubtful.add(rows[in_doubt])
        rest = rows[~in_doubt]
        for pool, purpose, chosen in (
            (self.sample, SAMPLE, rest),
            (self.sure, PLANTED, rest[rest["sure"] >= SURE]),
        ):
            chosen["key"] = chance(chosen["place"], self._seed, purpose, file)
            pool.add(chosen)


class _Pool:
    """The rows with the lowest keys of all that were added, at most `most` of them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._rows = np.zeros(0, ROW)

    def add(self, rows: Rows) -> None:
        self._rows = np.concatenate([self._rows, rows])
        if len(self._rows) > 2 * self._most + 65_536:
            self._rows = self.lowest()

    def lowest(self) -> Rows:
        """Return the rows, those with the lowest keys first."""
        return np.sort(self._rows, order=["key", "file", "place"])[: self._most]


def chance(
    places: NDArray[np.int64], seed: int, purpose: str, file: Predictions
) -> NDArray[np.float64]:
    """Return a number in 0..1 for each place (n,), as if by chance, and always the same.

    It is a hash of place, seed, purpose and the digest of the predictions: SplitMix64 (Steele and
    others, "Fast splittable pseudorandom number generators", 2014), seeded by SHA-256.
    """
    text = f"{seed} {purpose} {file.receipt.predictions.digest}"
    start = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")
    z = (places.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z += np.uint64(start)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    hashed = (z ^ (z >> np.uint64(31))) >> np.uint64(11)
    return hashed.astype(np.float64) * 2.0**-53


def _identity(rows: Rows) -> NDArray[np.int64]:
    identity: NDArray[np.int64] = rows["file"] << 48 | rows["place"]
    return identity


def _refuse_unknown(rows: Rows, file: Predictions) -> None:
    unknown = rows["read"] < 0
    if unknown.any():
        bundle = file.receipt.key.bundle
        raise UnusableInputError(
            f"{file.path}: prediction {int(rows['place'][unknown][0]) + 1} is not a class of "
            f"{bundle['name']}@{bundle['version']}; run predict again"
        )
