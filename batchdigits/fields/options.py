"""The options of `fields`, checked once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from batchdigits.errors import UsageError
from batchdigits.fields.columns import ADDED_COLUMNS, TEMPLATE_FIELD
from batchdigits.scoring.options import parse_review_below
from batchdigits.text import listing

LONGEST_FIELD = 1_000
"""The most cells of a field, and the most places between its first and its last cell."""


@dataclass(frozen=True, slots=True)
class FieldOptions:
    """What makes a field of cells, and which texts it may hold.

    group         the columns whose values are the same for all cells of a field
    position      the column with the place of a cell in its field, from 1 or from 0
    length        the number of cells of every field; None: any
    templates     templates, and folders of them: the number of cells by the column `field`, and by
                  the column `template` where they are several
    check         the check digit's algorithm, a module of python-stdnum such as `luhn`
    pattern       the regular expression that the whole text of a field matches
    values        the path of a file with the allowed texts, one a line
    review_below  the least probability, 0..1, of an accepted field; None: its cells decide
    """

    group: tuple[str, ...]
    position: str
    length: int | None = None
    templates: tuple[str, ...] = ()
    check: str | None = None
    pattern: str | None = None
    values: str | None = None
    review_below: float | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """Make the options from the flags of `fields`. Raises UsageError for unusable values."""
        return cls(
            group=given["group"],
            position=given["position"],
            length=given["length"],
            templates=tuple(given["template"] or ()),
            check=given["check"],
            pattern=given["pattern"],
            values=given["values"],
            review_below=parse_review_below(given["review_below"]),
        ).checked()

    def checked(self) -> Self:
        """Return the same options. Raises UsageError for values that fit no predictions."""
        if not self.group or not all(self.group):
            raise UsageError("--group: expected column names, such as --group form_id,field")
        if len({*self.group, self.position}) != len(self.group) + 1:
            raise UsageError("--group and --position: each names a column of its own, once")
        taken = [name for name in self.group if name in ADDED_COLUMNS]
        if taken:
            raise UsageError(
                f"--group {listing(taken)}: fields writes a column of that name; rename yours"
            )
        if self.length is not None and not 1 <= self.length <= LONGEST_FIELD:
            raise UsageError(f"--length {self.length}: expected 1 to {LONGEST_FIELD} cells")
        if self.length is not None and self.templates:
            raise UsageError("--length and --template both give the number of cells; leave one out")
        if self.templates and TEMPLATE_FIELD not in self.group:
            raise UsageError(
                f"--template {self.templates[0]}: the column {TEMPLATE_FIELD!r} names a template's "
                "field, and --group does not have it; add it to --group"
            )
        if self.pattern is not None:
            compile_pattern(self.pattern)
        return self

    @property
    def corrects(self) -> bool:
        """Whether a text that is not allowed may become the most probable one that is."""
        return self.pattern is not None or self.values is not None


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Compile `--pattern`. Raises UsageError if it is no regular expression."""
    try:
        return re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise UsageError(f"--pattern {pattern!r}: not a regular expression: {error}") from error
