from __future__ import annotations

from pathlib import Path

import pytest

from batchdigits.errors import IOFailedError, OutputError
from batchdigits.files.folder import create_folder


def fill(text: str, path: Path) -> None:
    (path / "inner").mkdir(parents=True)
    (path / "inner" / "one.txt").write_text(text)


def content(path: Path) -> str:
    return (path / "inner" / "one.txt").read_text()


def test_a_folder_appears_and_is_replaced_whole(tmp_path: Path) -> None:
    """With nothing left beside it."""
    target = tmp_path / "model"
    create_folder(target, lambda new: fill("first", new), overwrite=False)
    assert content(target) == "first"
    (target / "extra").touch()
    create_folder(target, lambda new: fill("second", new), overwrite=True)
    assert content(target) == "second"
    assert not (target / "extra").exists()
    assert list(tmp_path.iterdir()) == [target]


def test_a_relative_name_is_as_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    create_folder(Path("model"), lambda new: fill("first", new), overwrite=False)
    assert content(tmp_path / "model") == "first"


def test_what_fails_leaves_the_old_folder(tmp_path: Path) -> None:
    """And nothing half done."""
    target = tmp_path / "model"
    create_folder(target, lambda new: fill("first", new), overwrite=False)

    def break_off(new: Path) -> None:
        fill("second", new)
        raise OSError(28, "No space left on device")

    with pytest.raises(IOFailedError, match="model: writing failed: No space left"):
        create_folder(target, break_off, overwrite=True)
    assert content(target) == "first"
    assert list(tmp_path.iterdir()) == [target]


def test_an_old_folder_that_can_not_be_put_back_is_not_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither new nor old gets the name: the old one is in a hidden folder then."""
    target = tmp_path / "model"
    create_folder(target, lambda new: fill("first", new), overwrite=False)
    rename = Path.rename

    def refuse_the_name(path: Path, new_name: Path) -> Path:
        if new_name == target:
            raise PermissionError(13, "Permission denied")
        return rename(path, new_name)

    monkeypatch.setattr(Path, "rename", refuse_the_name)
    with pytest.raises(OutputError):
        create_folder(target, lambda new: fill("second", new), overwrite=True)
    (beside,) = tmp_path.iterdir()
    assert content(beside / "old") == "first"
    assert list(beside.iterdir()) == [beside / "old"]


def test_a_place_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"nowhere/model: can't be written"):
        create_folder(
            tmp_path / "nowhere" / "model", lambda new: fill("first", new), overwrite=False
        )


@pytest.mark.parametrize("is_file", [False, True])
def test_what_appears_meanwhile_stays(tmp_path: Path, is_file: bool) -> None:
    """Without leave to overwrite: what was checked before the work began may hold no more."""
    target = tmp_path / "model"

    def fill_slowly(new: Path) -> None:
        fill("ours", new)
        target.write_text("theirs") if is_file else fill("theirs", target)

    with pytest.raises(OutputError, match="model: can't be written"):
        create_folder(target, fill_slowly, overwrite=False)
    assert (target.read_text() if is_file else content(target)) == "theirs"
    assert list(tmp_path.iterdir()) == [target]
