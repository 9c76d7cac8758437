"""The options of a run take usual values, and refuse others before anything is loaded."""

from typing import Any

import pytest

from batchdigits.errors import UsageError
from batchdigits.scoring.options import Limit, RunOptions, parse_review_below

KEYWORDS: dict[str, Any] = {
    "bundle": None,
    "store": None,
    "expect_digest": None,
    "require_signature": None,
    "trusted_keys": None,
    "engine": "onnx",
    "pixels": None,
    "header": True,
    "delimiter": ",",
    "scale": None,
    "keep": None,
    "skip_lines": 0,
    "comment": None,
    "decimal": ".",
    "encoding": "utf-8",
    "probabilities": False,
    "review_below": None,
    "strangeness": False,
    "keep_pixels": False,
    "row_number": False,
    "max_rejects": 0,
    "max_drift": None,
    "ok": (),
    "overwrite": False,
    "scratch": None,
    "trust_etag": False,
    "on_other": None,
    "allow_suspect": False,
    "lock": True,
    "batch_size": 32_768,
    "workers": None,
}


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
        ("0.005", 5, 1000, True),
        ("0.005", 6, 1000, False),
    ],
)
def test_limits_are_counts_or_shares(text: str, rejected: int, rows: int, allowed: bool) -> None:
    assert Limit.parse(text).allows(rejected, rows) is allowed


@pytest.mark.parametrize(
    "text", ["", "-1", "1.5", "1.0", "x%", "101%", "-1%", "nan%", "%", "1_0", "+5", "٣"]
)
def test_anything_else_is_refused_as_a_limit(text: str) -> None:
    with pytest.raises(UsageError, match="expected a count such as 5, or a share such as 0.5%"):
        Limit.parse(text)


@pytest.mark.parametrize("value", ["99%", "0.99", 0.99, " 0.99 ", "+0.99", "9.9e-1", " 99% "])
def test_a_confidence_is_a_share_however_it_is_written(value: float | str) -> None:
    assert parse_review_below(value) == 0.99


def test_options_become_the_facts_of_a_receipt() -> None:
    facts = RunOptions.of({**KEYWORDS, "keep": ["id"], "review_below": "90%"}).facts()
    assert facts == {
        "engine": "onnx",
        "pixels": None,
        "header": True,
        "delimiter": ",",
        "scale": None,
        "keep": ["id"],
        "skip_lines": 0,
        "comment": None,
        "decimal": ".",
        "encoding": "utf-8",
        "probabilities": False,
        "review_below": 0.9,
        "strangeness": False,
        "keep_pixels": False,
        "row_number": False,
    }


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"delimiter": "xx"}, "the delimiter is 'xx'"),
        ({"scale": -1.0}, "--scale -1.0"),
        ({"keep": "id"}, "expected a list of column names"),
        ({"keep": ["id", "id"]}, "more than once"),
        ({"pixels": "a,b"}, "--pixels names 2 columns"),
        ({"max_drift": 2}, "--max-drift 2"),
        ({"ok": ["rejects", "suspicion"]}, "--ok 'suspicion': expected rejects or drift, or both"),
        ({"ok": ["3"]}, "--ok '3'"),
        ({"ok": [""]}, "--ok ''"),
        ({"review_below": "5,5%"}, "--review-below 5,5%"),
        ({"workers": 0}, "--workers 0"),
        ({"scratch": ""}, "--scratch '': is no folder"),
        ({"batch_size": 0}, "--batch-size 0"),
        ({"engine": "torch"}, "torch"),
        ({"engine": "keras", "strangeness": True}, "can't measure it"),
    ],
)
def test_values_that_no_run_could_use_are_refused(change: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        RunOptions.of({**KEYWORDS, **change})


@pytest.mark.parametrize(
    ("on_other", "overwrite", "policy"),
    [
        (None, False, "fail"),
        (None, True, "replace"),
        ("fail", False, "fail"),
        ("keep", False, "keep"),
        ("replace", False, "replace"),
    ],
)
def test_overwrite_is_short_for_one_value_of_on_other(
    on_other: str | None, overwrite: bool, policy: str
) -> None:
    options = RunOptions.of({**KEYWORDS, "on_other": on_other, "overwrite": overwrite})
    assert options.policy.on_other == policy


@pytest.mark.parametrize("on_other", ["fail", "keep", "replace"])
def test_overwrite_and_on_other_are_one_too_many(on_other: str) -> None:
    with pytest.raises(UsageError, match=f"--overwrite and --on-other {on_other}"):
        RunOptions.of({**KEYWORDS, "on_other": on_other, "overwrite": True})


@pytest.mark.parametrize("on_other", ["", "Keep", "skip"])
def test_an_unknown_value_of_on_other_lists_the_known(on_other: str) -> None:
    with pytest.raises(UsageError, match="expected one of fail, keep, replace"):
        RunOptions.of({**KEYWORDS, "on_other": on_other})
