"""How many cells a field has, as the user or a template says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from batchdigits.errors import NoInputError, UnusableInputError
from batchdigits.files.plain import read_small
from batchdigits.files.strict_json import parse_strict

_MAX_TEMPLATE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Length:
    """The number of cells of a field: between `least` and `most`; None: any number."""

    least: int = 1
    most: int | None = None

    @property
    def exact(self) -> bool:
        return self.least == self.most

    def fits(self, cells: int) -> bool:
        return cells >= self.least and (self.most is None or cells <= self.most)


ANY = Length()


def read_lengths(path: Path) -> Mapping[str, Length]:
    """Read the number of digits of each field of a template.

    Raises NoInputError if it is absent, UnusableInputError if it is not a template.
    """
    try:
        document = parse_strict(read_small(path, _MAX_TEMPLATE_BYTES))
    except FileNotFoundError:
        raise NoInputError(f"{path}: no such file; give the template of the forms") from None
    except (OSError, ValueError) as error:
        raise UnusableInputError(f"{path}: not a template: {error}") from error
    lengths = {}
    match document:
        case {"format": 1, "fields": list(fields)}:
            for entry in fields:
                match entry:
                    case {"name": str(name), "digits": int(digits)}:
                        lengths[name] = Length(digits, digits)
                    case {"name": str(name), "digits_at_most": int(digits)}:
                        lengths[name] = Length(1, digits)
                    case _:
                        raise UnusableInputError(
                            f"{path}: a field without a name and a number of digits; see the "
                            "template's format in docs/forms.md"
                        )
            return lengths
    raise UnusableInputError(f"{path}: expected a template of format 1 with its fields")
