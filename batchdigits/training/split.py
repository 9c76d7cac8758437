"""The split: rows to train on, and rows to judge by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.errors import UnusableInputError
from batchdigits.text import listing
from batchdigits.training.data import Labelled

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Split:
    """Rows to train on, rows held out, and JSON facts on how they were chosen."""

    train: Indices
    held: Indices
    facts: dict[str, Any]

    @property
    def judged(self) -> Indices:
        """The rows held out, or all rows where none are."""
        return self.held if len(self.held) else self.train


def split_rows(data: Labelled, test_share: float, seed: int) -> Split:
    """The tutorial's split: `train_test_split(test_size=test_share, random_state=seed)`.

    It is stratified only if the plain split leaves a class out of a part, so that figures stay
    comparable with the tutorial's. With `test_share` 0 every row trains and none is held out.
    Raises UnusableInputError for a class with too few rows to be in both parts.
    """
    rows = len(data.targets)
    if test_share == 0:
        return Split(np.arange(rows), np.arange(0), {"kind": "all", "train": rows, "held_out": 0})
    train, held, is_stratified = _both_with_every_class(data, test_share, seed)
    how = {"test_share": test_share, "random_state": seed, "stratified": is_stratified}
    counts = {"train": len(train), "held_out": len(held)}
    return Split(train, held, {"kind": "holdout", **how, **counts})


def split_folds(data: Labelled, folds: int, seed: int) -> Iterator[tuple[Indices, Indices]]:
    """Yield the training and the held-out rows of stratified folds; each row is held out once.

    Raises UnusableInputError for a class with fewer rows than folds.
    """
    from sklearn.model_selection import StratifiedKFold

    _refuse_small_classes(data, folds, f"for {folds} folds; take fewer folds, or add rows")
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    yield from splitter.split(data.pixels, data.targets)


def _both_with_every_class(
    data: Labelled, test_share: float, seed: int
) -> tuple[Indices, Indices, bool]:
    from sklearn.model_selection import train_test_split

    fix = "for a part to train on and a part to judge by; add rows, or give --test-share 0"
    _refuse_small_classes(data, 2, fix)
    numbers = np.arange(len(data.targets))
    for stratify in (None, data.targets):
        try:
            train, held = train_test_split(
                numbers, test_size=test_share, random_state=seed, stratify=stratify
            )
        except ValueError as error:
            raise UnusableInputError(
                f"{data.source}: {len(numbers)} rows of {data.classes} classes can't be split with "
                f"--test-share {test_share}: {error}"
            ) from error
        if all(len(np.unique(data.targets[part])) == data.classes for part in (train, held)):
            return train, held, stratify is not None
    raise UnusableInputError(
        f"{data.source}: with --test-share {test_share} a class would be missing from one part; "
        "add rows of the small classes, or give --test-share 0"
    )


def _refuse_small_classes(data: Labelled, least: int, fix: str) -> None:
    counts = np.bincount(data.targets, minlength=data.classes)
    small = [
        f"{label!r} ({count})"
        for label, count in zip(data.binarizer.classes_.tolist(), counts, strict=True)
        if count < least
    ]
    if small:
        raise UnusableInputError(f"{data.source}: too few rows of class {listing(small)} {fix}")
