"""How many cells a field has, as the user or a template says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from batchdigits.rows.template import Template


@dataclass(frozen=True, slots=True)
class Length:
    """The number of cells of a field: between `least` and `most`; None: any number."""

    least: int = 1
    most: int | None = None


ANY = Length()


def read_lengths(path: Path) -> Mapping[str, Length]:
    """Read the number of digits of each field of a template. Raises as `Template.read`."""
    return {
        field.name: Length(field.digits if field.exact else 1, field.digits)
        for field in Template.read(path).fields
    }
