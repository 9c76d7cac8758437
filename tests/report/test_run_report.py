"""A run as people read it at a terminal."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from paths import SAMPLE_DATA

import batchdigits
from batchdigits import evaluate
from batchdigits.report.run import format_run


def test_a_table_has_the_inputs_with_problems_first(tmp_path: Path) -> None:
    """And the totals, the bundle, the speed and the exit code."""
    given = [SAMPLE_DATA / "digits.csv", SAMPLE_DATA / "bad.csv", tmp_path / "absent.csv"]
    lines = format_run(batchdigits.score(given, output=f"{tmp_path}/")).splitlines()
    cells = [line.split() for line in lines]
    assert cells[0] == ["STATUS", "ROWS", "PREDICTED", "REJECTED", "REVIEW", "INPUT", "OUTPUT"]
    assert [line[0] for line in cells[1:5]] == ["scored", "refused", "scored", "total"]
    assert cells[1][1:5] == ["36", "20", "16", "0"]
    assert cells[2][1:] == [str(given[2])]
    assert cells[3][-1] == str(tmp_path / "digits.predictions.csv")
    assert cells[4][1:4] == ["1,833", "1,817", "16"]
    assert lines[5].startswith("by digits@3, ")
    assert lines[5].endswith("; exit code 66")


def test_many_inputs_are_cut_and_names_can_not_break_a_line(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / f"{number}\n\x1b[2J.csv").write_text("a\n1\n")
    text = format_run(batchdigits.score(tmp_path, output=tmp_path / "out"))
    assert len(text.splitlines()) == 1 + 20 + 1 + 1 + 1
    assert "… and 10 more" in text
    assert text.replace("\n", "").isprintable()


def on_terminal(*arguments: str, cwd: Path) -> str:
    """What predict shows on a terminal, standard error apart."""
    main_end, child_end = pty.openpty()
    command = [sys.executable, "-m", "batchdigits.predict", *arguments]
    with subprocess.Popen(command, cwd=cwd, stdout=child_end, stderr=subprocess.DEVNULL) as process:
        assert process.wait(timeout=60) == 3
    os.close(child_end)
    shown = os.read(main_end, 100_000).decode()
    os.close(main_end)
    return shown


@pytest.mark.parametrize(
    ("flags", "begins"), [((), "STATUS  ROWS"), (("--json",), '{"exit_code": 3, ')]
)
def test_predict_shows_text_on_a_terminal(
    tmp_path: Path, flags: tuple[str, ...], begins: str
) -> None:
    """A pipe gets JSON, as ever; so does a terminal with --json."""
    bad = str(SAMPLE_DATA / "bad.csv")
    assert on_terminal(bad, "--output", "out/", *flags, cwd=tmp_path).startswith(begins)


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_evaluate_leaves_json_out_on_a_terminal(
    flags: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The tables say it; with --json it is there."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert evaluate.main([str(SAMPLE_DATA / "digits.parquet"), *flags]) == 0
    out, err = capsys.readouterr()
    assert out.startswith('{"exit_code"') == bool(flags)
    assert "accuracy" in err


def test_what_the_table_can_not_show_is_said_below_it(tmp_path: Path) -> None:
    """Published inputs that look wrong together, and those that an older version finished."""
    path = tmp_path / "older.csv"
    path.write_bytes((SAMPLE_DATA / "digits.csv").read_bytes())
    batchdigits.score(path)
    receipt = tmp_path / "older.receipt.json"
    facts = json.loads(receipt.read_text())
    del facts["options"]["decision"], facts["causes"]
    receipt.write_text(json.dumps(facts))
    summary = batchdigits.score(path)
    lines = format_run(replace(summary, suspect_inputs=("a\n.csv", "b.csv"))).splitlines()
    assert lines[-2] == "published, but together they look wrong: a\\n.csv, b.csv"
    assert lines[-1].startswith("1 unchanged input without a decision: an older version")
    assert len(format_run(summary).splitlines()) == len(lines) - 1
