"""Nothing leaves the machine, and nothing is written but outputs: no socket, no file at home."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from paths import SAMPLE_DATA

SAMPLE = SAMPLE_DATA / "digits.csv"
LABELLED = SAMPLE_DATA / "digits.parquet"

IN_PYTHON = f"""
import batchdigits, pyarrow.parquet as pq
batchdigits.open_bundle().predict(pq.read_table({str(LABELLED)!r}))
"""
COMMANDS = {
    "predict": ("-m", "batchdigits.predict", str(SAMPLE), "--output", "out.csv"),
    "evaluate": ("-m", "batchdigits.evaluate", str(LABELLED), "--label", "label"),
    "export": ("-m", "batchdigits.bundles", "export", "./b.bundle", "--onnx", "m.onnx"),
    "verify": ("-m", "batchdigits.bundles", "verify", "./b.bundle"),
    "in Python": ("-c", IN_PYTHON),
}


def environment(home: Path) -> dict[str, str]:
    """This environment with another home, and without what keeps libraries quiet."""
    hidden = ("XDG_", "ORT_", "TF_", "MPL", "KERAS")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    return kept | {"HOME": str(home)}


def folders(tmp_path: Path) -> tuple[Path, Path]:
    """An empty home, and a folder to work in that holds a bundle."""
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    (work / "b.bundle").write_bytes(_packaged().read_bytes())
    return home, work


def _packaged() -> Path:
    from batchdigits.store.choice import packaged_bundle

    return packaged_bundle()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_leaves_an_empty_home_empty(tmp_path: Path, command: str) -> None:
    """ONNX Runtime alone would put a device id and a database there when it is imported."""
    home, work = folders(tmp_path)
    run = subprocess.run(
        [sys.executable, *COMMANDS[command]],
        cwd=work,
        env=environment(home),
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("home", ["/dev/null", "/proc/nothing-here"])
def test_a_home_that_can_not_be_written_is_no_reason_for_a_line(tmp_path: Path, home: str) -> None:
    """Cron mails whatever a job writes to standard error."""
    _, work = folders(tmp_path)
    run = subprocess.run(
        [sys.executable, *COMMANDS["predict"]],
        cwd=work,
        env=environment(Path(home)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")


def odd_rows() -> bytes:
    """Rows that NumPy warns of: beyond float32, and without a spread."""
    header = ",".join([*(f"pixel_{n}" for n in range(64)), "label"])
    rows = [",".join([value] * 64) + ",1" for value in ("0", "16", "3e38", "1e300", "1e-300", "7")]
    return "\n".join([header, *rows * 5, ""]).encode()


@pytest.mark.parametrize(
    ("command", "flags"),
    [("predict", ()), ("predict", ("--scale", "1e12")), ("evaluate", ("--scale", "1e-6"))],
)
def test_nothing_but_our_lines_is_on_standard_error(
    tmp_path: Path, command: str, flags: tuple[str, ...]
) -> None:
    """Warnings of NumPy named files and lines of the package."""
    home, work = folders(tmp_path)
    (work / "odd.csv").write_bytes(odd_rows())
    words = ["--allow-suspect"] if command == "predict" else []
    run = subprocess.run(
        [sys.executable, "-m", f"batchdigits.{command}", "odd.csv", *words, *flags],
        cwd=work,
        env=environment(home),
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode in (0, 3, 65)
    assert ".py" not in run.stderr
    assert "Warning" not in run.stderr


@pytest.mark.slow
def test_frameworks_write_nothing_of_their_own(tmp_path: Path) -> None:
    """TensorFlow, oneDNN and scikit-learn, in train, the keras engine and a bundle's checks."""
    home, work = folders(tmp_path)
    quick = ("--epochs", "1", "--copies", "1", "--calibration-folds", "2")
    commands = [
        ("train", "--output", "x.bundle", *quick),
        ("predict", str(SAMPLE), "--output", "k.csv", "--engine", "keras"),
        ("bundles", "verify", "./x.bundle", "--engine", "keras"),
        ("bundles", "export", "./x.bundle", "--onnx", "x.onnx", "--keras", "x.keras"),
        ("evaluate", str(LABELLED), "--bundle", "./x.bundle", "--output", "e.json"),
    ]
    for command in commands:
        run = subprocess.run(
            [sys.executable, "-m", f"batchdigits.{command[0]}", *command[1:]],
            cwd=work,
            env=environment(home),
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stderr
        for noise in (
            "TensorFlow",
            "oneDNN",
            "absl",
            "Warning",
            ".py",
            ".cc",
            "WARNING",
            "0000 00:00:",
        ):
            assert noise not in run.stderr, command
        if command[0] in ("predict", "bundles"):
            assert run.stderr == ""


@pytest.mark.strace
def test_a_run_of_a_minute_opens_no_socket_and_writes_outputs_only(tmp_path: Path) -> None:
    """The reports of ONNX Runtime begin after nine seconds; rows come for a minute here."""
    home, work = folders(tmp_path)
    log = tmp_path / "trace"
    calls = "trace=%network,open,openat,creat,mkdir,mkdirat,rename,renameat,renameat2,symlink,link"
    strace = ["strace", "-f", "-qq", "-y", "-o", str(log), "-e", calls, "--"]
    command = [sys.executable, "-m", "batchdigits.predict", "-", "--output", "out.csv"]
    header, *rows = SAMPLE.read_bytes().splitlines(keepends=True)
    with subprocess.Popen(
        [*strace, *command],
        cwd=work,
        env=environment(home),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as run:
        assert run.stdin is not None
        run.stdin.write(header)
        started = time.monotonic()
        for row in rows[:120]:
            run.stdin.write(row)
            run.stdin.flush()
            time.sleep(0.5)
        _, errors = run.communicate()
    assert (run.returncode, errors) == (0, b"")
    assert time.monotonic() - started >= 60
    assert sorted(path.name for path in work.iterdir()) == [
        "b.bundle",
        "out.csv",
        "out.receipt.json",
    ]
    assert list(home.iterdir()) == []
    lines = log.read_text(errors="replace").splitlines()
    assert [line for line in lines if re.search(r"\b(socket|connect|sendto|sendmsg)\(", line)] == []
    done = [line for line in lines if " = -1 " not in line]
    written = [line for line in done if re.search(r"O_(WRONLY|RDWR|CREAT)|\bmkdir", line)]
    elsewhere = [line for line in written if str(work) not in line and "/dev/" not in line]
    assert elsewhere == []
