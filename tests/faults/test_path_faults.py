"""Faults of names and environments, entries 29 to 32 and 34: files of others stay untouched."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from fault_bundles import sound_bundle
from fault_data import csv_bytes, digit_rows, digit_table
from fault_runs import (
    COMMAND,
    Job,
    assert_ledger,
    assert_receipt_is_true,
    predict,
    predict_here,
    standing,
)
from paths import ROOT


def some_bad(count: int) -> bytes:
    rows = digit_rows(count)
    rows[5][40] = "99"
    return csv_bytes(rows)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """Forty rows, one of them bad."""
    (tmp_path / "in.csv").write_bytes(some_bad(40))
    return Job(tmp_path / "in.csv", tmp_path / "out" / "p.csv").elsewhere(tmp_path / "out")


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
def test_29_a_second_run_does_nothing_and_says_so(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "in.csv").write_bytes(some_bad(40))
    job = Job(tmp_path / "in.csv", tmp_path / f"p{suffix}").elsewhere(tmp_path / "out")
    assert predict(*job.arguments).status == "scored"
    before = standing(job)
    for flags in ([], ["--workers", "1"], ["--batch-size", "7"], ["--overwrite"]):
        again = predict_here(*job.arguments, *flags)
        assert (again.code, again.status, standing(job)) == (3, "unchanged", before)
        assert again.summary["rows_in"] == 40
    within = predict_here(*job.arguments, "--max-rejects", "1")
    assert (within.code, within.status, within.stderr, standing(job)) == (
        0,
        "unchanged",
        "",
        before,
    )


def test_29_the_same_bytes_under_another_name_are_the_same_input(job: Job) -> None:
    predict_here(*job.arguments)
    moved = job.source.with_name("moved.csv")
    job.source.rename(moved)
    assert predict_here(moved, "--output", job.output).status == "unchanged"


def other_input(job: Job) -> list[str]:
    rows = digit_rows(40)
    job.source.write_bytes(csv_bytes(rows))
    return []


def other_bundle(job: Job) -> list[str]:
    bundle = job.source.with_name("other.bundle")
    bundle.write_bytes(sound_bundle())
    return ["--bundle", str(bundle)]


def other_options(_job: Job) -> list[str]:
    return ["--probabilities"]


def other_bytes(job: Job) -> list[str]:
    with job.output.open("ab") as file:
        file.write(b"r0000040,somebody's own,7,1.0\n")
    return []


OTHERS = {
    other_input: "came from other content of",
    other_bundle: "and was scored with digits@",
    other_options: "other options (probabilities: False, now True)",
    other_bytes: "changed since they were written",
}


@pytest.mark.parametrize("change", OTHERS, ids=lambda change: change.__name__)
def test_30_what_came_from_something_else_is_replaced_only_when_told(
    job: Job, change: Callable[[Job], list[str]]
) -> None:
    predict_here(*job.arguments)
    flags = change(job)
    before = standing(job)
    refused = predict_here(*job.arguments, *flags)
    assert (refused.code, standing(job)) == (73, before)
    assert "--overwrite" in refused.error
    assert OTHERS[change] in refused.error
    replaced = predict_here(*job.arguments, *flags, "--overwrite")
    assert (replaced.code in (0, 3), replaced.status) == (True, "scored")
    assert_receipt_is_true(job)
    assert predict_here(*job.arguments, *flags).status == "unchanged"


def test_30_rejects_of_an_earlier_run_never_outlive_it(job: Job) -> None:
    assert predict_here(*job.arguments).code == 3
    job.source.write_bytes(csv_bytes(digit_rows(40)))
    assert predict_here(*job.arguments, "--overwrite").code == 0
    assert sorted(job.outcome()) == ["p.csv", "p.receipt.json"]


@pytest.mark.parametrize("which", ["output", "rejects", "receipt"])
def test_30_a_file_that_nobody_knows_is_left_alone(job: Job, which: str) -> None:
    """Any of the three names is enough to refuse, and each file stays as it was."""
    path: Path = getattr(job, which)
    path.write_text("somebody's own")
    refused = predict_here(*job.arguments)
    assert refused.code == 73
    assert path.name in refused.error
    assert {name: data for name, data in files(job).items() if data} == {path: b"somebody's own"}


def files(job: Job) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in job.output.parent.iterdir()}


def itself(path: Path) -> Path:
    return path


def dotted(path: Path) -> Path:
    return path.parent / "." / "out" / ".." / path.name


def linked(path: Path) -> Path:
    path.with_name("link.csv").symlink_to(path)
    return path.with_name("link.csv")


def hard_linked(path: Path) -> Path:
    path.with_name("twin.csv").hardlink_to(path)
    return path.with_name("twin.csv")


def through_a_linked_folder(path: Path) -> Path:
    (path.parent / "elsewhere").symlink_to(path.parent)
    return path.parent / "elsewhere" / path.name


@pytest.mark.parametrize(
    "name", [itself, dotted, linked, hard_linked, through_a_linked_folder], ids=lambda f: f.__name__
)
@pytest.mark.parametrize("flags", [[], ["--overwrite"]])
def test_31_the_input_is_never_the_output(
    job: Job, name: Callable[[Path], Path], flags: list[str]
) -> None:
    data = job.source.read_bytes()
    ran = predict_here(job.source, "--output", name(job.source), *flags)
    assert ran.code == 2
    assert "would overwrite it" in ran.error
    assert job.source.read_bytes() == data
    assert not list(job.source.parent.glob("*.receipt.json"))


@pytest.mark.parametrize("named", ["p.rejects.csv", "p.receipt.json", ".p.csv.tmp"])
def test_31_nor_is_it_any_other_file_of_the_run(job: Job, named: str) -> None:
    data = job.source.read_bytes()
    source = job.output.with_name(named)
    source.write_bytes(data)
    ran = predict_here(source, "--output", job.output, "--overwrite")
    assert (ran.code, files(job)) == (2, {source: data})


def link_to_a_file(path: Path) -> None:
    (path.parent.parent / "precious").write_text("somebody's own")
    path.symlink_to(path.parent.parent / "precious")


def link_to_nothing(path: Path) -> None:
    path.symlink_to("nowhere")


def link_to_full(path: Path) -> None:
    path.symlink_to("/dev/full")


def folder(path: Path) -> None:
    path.mkdir()


def pipe(path: Path) -> None:
    os.mkfifo(path)


ODDITIES = (link_to_a_file, link_to_nothing, link_to_full, folder, pipe)


@pytest.mark.parametrize("make", ODDITIES, ids=lambda make: make.__name__)
@pytest.mark.parametrize("which", ["output", "rejects", "receipt", "temporary", "commit"])
def test_32_what_is_no_plain_file_is_refused_before_the_model_is_loaded(
    job: Job, make: Callable[[Path], None], which: str
) -> None:
    """The bundle does not exist: looking for it would end with 78."""
    path: Path = getattr(job, which)
    make(path)
    output = job.output
    if (make, which) == (folder, "output"):
        (path / "in.predictions.csv").mkdir()  # a folder is then the place for the outputs
    ran = predict_here(job.source, "--output", output, "--bundle", "gone.bundle", "--overwrite")
    assert ran.code == 73
    assert "can't be written" in ran.error
    assert list(job.output.parent.iterdir()) == [path]
    precious = job.source.with_name("precious")
    assert not precious.exists() or precious.read_text() == "somebody's own"


def test_32_a_device_is_no_output(job: Job) -> None:
    ran = predict_here(job.source, "--output", "/dev/full", "--bundle", "gone.bundle")
    assert ran.code == 2
    assert "/dev/full: expected a name that ends in" in ran.error


def test_32_a_file_is_no_folder(job: Job) -> None:
    ran = predict_here(job.source, "--output", job.source / "p.csv", "--bundle", "gone.bundle")
    assert ran.code == 73
    assert "is not a folder" in ran.error


def test_32_a_folder_without_permission_is_refused_before_the_model_is_loaded(job: Job) -> None:
    """Permissions don't bind root: then the run is started without its capabilities."""
    job.output.parent.chmod(0o555)
    without = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    before = without if os.geteuid() == 0 else []
    ran = predict(*job.arguments, "--bundle", "gone.bundle", before=before)
    assert (ran.code, list(job.output.parent.iterdir())) == (73, [])
    assert "is not writable" in ran.error


