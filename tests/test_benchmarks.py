"""The benchmark commands run: each answers --help, and what two of them patch is there."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT

import batchdigits

FOLDER = ROOT / "benchmarks"
COMMANDS = sorted(path.stem for path in FOLDER.glob("*.py"))


@pytest.fixture(autouse=True)
def _as_a_script_sees_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FOLDER)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_benchmark_answers_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(command).main(["--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("usage: ")


def test_a_benchmark_is_started_from_the_root_of_the_repository() -> None:
    command = [sys.executable, "benchmarks/limit.py", "--help"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "--pairs" in ran.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_the_readme_of_the_benchmarks_names_every_command(command: str) -> None:
    assert f"{command}.py" in (FOLDER / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("module", "switch"), [("support.unchecked", "unchecked"), ("review", "_no_drift")]
)
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_run_without_checks_still_predicts_every_row(
    tmp_path: Path, module: str, switch: str, kind: str
) -> None:
    """The names that these switches patch exist, and the pipeline runs without them."""
    without = getattr(importlib.import_module(module), switch)
    source = tmp_path / f"in.{kind}"
    importlib.import_module("data").write(source, 600)
    measured = batchdigits.score(source, output=tmp_path / f"checked.{kind}").inputs[0].drift
    with without():
        summary = batchdigits.score(source, output=tmp_path / f"out.{kind}")
    assert summary.rows_predicted == 600
    assert summary.inputs[0].drift == (None if switch == "_no_drift" else measured)


def test_the_pages_show_the_figures_that_were_saved() -> None:
    page, scaling = map(importlib.import_module, ("page", "scaling"))
    results = page.load_results()
    assert page.targets(results) in (FOLDER / "README.md").read_text(encoding="utf-8")
    text = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
    assert all(part in text for part in scaling.parts(results).values())


def test_benchmarks_import_nothing_from_the_tests() -> None:
    for path in FOLDER.rglob("*.py"):
        assert '"tests"' not in path.read_text(encoding="utf-8"), path


@pytest.mark.slow
def test_every_hostile_kind_ends_in_time_and_memory_without_a_fault_of_ours() -> None:
    """The command replays each kind as a process of its own."""
    command = [sys.executable, "benchmarks/hostile.py"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout


def test_times_of_a_busy_machine_are_not_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measure = importlib.import_module("support.measure")
    monkeypatch.setattr(measure, "RESULTS", tmp_path)
    measure.finish("x", {"seconds": 1}, save=True, load_before=0.31)
    assert "not saved: the load was 0.31" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    measure.finish("x", {"errors": 1}, save=True, load_before=0.31, timed=False)
    measure.finish("y", {"seconds": 1}, save=True, load_before=0.3)
    assert sorted(measure.load_results()) == ["x", "y"]


def test_a_command_waits_for_a_quiet_machine(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And says so if it never was."""
    measure = importlib.import_module("support.measure")
    loads = iter([1.2, 0.8, 0.1])
    monkeypatch.setattr(measure, "busy_cores", lambda: next(loads))
    assert measure.make_ready(60) == 0.1
    assert capsys.readouterr().err.count("waiting for a load below 0.3") == 2
    monkeypatch.setattr(measure, "busy_cores", lambda: 1.25)
    assert measure.make_ready(0) == 1.25
    assert "never quiet (load 1.25)" in capsys.readouterr().err


def test_busy_cores_are_counted_from_the_time_of_all_processors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = importlib.import_module("support.measure")
    times = iter([(100, 200), (150, 300)])
    monkeypatch.setattr(measure, "_processor_time", lambda: next(times))
    monkeypatch.setattr(measure.os, "cpu_count", lambda: 4)
    assert measure.busy_cores(0) == 2.0
