"""JSON that two parsers could understand differently is refused, in linear time."""

from __future__ import annotations

import pytest

from batchdigits.files.strict_json import parse_strict


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
