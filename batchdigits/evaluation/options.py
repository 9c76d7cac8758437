"""The options of reading labelled rows, without NumPy: wrong usage is refused at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from batchdigits.errors import UnusableInputError, UsageError
from batchdigits.rows.options import ReadOptions
from batchdigits.text import listing

DEFAULT_LABEL = "label"

CHOSEN, CHANCE = "chosen", "chance"
"""The columns of labelled rows that come from a review: why it chose a row, and with what
probability."""


@dataclass(frozen=True, slots=True)
class LabelledOptions(ReadOptions):
    """The options of reading labelled rows.

    keep   the columns besides the labels to read, which `--by` names; None reads all
    label  the column of true labels; None: the column `label`, if the file has one
    """

    label: str | None = None

    def checked(self) -> Self:
        """Return the same options. Raises UsageError for values that fit no input file."""
        by = self.keep or ()
        if len(set(by)) < len(by):
            raise UsageError(f"--by {','.join(by)}: names a column more than once; name each once")
        return ReadOptions.checked(self)

    def label_among(self, names: Sequence[str]) -> str | None:
        """Return the column of labels of a file with these columns, or None if it has no labels."""
        return DEFAULT_LABEL if self.label is None and DEFAULT_LABEL in names else self.label

    def choose(self, names: Sequence[str], where: str) -> Sequence[str]:
        """Choose the column of labels and those of `keep`.

        Raises UnusableInputError, listing the columns, for a column that the file lacks.
        """
        label = self.label_among(names)
        labels = [] if label is None else [label]
        for wanted, purpose, flag in (
            (self.keep or (), "to group by", "--by"),
            (labels, "with labels", "--label"),
        ):
            missing = [name for name in wanted if name not in names]
            if missing:
                raise UnusableInputError(
                    f"{where}: no column {missing[0]!r} {purpose}; the columns besides the pixels "
                    f"are {listing(map(repr, names)) or 'none'}; name one of them with {flag}"
                )
        if self.keep is None:
            return names
        return [*labels, *(name for name in self.keep if name != label)]
