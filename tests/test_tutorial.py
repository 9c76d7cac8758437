"""docs/tutorial.md: its commands run in order and print what the page shows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pages import DOCS
from paths import ROOT, SAMPLE_DATA

PAGE = (DOCS / "tutorial.md").read_text(encoding="utf-8")
# Each block of commands, and the block of what they print, if there is one.
STEPS = re.findall(r"(?ms)^```bash\n(.*?)^```\n(?:```text\n(.*?)^```\n)?", PAGE)


def run_steps(folder: Path) -> list[list[str]]:
    """The lines that each step prints, run one after the other by one shell."""
    script = "set -e\n"
    for number, (commands, _) in enumerate(STEPS):
        may_fail = re.sub(r'(?m)^(.*; echo "exit code \$\?")$', r"set +e; \1; set -e", commands)
        script += f"{{\n{may_fail}}} >{folder}/step-{number} 2>&1\n"
    python = folder / "bin" / "python"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n', encoding="utf-8")
    script_of = python.with_name("batchdigits")
    script_of.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m batchdigits "$@"\n')
    for tool in (python, script_of):
        tool.chmod(0o755)
    environment = {"PATH": f"{python.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(["bash", "-c", script], cwd=folder, env=environment, check=False)
    files = sorted(folder.glob("step-*"), key=lambda path: int(path.name.removeprefix("step-")))
    lines = [path.read_text(encoding="utf-8").splitlines() for path in files]
    assert ran.returncode == 0, lines[-1]
    return lines


def pattern(line: str) -> re.Pattern[str]:
    """A shown line, in which `…` is anything and a run of spaces is any run of spaces."""
    words = [re.escape(word).replace("…", ".*") for word in line.split()]
    return re.compile(r"\s*" + r"\s+".join(words))


def test_the_steps_go_from_training_to_a_verified_receipt() -> None:
    commands = "".join(commands for commands, _ in STEPS)
    ours = re.findall(r"^batchdigits (\w+)", commands, re.MULTILINE)
    assert ours == ["train", "bundles", "evaluate", "bundles", "predict", "predict", "receipts"]


@pytest.mark.slow
def test_every_step_prints_what_the_page_shows(tmp_path: Path) -> None:
    """One test, so that several workers of pytest train one network."""
    shutil.copytree(SAMPLE_DATA, tmp_path / "sample_data")
    printed = run_steps(tmp_path)
    assert len(printed) == len(STEPS)
    for (commands, shown), lines in zip(STEPS, printed, strict=True):
        for line in shown.splitlines():
            assert any(pattern(line).fullmatch(out) for out in lines), (commands, line, lines)