@pytest.mark.root
def test_32_a_read_only_disk_is_refused_before_the_model_is_loaded(job: Job) -> None:
    at = job.output.parent
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", at], check=True)
    try:
        ran = predict(*job.arguments, "--bundle", "gone.bundle")
    finally:
        subprocess.run(["umount", at], check=True)
    assert ran.code == 73
    assert "is not writable" in ran.error


NAMES = (
    "two words",
    "Füße 数字 🖋",
    "line\nbreak\r\nhere",
    "-dash",
    "--output",
    "a*b?[c]",
    "q'\"\\",
    "~",
)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_34_odd_names_are_names(tmp_path: Path, name: str, suffix: str) -> None:
    """Of the input, of a folder on its path, and of the outputs; each error stays one line."""
    folder = tmp_path / name
    folder.mkdir()
    source = folder / f"{name}{suffix}"
    if suffix == ".csv":
        source.write_bytes(csv_bytes(digit_rows(30)))
    else:
        pq.write_table(digit_table(30), source)
    job = Job(source, folder / f"p {name}.csv")
    ran = predict_here(*job.arguments)
    assert_ledger(job, ran)
    assert (ran.code, ran.summary["inputs"][0]["output"]) == (0, str(job.output))
    source.write_bytes(b"")
    refused = predict_here(*job.arguments, "--overwrite")
    assert (refused.code, "is empty" in refused.error) == (65, True)


