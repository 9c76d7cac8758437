"""docs/operations.md has a row for every fault, with codes that exist and lines that runs print."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from paths import ROOT

from batchdigits import errors
from batchdigits.predict import main

PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
FAULTS = range(1, 45)
SAMPLE = (ROOT / "sample_data" / "digits.csv").read_bytes()

Cells = list[str]


def cells_of(line: str) -> Cells:
    return [cell.strip() for cell in line.strip("|").split("|")]


LINES = re.findall(r"^\| \d+ \|.*$", PAGE, re.MULTILINE)
ROWS = {int(row[0]): row[1:] for row in map(cells_of, LINES)}


def known_codes() -> set[int]:
    """The exit codes of errors.py, and those that are not errors."""
    classes = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    own = {getattr(kind, "exit_code", None) for kind in classes}
    return {0, 3, 4} | {129, 130, 143} | {code for code in own if isinstance(code, int)}


def test_every_fault_has_its_row() -> None:
    assert list(ROWS) == list(FAULTS)
    assert {len(row) for row in ROWS.values()} == {4}
    assert all(row[0] and row[3] for row in ROWS.values())


@pytest.mark.parametrize("fault", FAULTS)
def test_its_exit_codes_exist(fault: int) -> None:
    """Except for the code of a killed process, which no error class has."""
    told = ROWS[fault][1]
    codes = {int(code) for code in re.findall(r"\d+", told)}
    assert codes or told == "the same"
    assert codes <= known_codes() | {137}


@pytest.mark.parametrize("fault", FAULTS)
def test_it_has_tests_of_its_number(fault: int) -> None:
    sources = [
        path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "faults").glob("*.py")
    ]
    named = re.findall(r"def test_((?:\d\d_)+)", "\n".join(sources))
    numbers = {int(number) for name in named for number in name.split("_") if number}
    assert fault in numbers


def pixels_only(data: bytes) -> bytes:
    """The sample without its other columns."""
    return b"\n".join(b",".join(line.split(b",")[-64:]) for line in data.splitlines()) + b"\n"


def short_row(data: bytes) -> bytes:
    lines = data.splitlines()
    return b"\n".join([*lines[:40], lines[40].rsplit(b",", 1)[0]]) + b"\n"


def a_pixel_less(data: bytes) -> bytes:
    return b"\n".join(line.rsplit(b",", 1)[0] for line in data.splitlines()) + b"\n"


# What is done to the sample for each line that is cheap to provoke, and the name it goes by.
PROVOKED: dict[int, tuple[str, Callable[[bytes], bytes]]] = {
    1: ("forms.csv", short_row),
    4: ("forms.csv", lambda _: b""),
    5: ("forms.csv", lambda data: data.split(b"\n", 1)[1]),
    6: ("forms.csv", a_pixel_less),
    7: ("forms.csv", lambda data: data.replace(b",", b";")),
    10: ("forms.csv", lambda data: data.decode().encode("utf-16")),
    11: ("forms.csv", lambda _: b"pixel_0," * (1 << 20)),
    12: ("forms.csv.gz", lambda data: gzip.compress(data)[:-9]),
    13: ("forms.csv", lambda _: (ROOT / "sample_data" / "digits.parquet").read_bytes()),
}


def pattern(line: str) -> re.Pattern[str]:
    """A pattern for the line with any numbers, and with anything where the page has an ellipsis."""
    parts = [re.sub(r"\d+", r"\\d+", re.escape(part)) for part in line.split("…; ")]
    return re.compile(".*".join(parts).replace(re.escape("…"), ".*"))


def lines_of(fault: int) -> list[str]:
    return re.findall(r"`([^`]+: [^`]+)`", ROWS[fault][2])


def error_of(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    main(arguments)
    (line,) = capsys.readouterr().err.splitlines()
    return line.removeprefix("batchdigits.predict: error: ")


@pytest.mark.parametrize("fault", PROVOKED)
def test_its_line_is_what_a_run_prints(
    fault: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    name, damage = PROVOKED[fault]
    Path(name).write_bytes(damage(pixels_only(SAMPLE)))
    (line,) = lines_of(fault)
    assert pattern(line).fullmatch(error_of([name], capsys))


def test_lines_about_outputs_are_what_runs_print(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Faults 30 to 32, and 22 for a Parquet file."""
    monkeypatch.chdir(tmp_path)
    Path("forms.csv").write_bytes(SAMPLE)
    assert main(["forms.csv"]) == 0
    Path("l.csv").symlink_to("nowhere")
    Path("forms.csv").write_bytes(SAMPLE[: SAMPLE.index(b"\n", 9000) + 1])
    capsys.readouterr()
    runs = {30: ["forms.csv"], 31: ["forms.csv", "--output", "forms.csv"]}
    runs[32] = ["forms.csv", "--output", "l.csv"]
    for fault, arguments in runs.items():
        (line,) = lines_of(fault)
        assert pattern(line).fullmatch(error_of(arguments, capsys)), fault


def test_the_warning_about_scale_is_what_a_run_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    table = pq.read_table(ROOT / "sample_data" / "digits.parquet")
    for name in [name for name in table.column_names if name.startswith("pixel_")]:
        share = table[name].to_numpy() / 16
        table = table.set_column(table.column_names.index(name), name, [share])
    pq.write_table(table, "forms.parquet")
    (line,) = lines_of(19)
    assert pattern(line).fullmatch(error_of(["forms.parquet"], capsys))
