"""Strict JSON: UTF-8, no key twice, no NaN or Infinity, no more than a given size."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any

from batchdigits.errors import BundleError
from batchdigits.text import listing


def parse_json(text: bytes, name: str, most: int) -> Any:
    """Parse the JSON in `text`, of at most `most` bytes; messages call it `name`.

    Raises BundleError for anything that two parsers could understand differently.
    """
    if len(text) > most:
        raise BundleError(f"{name} has {len(text)} bytes, at most {most} are allowed")

    def distinct_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        document = dict(pairs)
        if len(document) != len(pairs):
            counts = Counter(key for key, _ in pairs)
            doubled = sorted(key for key, count in counts.items() if count > 1)
            raise BundleError(f"{name} has a key twice: {listing(doubled)}")
        return document

    def refuse_constant(constant: str) -> float:
        raise BundleError(f"{name} holds {constant}, which is not a JSON number")

    def parse_finite(number: str) -> float:
        value = float(number)
        if not math.isfinite(value):
            raise BundleError(f"{name} holds {number[:40]}, which is too large for a float64")
        return value

    try:
        return json.loads(
            text.decode("utf-8"),
            object_pairs_hook=distinct_keys,
            parse_float=parse_finite,
            parse_constant=refuse_constant,
        )
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{name} is not JSON in UTF-8: {error}") from error
