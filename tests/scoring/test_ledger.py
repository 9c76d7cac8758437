"""Nothing is published unless rows in = rows predicted + rows rejected."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchdigits.errors import InternalError, UsageError
from batchdigits.scoring.ledger import Ledger
from batchdigits.scoring.options import Limit


@given(*(st.integers(0, 5) for _ in range(3)), st.none() | st.integers(0, 12))
def test_the_ledger_balances_or_refuses(
    rows_in: int, predicted: int, rejected: int, expected: int | None
) -> None:
    ledger = Ledger(rows_in=rows_in, rows_predicted=predicted, rows_rejected=rejected)
    balanced = rows_in == predicted + rejected and expected in (None, rows_in)
    if balanced:
        ledger.check("f.csv", expected)
    else:
        with pytest.raises(InternalError, match="f.csv: the ledger does not balance"):
            ledger.check("f.csv", expected)


@pytest.mark.parametrize(("lines", "balanced"), [(9, False), (10, True), (11, False)])
def test_every_line_is_part_of_a_row_or_of_header_and_end(lines: int, balanced: bool) -> None:
    ledger = Ledger(lines=7)
    if balanced:
        ledger.check_lines("f.csv", lines, 3)
    else:
        with pytest.raises(InternalError, match=f"f.csv: .* {lines} lines in the input, 7 in rows"):
            ledger.check_lines("f.csv", lines, 3)


@pytest.mark.parametrize(
    ("text", "rejected", "rows", "allowed"),
    [
        ("0", 0, 10, True),
        ("0", 1, 10, False),
        ("3", 3, 10, True),
        ("3", 4, 10, False),
        ("10%", 1, 10, True),
        ("10%", 2, 10, False),
        ("0.1%", 1, 1000, True),
        ("0.1%", 2, 1000, False),
        ("100%", 0, 0, True),
        ("0.57%", 57, 10_000, True),
        ("0.57%", 58, 10_000, False),
        ("0.7%", 77, 11_000, True),
    ],
)
def test_limits_are_counts_or_shares(text: str, rejected: int, rows: int, allowed: bool) -> None:
    assert Limit.parse(text).allows(rejected, rows) is allowed


@pytest.mark.parametrize(
    "text", ["", "-1", "1.5", "x%", "101%", "-1%", "nan%", "%", "1_0", "+5", "٣"]
)
def test_what_is_no_limit_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="is no limit: expected a count such as 5, or 0.5%"):
        Limit.parse(text)
