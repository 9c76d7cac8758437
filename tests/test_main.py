"""The console script: it knows its commands, and each has help."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from paths import PACKAGE, ROOT
from processes import run_command

from batchdigits import __version__
from batchdigits.__main__ import COMMANDS, main


def test_the_console_script_knows_its_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert __version__ in out
    assert all(command in out for command in COMMANDS)
    assert main(["frobnicate"]) == 2
    assert "use one of predict, train, evaluate, bundles" in capsys.readouterr().err


@pytest.mark.parametrize("command", [*sorted(COMMANDS), "bundles list", "receipts verify"])
def test_every_command_tells_its_version(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*command.split(), "--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"batchdigits {__version__}\n"


OWN_MAIN = str(PACKAGE / "__main__.py")


@pytest.mark.parametrize(
    ("script", "program"),
    [
        ("/opt/batchdigits/bin/batchdigits", "batchdigits predict"),
        (OWN_MAIN, "python -m batchdigits predict"),
        (str(PACKAGE / "predict.py"), "python -m batchdigits.predict"),
        ("notebook.py", "python -m batchdigits.predict"),
    ],
)
def test_usage_examples_and_errors_name_the_command_as_it_was_called(
    script: str,
    program: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "argv", [script])
    with pytest.raises(SystemExit):
        main(["predict", "--help"])
    out = capsys.readouterr().out
    assert out.startswith(f"usage: {program} ")
    assert f"examples:\n  {program} forms.parquet" in out
    assert main(["predict", "--nonsense"]) == 2
    prefix = program.removeprefix("python -m ")
    assert capsys.readouterr().err.startswith(f"{prefix}: error: ")


def test_python_runs_the_package_as_a_command(tmp_path: Path) -> None:
    """As a process: what Python itself puts first into the arguments is what is looked at."""
    ran = run_command("predict", "absent.csv", cwd=tmp_path)
    assert ran.stderr.startswith("batchdigits.predict: error: absent.csv")
    command = [sys.executable, "-m", "batchdigits", "predict", "--help"]
    ran = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.startswith("usage: python -m batchdigits predict ")


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_help_with_examples(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert f"examples:\n  python -m batchdigits.{command}" in text
