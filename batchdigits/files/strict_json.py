"""Strict JSON: UTF-8, no key twice, no NaN or Infinity, no endless number, no bomb."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any

from batchdigits.text import listing

_MOST_DIGITS = 40
"""More than any integer of 128 bits has; float() could not hold one of 400 digits."""


MOST_DECODED = 128 * 1024 * 1024
"""Ten times what our largest document takes: the reference of a bundle of 1,000 classes."""


def parse_strict(text: bytes, most_decoded: int | None = None) -> Any:
    """Parse the JSON in `text`, whose size the caller has limited.

    Raises ValueError, whose text continues a name ("is not JSON in UTF-8: …"), for anything that
    two parsers could understand differently, for nesting that Python can't hold, and for values
    that may take more than `most_decoded` bytes, by default `MOST_DECODED`: three bytes of text can
    become a list of 64.
    """
    limit = MOST_DECODED if most_decoded is None else most_decoded
    decoded = decoded_bytes(text)
    if decoded > limit:
        raise ValueError(f"would take up to {decoded} bytes of memory, at most {limit} are allowed")
    try:
        decoder = _SUSPICIOUS_DECODER if _may_have_long_number(text) else _DECODER
        return decoder.decode(text.decode("utf-8"))
    except _NotStrictError:
        raise
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is not JSON in UTF-8: {error}") from error


def decoded_bytes(text: bytes) -> int:
    """Estimate from above the memory, in bytes, that the values of a JSON text take.

    A list or an object takes 100 bytes, a key and its place 160, another value 40.
    """
    lists, pairs, values = text.count(b"[") + text.count(b"{"), text.count(b":"), text.count(b",")
    return len(text) + 100 * lists + 160 * pairs + 40 * values


class _NotStrictError(ValueError):
    """JSON that some parsers would take."""


def _distinct_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        counts = Counter(key for key, _ in pairs)
        doubled = sorted(key for key, count in counts.items() if count > 1)
        raise _NotStrictError(f"has a key twice: {listing(doubled)}")
    return document


def _refuse_constant(constant: str) -> float:
    raise _NotStrictError(f"holds {constant}, which is not a JSON number")


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise _NotStrictError(f"holds {number[:_MOST_DIGITS]}, which is too large for a float64")
    return value


def _integer(number: str) -> int:
    if len(number) > _MOST_DIGITS:
        raise _NotStrictError(f"holds a number of {len(number)} digits, {number[:_MOST_DIGITS]}…")
    return int(number)


def _may_have_long_number(text: bytes) -> bool:
    """Return whether as many digits follow each other anywhere, be it in a string."""
    return b"0" * _MOST_DIGITS in text.translate(_DIGITS_AS_ZEROS)


_DIGITS_AS_ZEROS = bytes.maketrans(b"123456789", b"000000000")

_DECODER = json.JSONDecoder(
    object_pairs_hook=_distinct_keys, parse_float=_finite, parse_constant=_refuse_constant
)
# It looks at each integer, which takes four times as long as parsing a list of them.
_SUSPICIOUS_DECODER = json.JSONDecoder(
    object_pairs_hook=_distinct_keys,
    parse_float=_finite,
    parse_int=_integer,
    parse_constant=_refuse_constant,
)
