#!/usr/bin/env python3
"""Count the assertions in tests/, so that a restructuring can show that none was lost.

usage: .ci/assertions.py [COMMIT ...]

One line for each commit, then one for the working tree. Counted are `assert` statements, calls of
pytest's `raises`, `approx`, `warns` and `fail`, and of any function named `assert_...`.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[1]
OF_PYTEST = {"raises", "approx", "warns", "fail"}


def assertions_in(text: str) -> Counter[str]:
    """Count the assertions of one file by their kind."""
    counts: Counter[str] = Counter()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Assert):
            counts["assert"] += 1
        elif isinstance(node, ast.Call):
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else ast.unparse(function)
            if name in OF_PYTEST or name.startswith("assert_"):
                counts["assert_..." if name.startswith("assert_") else name] += 1
    return counts


def files_of(commit: str) -> Iterable[str]:
    """Return the text of each Python file under tests/ at a commit."""
    names = _git("ls-tree", "-r", "--name-only", commit, "tests/").splitlines()
    return [_git("show", f"{commit}:{name}") for name in names if name.endswith(".py")]


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout


def main(commits: list[str]) -> int:
    """Print the counts of each commit, then of the working tree."""
    trees = {commit: files_of(commit) for commit in commits}
    trees["working tree"] = [path.read_text() for path in sorted(ROOT.glob("tests/**/*.py"))]
    for name, files in trees.items():
        counts = sum(map(assertions_in, files), Counter[str]())
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
        print(f"{name}: {counts.total()} assertions ({kinds})")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
