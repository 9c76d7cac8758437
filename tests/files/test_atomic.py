"""A file is there as a whole or not at all, with the permissions of the umask."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from threading import Thread

import pytest

from batchdigits.errors import IOFailedError, OutputError, UsageError
from batchdigits.files import atomic
from batchdigits.files.atomic import (
    check_output,
    check_parent,
    create_file,
    explained,
    fsync_folder,
    open_temporary,
    refuse_existing,
    replace_file,
    replace_under_lock,
    temporary_name,
    write_output,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_replacing_leaves_the_new_bytes_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "state"
    for data in (b"old", b"the new one"):
        replace_file(path, data)
        assert path.read_bytes() == data
    assert names(tmp_path) == ["state"]


@pytest.mark.parametrize("write", [replace_file, create_file])
@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_new_files_get_the_permissions_of_the_umask(tmp_path: Path, write, umask: int) -> None:
    before = os.umask(umask)
    try:
        write(tmp_path / "new", b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o666 & ~umask


def test_a_leftover_temporary_does_not_lend_its_permissions_or_its_other_name(
    tmp_path: Path,
) -> None:
    path, elsewhere = tmp_path / "state", tmp_path / "precious"
    elsewhere.write_bytes(b"precious")
    elsewhere.chmod(0o600)
    os.link(elsewhere, temporary_name(path))
    replace_under_lock(path, b"new")
    assert elsewhere.read_bytes() == b"precious"
    assert stat.S_IMODE(path.stat().st_mode) != 0o600


def test_a_temporary_that_is_a_link_is_refused_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"whole")
    (tmp_path / "link").symlink_to(victim)
    with pytest.raises(OutputError, match="link: can't be written"):
        open_temporary(tmp_path / "link")
    assert victim.read_bytes() == b"whole"


def test_creating_never_overwrites(tmp_path: Path) -> None:
    path = tmp_path / "3.bundle"
    create_file(path, b"first")
    with pytest.raises(FileExistsError):
        create_file(path, b"second")
    assert path.read_bytes() == b"first"
    assert names(tmp_path) == ["3.bundle"]


def test_who_replaces_a_file_in_between_is_in_nobodys_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two writers without a lock: each file is one of theirs, whole, and the last one stays."""
    path = tmp_path / "digits.onnx"
    really = atomic.move_file

    def move_late(source: Path, target: Path) -> None:
        monkeypatch.setattr(atomic, "move_file", really)
        replace_file(target, b"of the other")
        assert target.read_bytes() == b"of the other"
        really(source, target)

    monkeypatch.setattr(atomic, "move_file", move_late)
    replace_file(path, b"ours")
    assert path.read_bytes() == b"ours"
    assert names(tmp_path) == ["digits.onnx"]


def test_of_many_who_create_one_name_one_wins(tmp_path: Path) -> None:
    path = tmp_path / "3.bundle"
    won: list[bytes] = []

    def attempt(data: bytes) -> None:
        try:
            create_file(path, data)
        except FileExistsError:
            return
        won.append(data)

    threads = [Thread(target=attempt, args=(b"%d" % i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [path.read_bytes()] == won
    assert names(tmp_path) == ["3.bundle"]


@pytest.mark.parametrize("write", [replace_file, create_file])
def test_a_folder_that_is_not_there_is_an_output_that_cannot_be_written(
    tmp_path: Path, write
) -> None:
    with pytest.raises(OutputError, match=r"can't be written: No such file"):
        write(tmp_path / "absent" / "file", b"x")


def test_a_full_disk_leaves_the_old_file_and_no_temporary(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    path = tmp_path / "state"
    replace_file(path, b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(IOFailedError, match="state: writing failed: File too large"):
            replace_file(path, b"x" * 2000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["state"]


def test_syncing_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="absent"):
        fsync_folder(tmp_path / "absent")


def test_a_disk_error_is_told_with_path_and_cause() -> None:
    told = r"out\.csv: writing failed: No space left on device"
    with (
        Path("/dev/full").open("wb", buffering=0) as full,
        pytest.raises(IOFailedError, match=told),
        explained(Path("out.csv")),
    ):
        full.write(b"x")


def test_an_output_is_replaced_only_when_overwriting_is_asked_for(tmp_path: Path) -> None:
    """The message ends with the caller's fix; anything at the name counts, even a broken link."""
    path = tmp_path / "out.json"
    write_output(path, b"old", overwrite=False)
    for check in (
        lambda: write_output(path, b"new", overwrite=False),
        lambda: check_output(str(path), overwrite=False, suffix=".json"),
        lambda: refuse_existing(path),
    ):
        with pytest.raises(OutputError, match=r"out\.json: exists; give --overwrite"):
            check()
    assert path.read_bytes() == b"old"
    with pytest.raises(OutputError, match="exists; choose another NAME$"):
        refuse_existing(path, "choose another NAME")
    assert check_output(str(path), overwrite=True, suffix=".json") == path
    write_output(path, b"new", overwrite=True)
    assert (path.read_bytes(), names(tmp_path)) == (b"new", ["out.json"])
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(OutputError, match="link: exists"):
        refuse_existing(tmp_path / "link")


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_output_has_the_permissions_that_were_asked_for(tmp_path: Path, overwrite: bool) -> None:
    path = tmp_path / "secret"
    if overwrite:
        path.touch(0o666)
    write_output(path, b"new", overwrite=overwrite, mode=0o600)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_output_that_can_not_be_written_is_known_before_the_work(tmp_path: Path) -> None:
    """Exit 2 for the name itself, 73 for what is on the disk."""
    for name, error, message in (
        ("", UsageError, r"--output '': expected .* ends in \.json"),
        ("figures.csv", UsageError, r"--output 'figures\.csv': expected .* ends in \.json"),
        (f"{tmp_path}/none/a.json", OutputError, f"there is no folder {tmp_path}/none; make it"),
        (f"{tmp_path}/folder.json", OutputError, r"folder\.json: is a folder; name a file"),
    ):
        (tmp_path / "folder.json").mkdir(exist_ok=True)
        with pytest.raises(error, match=message):
            check_output(name, overwrite=True, suffix=".json")
    with pytest.raises(UsageError, match="--onnx is empty: name a path, or leave the flag out"):
        check_parent("", "--onnx")
