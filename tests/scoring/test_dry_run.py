"""`predict --check` reports what is known before scoring, and writes nothing."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from paths import ROOT, SAMPLE_DATA

import batchdigits
from batchdigits import RunSummary
from batchdigits.errors import BundleError
from batchdigits.store.choice import packaged_bundle

Facts = dict[str, tuple[int, int]]


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    return Path(shutil.copy(SAMPLE_DATA / "digits.csv", tmp_path / "digits.csv"))


def facts(folder: Path) -> Facts:
    """Every file below a folder, with its size and when it was last changed."""
    return {
        str(path): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in (folder, *folder.rglob("*"))
    }


def check(*inputs: Path, **options: object) -> RunSummary:
    """The summary of a check, which must not change any file next to the inputs."""
    before = facts(inputs[0].parent)
    summary = batchdigits.score(inputs, check=True, **options)  # type: ignore[arg-type]
    assert facts(inputs[0].parent) == before
    return summary


def error_of(summary: RunSummary) -> str:
    (result,) = summary.inputs
    assert (result.status, result.exit_code) == ("refused", summary.exit_code)
    return str(result.error)


@pytest.mark.parametrize("output", [None, "new/folder/", "scored.parquet"])
def test_an_input_that_can_be_scored_is_ready(digits: Path, output: str | None) -> None:
    """Nothing is created, not even the folder of the outputs."""
    summary = check(digits, output=None if output is None else f"{digits.parent}/{output}")
    (result,) = summary.inputs
    assert (summary.exit_code, result.status, result.error) == (0, "ready", None)
    assert result.output is not None
    assert Path(result.output).is_relative_to(digits.parent)


def test_the_command_prints_the_summary_line(digits: Path) -> None:
    command = [sys.executable, "-m", "batchdigits.predict", str(digits), "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    summary = json.loads(done.stdout)
    assert (done.returncode, done.stderr, summary["exit_code"]) == (0, "", 0)
    assert summary["inputs"][0]["status"] == "ready"
    assert summary["bundle"]["name"] == "digits"


def test_standard_input_is_read_as_far_as_its_header(tmp_path: Path) -> None:
    out = tmp_path / "out" / "scored.csv"
    command = [sys.executable, "-m", "batchdigits.predict", "-", "--output", out, "--check"]
    codes = [
        subprocess.run(command, cwd=ROOT, input=text, capture_output=True, check=False).returncode
        for text in ((SAMPLE_DATA / "digits.csv").read_bytes(), b"nothing,here\n1,2\n")
    ]
    assert (codes, list(tmp_path.iterdir())) == ([0, 65], [])


def test_finished_work_is_unchanged_with_the_code_of_its_rejects(tmp_path: Path) -> None:
    path = Path(shutil.copy(SAMPLE_DATA / "bad.csv", tmp_path))
    batchdigits.score(path)
    summary = check(path)
    assert (summary.exit_code, summary.inputs[0].status) == (3, "unchanged")
    assert (summary.rows_in, summary.rows_rejected) == (36, 16)
    assert check(path, max_rejects=16).exit_code == 0


def test_outputs_of_other_options_need_overwrite(digits: Path) -> None:
    batchdigits.score(digits, keep=["form_id"])
    summary = check(digits)
    assert summary.exit_code == 73
    assert "was written with other options" in error_of(summary)
    assert check(digits, overwrite=True).inputs[0].status == "ready"


def test_an_interrupted_commit_is_left_to_the_run(digits: Path) -> None:
    """Its outputs have no receipt yet, but count as those of this input."""
    batchdigits.score(digits)
    receipt = digits.with_name("digits.receipt.json")
    commit = {"receipt": json.loads(receipt.read_text()), "replaced": []}
    digits.with_name(".digits.receipt.json.commit").write_text(json.dumps(commit))
    receipt.unlink()
    assert check(digits).inputs[0].status == "ready"
    assert batchdigits.score(digits).inputs[0].status == "unchanged"


def test_an_output_that_another_run_holds_is_refused(digits: Path) -> None:
    """The lock file of a killed run, which no process holds, is left where it is."""
    lock = digits.with_name(".digits.receipt.json.lock")
    with lock.open("w+") as holder:
        holder.write("4711\n")
        holder.flush()
        fcntl.flock(holder, fcntl.LOCK_EX)
        summary = check(digits)
    assert summary.exit_code == 75
    assert "another run (process 4711)" in error_of(summary)
    assert check(digits).inputs[0].status == "ready"


def test_outputs_with_a_damaged_receipt_are_refused(digits: Path) -> None:
    batchdigits.score(digits)
    receipt = digits.with_name("digits.receipt.json")
    facts = json.loads(receipt.read_text())
    for field, value in (("bundle", None), ("rows_in", "many"), ("reasons", {"empty": "x"})):
        receipt.write_text(json.dumps({**facts, field: value}))
        assert check(digits).exit_code == 73


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open everything")
def test_a_lock_that_cannot_be_opened_is_refused(digits: Path) -> None:
    digits.with_name(".digits.receipt.json.lock").touch(mode=0o000)
    assert check(digits).exit_code == 73


@pytest.mark.parametrize(
    ("make", "code", "words"),
    [
        (lambda p: p.unlink(), 66, "no such file"),
        (lambda p: p.write_text("nothing,here\n1,2\n"), 65, "no pixel columns among"),
        (lambda p: p.write_bytes((SAMPLE_DATA / "digits.parquet").read_bytes()), 65, "is Parquet"),
        (lambda p: p.with_name("digits.predictions.csv").mkdir(), 73, "is a folder"),
    ],
)
def test_an_input_that_the_run_would_refuse_is_refused(
    digits: Path,
    make: object,
    code: int,
    words: str,
) -> None:
    make(digits)  # type: ignore[operator]
    summary = check(digits)
    assert summary.exit_code == code
    assert words in error_of(summary)


def test_a_parquet_file_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    data = (SAMPLE_DATA / "digits.parquet").read_bytes()
    path = tmp_path / "digits.parquet"
    path.write_bytes(data[: len(data) // 2])
    assert check(path).exit_code == 65


def test_columns_that_the_output_cannot_hold_are_refused(tmp_path: Path) -> None:
    table = pq.read_table(SAMPLE_DATA / "digits.parquet").slice(0, 3)
    path = tmp_path / "nested.parquet"
    pq.write_table(table.append_column("box", pa.array([[1, 2]] * 3)), path)
    summary = check(path, output=tmp_path / "out.csv")
    assert summary.exit_code == 65
    assert "CSV can't hold" in error_of(summary)


def test_a_damaged_bundle_is_found(digits: Path, tmp_path: Path) -> None:
    data = bytearray(packaged_bundle().read_bytes())
    data[len(data) // 2] ^= 1
    bundle = tmp_path / "bad.bundle"
    bundle.write_bytes(data)
    with pytest.raises(BundleError):
        check(digits, bundle=bundle)


def grown(path: Path, size: int) -> Path:
    """A CSV of that size, all but its first lines a hole that takes no room."""
    shutil.copy(SAMPLE_DATA / "digits.csv", path)
    os.truncate(path, size)
    return path


def test_an_output_that_does_not_fit_the_disk_is_refused(tmp_path: Path) -> None:
    """Of inputs that fit only one by one, the first that has no more room is refused."""
    free = shutil.disk_usage(tmp_path).free
    summary = check(grown(tmp_path / "huge.csv", 2 * free))
    assert summary.exit_code == 74
    assert "are free" in error_of(summary)
    first, second = (grown(tmp_path / f"{name}.csv", free * 6 // 10) for name in "ab")
    summary = check(first, second)
    assert [result.status for result in summary.inputs] == ["ready", "refused"]
    assert "for the inputs before it" in str(summary.inputs[1].error)


def test_a_file_system_that_does_not_tell_its_size_is_not_full(
    digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory as a file system, and some of FUSE, have 0 bytes in all."""
    usage = type(shutil.disk_usage("."))(0, 0, 0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert check(digits).exit_code == 0


def test_one_refused_input_does_not_hide_the_others(digits: Path) -> None:
    bad = digits.with_name("bad.csv")
    bad.write_text("nothing,here\n1,2\n")
    summary = check(bad, digits)
    assert [result.status for result in summary.inputs] == ["refused", "ready"]
    assert summary.exit_code == 65
