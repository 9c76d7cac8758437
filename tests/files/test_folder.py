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
    create_folder(target, lambda new: fill("first", new))
    assert content(target) == "first"
    (target / "extra").touch()
    create_folder(target, lambda new: fill("second", new))
    assert content(target) == "second"
    assert not (target / "extra").exists()
    assert list(tmp_path.iterdir()) == [target]


def test_a_relative_name_is_as_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    create_folder(Path("model"), lambda new: fill("first", new))
    assert content(tmp_path / "model") == "first"


def test_what_fails_leaves_the_old_folder(tmp_path: Path) -> None:
    """And nothing half done."""
    target = tmp_path / "model"
    create_folder(target, lambda new: fill("first", new))

    def break_off(new: Path) -> None:
        fill("second", new)
        raise OSError(28, "No space left on device")

    with pytest.raises(IOFailedError, match="model: writing failed: No space left"):
        create_folder(target, break_off)
    assert content(target) == "first"
    assert list(tmp_path.iterdir()) == [target]


def test_a_place_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"nowhere/model: can't be written"):
        create_folder(tmp_path / "nowhere" / "model", lambda new: fill("first", new))
