"""The JSON of a bundle: strict, and no longer than a given size."""

from __future__ import annotations

from typing import Any

from batchdigits.errors import BundleError
from batchdigits.files.strict_json import parse_strict


def parse_json(text: bytes, name: str, most: int) -> Any:
    """Parse the JSON in `text`, of at most `most` bytes; messages call it `name`.

    Raises BundleError for anything that two parsers could understand differently.
    """
    if len(text) > most:
        raise BundleError(f"{name} has {len(text)} bytes, at most {most} are allowed")
    try:
        return parse_strict(text)
    except ValueError as error:
        raise BundleError(f"{name} {error}") from error
