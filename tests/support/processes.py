"""Our commands in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from paths import ROOT


def run_command(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run `python -m batchdigits.COMMAND ARGUMENT…` in a folder, without settings from outside."""
    command = [sys.executable, "-m", f"batchdigits.{arguments[0]}", *map(str, arguments[1:])]
    ours = {name for name in os.environ if name.startswith("BATCHDIGITS_")}
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    environment["PYTHONPATH"] = str(ROOT)
    return subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
