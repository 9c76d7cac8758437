"""docs/tutorial.md: its commands run in order and print what the page shows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import pytest
from pages import DOCS
from paths import ROOT, SAMPLE_DATA

PAGE = (DOCS / "tutorial.md").read_text(encoding="utf-8")
STEPS = re.findall(
    r"^```bash\n(.*?)^```\n(?:```text\n(.*?)^```\n)?", PAGE, re.MULTILINE | re.DOTALL
)


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    """The lines that each step printed, run one after the other by one shell."""
    folder = tmp_path_factory.mktemp("tutorial")
    shutil.copytree(SAMPLE_DATA, folder / "sample_data")
    script = "set -e\n"
    for number, (commands, _) in enumerate(STEPS):
        may_fail = re.sub(r'(?m)^(.*; echo "exit code \$\?")$', r"set +e; \1; set -e", commands)
        script += f"{{\n{may_fail}}} >{folder}/step-{number} 2>&1\n"
    python = folder / "bin" / "python"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    environment = {"PATH": f"{python.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(["bash", "-c", script], cwd=folder, env=environment, check=False)
    steps = sorted(folder.glob("step-*"), key=lambda path: int(path.name.removeprefix("step-")))
    lines = [path.read_text(encoding="utf-8").splitlines() for path in steps]
    assert ran.returncode == 0, lines[-1]
    return lines


def pattern(line: str) -> re.Pattern[str]:
    """A shown line, in which `…` is anything and a run of spaces is any run of spaces."""
    words = [re.escape(word).replace("…", ".*") for word in line.split()]
    return re.compile(r"\s*" + r"\s+".join(words))


def test_the_steps_go_from_training_to_a_verified_receipt(printed: list[list[str]]) -> None:
    assert len(printed) == len(STEPS)
    commands = "".join(commands for commands, _ in STEPS)
    ours = re.findall(r"python -m batchdigits\.(\w+)", commands)
    assert ours == ["train", "bundles", "evaluate", "bundles", "predict", "predict", "receipts"]


@pytest.mark.parametrize("step", range(len(STEPS)))
def test_a_step_prints_what_the_page_shows(step: int, printed: list[list[str]]) -> None:
    for line in STEPS[step][1].splitlines():
        assert any(pattern(line).fullmatch(out) for out in printed[step]), (line, printed[step])
