"""What the commands did before the package was restructured, they still do.

`goldens/` holds what `record.py` wrote at the commit before. It runs again here, and values are
compared: integers, text, structure and the order of keys exactly, floats within 1e-4, since
another processor rounds differently; and there, of two classes that are as good as equal, either
may be the label. Whoever changes on purpose what users see runs `record.py` again and commits what
changed in the goldens together with its reason.
"""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RECORD = HERE / "record.py"
SAME_AS = "same as"
TOLERANCE = 1e-4
NEEDS = {"train": ("tensorflow", "optuna", "matplotlib"), "signing": ("cryptography",)}
FLOAT_COLUMNS = re.compile(r"confidence|strangeness|proba_.*")
NO_DISTANCE = 0.05

GOLDENS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted((HERE / "goldens").glob("*.json"))
}
CASES = [(section, case) for section, cases in GOLDENS.items() for case in cases]
SLOW = ("train",)


def pinned(section: str, *case: str) -> Any:
    """Parameters of a test."""
    marks = [pytest.mark.slow] if section in SLOW else []
    return pytest.param(section, *case, marks=marks, id=": ".join((section, *case)))


@cache
def recorded(section: str) -> dict[str, Any] | str:
    """What the commands of a section do now, or the end of the message if they can't be run."""
    skip_without_extra(section)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(RECORD), "--section", section, "--to", folder]
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
        )
        if done.returncode:
            return f"the recording failed: {done.stderr[-4000:] or 'no message'}"
        cases: dict[str, Any] = json.loads(Path(folder, f"{section}.json").read_bytes())
        return cases


@pytest.mark.parametrize("section", [pinned(section) for section in GOLDENS])
def test_the_recorded_cases_are_those_that_are_pinned(section: str) -> None:
    now = recorded(section)
    assert isinstance(now, dict), now
    assert list(now) == list(GOLDENS[section])


@pytest.mark.parametrize(("section", "case"), [pinned(*names) for names in CASES])
def test_a_command_does_what_it_did(section: str, case: str) -> None:
    now = recorded(section)
    assert isinstance(now, dict), now
    differences = compare(resolved(GOLDENS[section], case), resolved(now, case))
    assert not differences, "\n".join(differences[:20])


def skip_without_extra(section: str) -> None:
    for package in NEEDS.get(section, ()):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")


def resolved(cases: dict[str, Any], case: str) -> Any:
    """A case's value; one that was the same as an earlier case's is kept by that one's name."""
    value = cases[case]
    if isinstance(value, dict) and set(value) == {SAME_AS}:
        return cases[value[SAME_AS]]
    return value


def compare(golden: Any, now: Any, where: str = "") -> list[str]:
    """Every difference as a line: where, what was pinned, what there is now."""
    if isinstance(golden, dict) and isinstance(now, dict):
        return _compare_objects(golden, now, where)
    if isinstance(golden, list) and isinstance(now, list):
        if len(golden) != len(now):
            return [f"{where}: had {len(golden)} items, now {len(now)}: {golden!r}, now {now!r}"]
        pairs = enumerate(zip(golden, now, strict=True))
        return [line for i, (a, b) in pairs for line in compare(a, b, f"{where}[{i}]")]
    if type(golden) is float and type(now) is float:
        return [] if abs(golden - now) <= TOLERANCE else [f"{where}: was {golden}, now {now}"]
    is_same = type(golden) is type(now) and golden == now
    return [] if is_same else [f"{where}: was {golden!r}, now {now!r}"]


def _compare_objects(golden: dict[str, Any], now: dict[str, Any], where: str) -> list[str]:
    if list(golden) != list(now):
        return [f"{where}: had the keys {list(golden)}, now {list(now)}"]
    if "columns" in golden and "rows" in golden and isinstance(golden["rows"], list):
        return _compare_tables(golden, now, where)
    if set(golden) == {"needed", "metavar", "default", "else", "variables"}:
        return _compare_flags(golden, now, where)
    return [line for key in golden for line in compare(golden[key], now[key], f"{where}.{key}")]


def _compare_flags(golden: dict[str, Any], now: dict[str, Any], where: str) -> list[str]:
    """A flag; a default that the help did not state may be stated now."""
    stated = {key: one for key, one in golden.items() if one or key in ("metavar", "needed")}
    return [
        line for key, one in stated.items() for line in compare(one, now[key], f"{where}.{key}")
    ]


def _compare_tables(golden: dict[str, Any], now: dict[str, Any], where: str) -> list[str]:
    facts = [key for key in golden if key not in ("rows", "all")]
    found = [line for key in facts for line in compare(golden[key], now[key], f"{where}.{key}")]
    if found:
        return found
    names = [name for name, _ in golden["columns"]]
    found += _compare_rows(names, golden["rows"], now["rows"], f"{where}.rows")
    if "all" in golden:
        long = list(golden["all"])
        was, rows = (_rows_of(one["all"]) for one in (golden, now))
        found += _compare_rows(long, was, rows, f"{where}.all")
    return found


def _rows_of(columns: dict[str, list[str]]) -> list[list[str]]:
    """The rows of a long table from its columns, where `5*accept` stands for five."""
    full = [
        [one for line in lines for word in line.split() for one in _repeat(word)]
        for lines in columns.values()
    ]
    return [list(row) for row in zip(*full, strict=True)]


def _repeat(word: str) -> list[str]:
    count, star, text = word.partition("*")
    return [text] * int(count) if star else [word]


def _compare_rows(
    names: list[str], golden: list[list[Any]], now: list[list[Any]], where: str
) -> list[str]:
    if len(golden) != len(now):
        return [f"{where}: had {len(golden)} rows, now {len(now)}"]
    return [
        f"{where}[{i}] {name}: was {a!r}, now {b!r}"
        for i, (was, row) in enumerate(zip(golden, now, strict=True))
        for name, a, b in zip(names, was, row, strict=True)
        if not _is_same_cell(name, a, b, dict(zip(names, was, strict=True)))
    ]


def _is_same_cell(name: str, was: Any, now: Any, row: dict[str, Any]) -> bool:
    if FLOAT_COLUMNS.fullmatch(name) and _is_number(was) and _is_number(now):
        a, b = float(was), float(now)
        # A root of next to nothing: rounding makes a great deal of it.
        both_none = name == "strangeness" and max(a, b) < NO_DISTANCE
        return type(was) is type(now) and (abs(a - b) <= TOLERANCE or both_none)
    if name == "prediction" and was != now:
        return _is_near_tie(str(now), row)
    return type(was) is type(now) and bool(was == now)


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _is_near_tie(label: str, row: dict[str, Any]) -> bool:
    """Whether another label was as probable, as far as the pinned row can tell."""
    confidence = float(row["confidence"])
    if (probability := row.get(f"proba_{label}")) is not None:
        return confidence - float(probability) <= 2 * TOLERANCE
    return confidence <= 0.5 + TOLERANCE
