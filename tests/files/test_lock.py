"""One writer at a time, across real processes."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import textwrap
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from batchdigits.errors import IOFailedError, OutputError, TryAgainError
from batchdigits.files.lock import hold_lock, refuse_held

HOLDER = """
    import sys, time
    from pathlib import Path
    from batchdigits.files.lock import hold_lock
    with hold_lock(Path(sys.argv[1])):
        print("held", flush=True)
        time.sleep(60)
"""

CONTENDER = """
    import os, sys
    from pathlib import Path
    from batchdigits.errors import TryAgainError
    from batchdigits.files.lock import hold_lock
    path, inside = Path(sys.argv[1]), sys.argv[1] + ".inside"
    won = 0
    while won < 150:
        try:
            with hold_lock(path):
                os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
                os.unlink(inside)
                won += 1
        except TryAgainError:
            pass
"""


def start(code: str, path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(code), str(path)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_the_lock_file_is_gone_afterwards_also_after_an_error(tmp_path: Path) -> None:
    with suppress(KeyError), hold_lock(tmp_path / "out.csv"):
        assert [p.name for p in tmp_path.iterdir()] == [".out.csv.lock"]
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_a_second_run_is_told_who_holds_it_and_killing_the_holder_frees_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "out.csv"
    with start(HOLDER, path) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        told = rf"out\.csv: .*process {holder.pid}.*try again"
        with pytest.raises(TryAgainError, match=told), hold_lock(path):
            pass
        assert (tmp_path / ".out.csv.lock").exists()
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with hold_lock(path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_removing_the_lock_file_lets_no_two_in(tmp_path: Path) -> None:
    contenders = [start(CONTENDER, tmp_path / "out.csv") for _ in range(3)]
    assert [contender.wait(60) for contender in contenders] == [0, 0, 0]
    assert list(tmp_path.iterdir()) == []


def test_the_lock_is_freed_only_by_its_owner(tmp_path: Path) -> None:
    """A lock file that somebody else put in place of ours is not ours to remove."""
    lock = tmp_path / ".out.csv.lock"
    with hold_lock(tmp_path / "out.csv"):
        lock.unlink()
        lock.write_text("another's")
    assert lock.read_text() == "another's"


def test_a_folder_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    told = r"out\.csv: \.out\.csv\.lock beside it can't be locked"
    with pytest.raises(OutputError, match=told), hold_lock(tmp_path / "absent" / "out.csv"):
        pass


def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("whole")
    (tmp_path / ".out.csv.lock").symlink_to(victim)
    with pytest.raises(OutputError), hold_lock(tmp_path / "out.csv"):
        pass
    assert victim.read_text() == "whole"


def test_looking_at_a_lock_changes_nothing_whoever_holds_it(tmp_path: Path) -> None:
    path, lock = tmp_path / "out.csv", tmp_path / ".out.csv.lock"
    refuse_held(path)
    assert list(tmp_path.iterdir()) == []
    lock.write_text("a killed run's")
    refuse_held(path)
    assert lock.read_text() == "a killed run's"
    with hold_lock(path), pytest.raises(TryAgainError, match="another run"):
        refuse_held(path)


def test_a_run_outlasts_somebody_who_only_looks(tmp_path: Path) -> None:
    path, lock = tmp_path / "out.csv", tmp_path / ".out.csv.lock"
    with lock.open("w") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        timer = threading.Timer(0.02, fcntl.flock, (looking, fcntl.LOCK_UN))
        timer.start()
        with hold_lock(path):
            timer.join()
    assert not lock.exists()


def test_a_lock_that_is_a_link_is_told_by_who_only_looks(tmp_path: Path) -> None:
    (tmp_path / ".out.csv.lock").symlink_to("elsewhere")
    with pytest.raises(OutputError, match="can't be locked"):
        refuse_held(tmp_path / "out.csv")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_disk_that_is_full_or_broken_is_no_fault_of_the_folder(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", full)
    with (
        pytest.raises(IOFailedError, match=r"out\.csv: .* free or check the disk"),
        hold_lock(tmp_path / "out.csv"),
    ):
        pass


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_is_named_and_no_lock_file_stays(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(*_arguments: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    with (
        pytest.raises(OutputError, match=r"has no locks \(flock\).*--no-lock"),
        hold_lock(tmp_path / "out.csv"),
    ):
        pass
    assert list(tmp_path.iterdir()) == []
