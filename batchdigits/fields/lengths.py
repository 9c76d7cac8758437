"""How many cells a field has, as the user or a template says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from batchdigits.rows.template import Template

Key = tuple[str, ...]
"""What has a length: a field, after the name of its template where there are several."""


@dataclass(frozen=True, slots=True)
class Length:
    """The number of cells of a field: between `least` and `most`; None: any number."""

    least: int = 1
    most: int | None = None

    @property
    def is_exact(self) -> bool:
        """Whether a field that lost a cell shows it."""
        return self.least == self.most


ANY = Length()


def lengths_of(templates: Sequence[Template]) -> Mapping[Key, Length]:
    """Return the number of digits of each field of some templates."""
    several = len(templates) > 1
    return {
        (template.name, field.name) if several else (field.name,): Length(
            field.digits if field.exact else 1, field.digits
        )
        for template in templates
        for field in template.fields
    }
