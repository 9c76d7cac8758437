"""Files full of rejects, and rejects of files with odd names, through the whole command."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT

HEADER = ",".join(["id", *(f"pixel_{i}" for i in range(64))])
ROW = ",".join(["a", *["5"] * 64])

MEASURED = (
    "import resource, subprocess, sys; code = subprocess.run(sys.argv[1:], "
    "stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode; "
    "print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
)


def peak_kibibytes(path: Path) -> tuple[int, int]:
    """The exit code and the peak resident memory of scoring a file with two workers."""
    run = [sys.executable, "-m", "batchdigits.predict", str(path), "--workers", "2"]
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *run], cwd=ROOT, capture_output=True, text=True, check=True
    )
    code, peak = done.stdout.split()
    return int(code), int(peak)


@pytest.mark.parametrize("text", ["", "x"])
def test_memory_does_not_follow_the_number_of_rejects(tmp_path: Path, text: str) -> None:
    """A few bytes a line, and each line becomes a reject."""
    path = tmp_path / "forms.csv"
    path.write_text("\n".join([HEADER, ROW, *[text] * 400_000, ROW, ""]))
    code, peak = peak_kibibytes(path)
    assert code == 3
    assert peak < 250 * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="names are Unicode elsewhere")
def test_rejects_of_a_file_whose_name_is_no_utf_8_name_it(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/f\xff.csv"
    Path(os.fsdecode(path)).write_text(f"{HEADER}\n{ROW}\nx\n")
    run = [sys.executable, "-m", "batchdigits.predict", path]
    assert subprocess.run(run, cwd=ROOT, capture_output=True, check=False).returncode == 3
    with Path(os.fsdecode(path.replace(b".csv", b".rejects.csv"))).open(newline="") as stream:
        (reject,) = csv.DictReader(stream)
    assert reject["input"].endswith("f\\xff.csv")
    assert reject["reason"] == "too-few-cells"