@pytest.mark.parametrize("typed", ["./-dash.csv", "-- -dash.csv"])
def test_34_a_name_with_a_dash_in_front_can_be_typed(tmp_path: Path, typed: str) -> None:
    (tmp_path / "-dash.csv").write_bytes(csv_bytes(digit_rows(30)))
    done = run_in(tmp_path, *typed.split())
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / "-dash.predictions.csv").exists()


def test_34_a_name_that_is_no_utf8_is_a_name(tmp_path: Path) -> None:
    source = os.fsencode(tmp_path) + b"/caf\xe9.csv"
    Path(os.fsdecode(source)).write_bytes(some_bad(30))
    for status in ("scored", "unchanged"):
        ran = predict(source)
        assert (ran.code, ran.status, len(ran.stderr.splitlines())) == (3, status, 1)


def run_in(
    folder: Path, *arguments: str, before: tuple[str, ...] = (), **variables: str
) -> subprocess.CompletedProcess[bytes]:
    """Run predict in a folder, with only these environment variables."""
    return subprocess.run(
        [*before, *COMMAND, *arguments],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
        check=False,
    )


SURROUNDINGS = {
    "nothing": {},
    "LANG=C": {"LANG": "C", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    "cron": {"PATH": "/usr/bin:/bin", "SHELL": "/bin/sh", "HOME": "/nowhere", "TMPDIR": "/nowhere"},
}


@pytest.mark.parametrize("variables", SURROUNDINGS)
def test_34_bare_surroundings_change_nothing(tmp_path: Path, variables: str) -> None:
    name = "Füße\n数字.csv"
    for folder in ("here", "bare"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_bytes(some_bad(40))
    assert predict_here(tmp_path / "here" / name).code == 3
    done = run_in(tmp_path / "bare", name, **SURROUNDINGS[variables])
    assert (done.returncode, len(done.stderr.splitlines())) == (3, 1)
    assert b"1 of 40 rows were rejected" in done.stderr
    for kind in ("predictions", "rejects"):
        written = Path(f"Füße\n数字.{kind}.csv")
        here, bare = (tmp_path / folder / written for folder in ("here", "bare"))
        assert here.read_text().replace(str(tmp_path / "here") + "/", "") == bare.read_text()


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_34_closed_streams_are_no_failure(job: Job, closed: str) -> None:
    """Output for a closed stream does not get into a file that was opened in its place."""
    job.source.write_bytes(csv_bytes(digit_rows(40)))
    command = f'exec "$@" {closed}'
    done = subprocess.run(
        ["sh", "-c", command, "sh", *COMMAND, *job.arguments],
        cwd=ROOT,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert_receipt_is_true(job)
    assert job.leftovers() == []


def test_34_a_reader_that_has_gone_is_no_failure(job: Job) -> None:
    job.source.write_bytes(csv_bytes(digit_rows(40)))
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as out:
        command = [*COMMAND, *job.arguments]
        done = subprocess.run(command, cwd=ROOT, stdout=out, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert_receipt_is_true(job)


@pytest.mark.root
def test_34_no_network_is_needed(job: Job) -> None:
    """In a network namespace without even a loopback."""
    ran = predict(*job.arguments, before=["unshare", "-n"])
    assert_ledger(job, ran)
    assert ran.code == 3


@pytest.mark.strace
def test_34_no_socket_is_opened_and_no_process_started(job: Job, tmp_path: Path) -> None:
    log = tmp_path / "log"
    calls = "trace=socket,connect,execve,fork,vfork"
    ran = predict(*job.arguments, before=["strace", "-f", "-qq", "-o", str(log), "-e", calls])
    assert ran.code == 3
    lines = [line.split(maxsplit=1)[1] for line in log.read_text().splitlines()]
    made = [line for line in lines if not line.startswith(("+++", "---"))]
    assert len(made) == 1, made
    assert made[0].startswith(f'execve("{sys.executable}"')


def test_34_a_working_folder_that_was_removed_is_no_fault(job: Job, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    command = f'cd "{gone}" && rmdir "{gone}" && exec "$@"'
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["sh", "-c", command, "sh", *COMMAND, *job.arguments],
        env=environment,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, len(done.stderr.splitlines())) == (3, 1)
    assert_receipt_is_true(job)
