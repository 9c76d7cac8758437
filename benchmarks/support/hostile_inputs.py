"""Generators of hostile input files: small ones that cost a naive reader much.

Each generator writes its files into an empty folder and returns the words of the command to run
there, after `batchdigits`. Its name and the first line of its docstring describe it.
"""

from __future__ import annotations

from pathlib import Path

HEADER = ",".join(f"pixel_{i}" for i in range(64)) + "\n"


def alternating_quotes(folder: Path) -> list[str]:
    """Write 200,000 lines of which each opens a quote that the next one closes."""
    (folder / "in.csv").write_text(HEADER + 'a","c\n' * 200_000)
    return ["predict", "in.csv"]


KINDS = (alternating_quotes,)
