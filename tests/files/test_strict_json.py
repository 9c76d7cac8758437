"""JSON that two parsers could understand differently is refused, in linear time."""

from __future__ import annotations

import json
import tracemalloc

import pytest

from batchdigits.files.strict_json import MOST_DECODED, decoded_bytes, parse_strict


def test_what_json_allows_is_read() -> None:
    text = '{"a": [1, -2.5e3, null, true, "ü"], "b": {"a": 9223372036854775807}}'.encode()
    assert parse_strict(text) == {"a": [1, -2500.0, None, True, "ü"], "b": {"a": 2**63 - 1}}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b'{"a": 1, "a": 2}', "has a key twice: a"),
        (b'{"a": NaN}', "holds NaN"),
        (b"[-Infinity]", "holds -Infinity"),
        (b"[1e400]", "holds 1e400"),
        (b"[" + b"9" * 400 + b"]", "holds a number of 400 digits, 9999"),
        (b"[-" + b"1" * 10_000 + b"]", "holds a number of 10001 digits"),
        (b"[7, " + b"9" * 41 + b", 7]", "holds a number of 41 digits"),
        (b"[-" + b"9" * 40 + b"]", "holds a number of 41 digits"),
        (b"[" * 100_000, "is not JSON in UTF-8"),
        (b'{"a":' * 100_000, "is not JSON in UTF-8"),
        (b'"\xff"', "is not JSON in UTF-8"),
        (b'\xef\xbb\xbf"a"', "is not JSON in UTF-8"),
        (b"", "is not JSON in UTF-8"),
        (b"{} {}", "is not JSON in UTF-8"),
    ],
)
def test_anything_else_is_a_value_error_that_says_why(text: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_strict(text)


@pytest.mark.parametrize("digits", [39, 40])
def test_a_number_of_forty_digits_is_read(digits: int) -> None:
    number, text = 10**digits - 1, "8" * 64
    assert parse_strict(json.dumps([number, text]).encode()) == [number, text]


@pytest.mark.parametrize("filler", [b"[],", b"{},", b'{"":0},', b"0,", b'"a":0,'])
def test_a_document_is_measured_before_it_is_decoded(filler: bytes) -> None:
    """Three bytes can become a list of 64; the estimate is above what Python takes."""
    opening, closing = (b"{", b'"b":0}') if filler.startswith(b'"') else (b"[", b"0]")
    small = opening + filler * 10_000 + closing
    tracemalloc.start()
    value = json.loads(small)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert value
    assert peak < 1.1 * decoded_bytes(small)
    large = opening + filler * (MOST_DECODED // (decoded_bytes(filler)) + 1) + closing
    with pytest.raises(ValueError, match="would take up to"):
        parse_strict(large)
