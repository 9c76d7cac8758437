#!/usr/bin/env python3
"""Check what is in a wheel: the package alone, with its bundle and its type marker.

usage: .ci/wheel_files.py WHEEL
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "batchdigits"


def main(wheel: str) -> int:
    """Compare the wheel's files with those of the package in the checkout."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    files = (path for path in PACKAGE.rglob("*") if path.is_file() and path.suffix != ".pyc")
    expected = {str(path.relative_to(PACKAGE.parent)) for path in files}
    wrong = [f"not in the wheel: {name}" for name in sorted(expected - names)]
    wrong += [f"not in the package: {name}" for name in sorted(names - expected)]
    needed = {"batchdigits/py.typed", "batchdigits/data/digits-3.bundle"}
    wrong += [f"not in the wheel: {name}" for name in sorted(needed - names)]
    print("\n".join(wrong) or f"{len(names)} files, as in the package")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
