from __future__ import annotations

import os
from pathlib import Path

import pytest

from batchdigits.files.plain import read_plain, read_small


def test_a_regular_file_comes_with_its_facts(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    path.chmod(0o640)
    data, facts = read_plain(path, 5)
    assert (data, facts.st_mode & 0o777) == (b"12345", 0o640)


def test_an_open_folder_finds_the_file_after_it_was_renamed(tmp_path: Path) -> None:
    """Whoever swaps a folder after it was checked swaps nothing."""
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "a.pub").write_bytes(b"checked")
    folder = os.open(tmp_path / "keys", os.O_RDONLY | os.O_DIRECTORY)
    (tmp_path / "keys").rename(tmp_path / "old")
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "a.pub").write_bytes(b"swapped")
    assert read_plain(tmp_path / "keys" / "a.pub", 100, folder)[0] == b"checked"
    os.close(folder)


def test_anything_else_says_in_words_what_it_is(tmp_path: Path) -> None:
    """A FIFO does not hang the run, and a link is not followed."""
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    for name, problem in {
        "absent": "No such file or directory",
        "link": "is a symbolic link, which is not followed",
        "folder": "Is a directory",
        "fifo": "is a FIFO or a device",
        "file": "has 5 bytes, more than the 4 allowed",
    }.items():
        with pytest.raises(OSError) as caught:  # noqa: PT011  # the text is compared below
            read_plain(tmp_path / name, 4)
        assert caught.value.strerror == problem


def test_a_small_file_is_read_without_its_facts_and_a_named_one_through_its_link(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "link").symlink_to("file")
    assert read_small(tmp_path / "file", 5) == read_small(tmp_path / "link", 5, follow=True)
    with pytest.raises(OSError, match="not followed"):
        read_small(tmp_path / "link", 5)


@pytest.mark.parametrize("path", ["/proc/kmsg", "/proc/self/status"])
def test_a_file_of_the_kernel_is_empty_since_it_has_no_size(path: str) -> None:
    """Reading /proc/kmsg waits for the kernel's next message."""
    if not os.access(path, os.R_OK):
        pytest.skip(f"{path} can't be read here")
    assert read_small(Path(path), 5) == b""


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/tty0", "/dev/null"])
def test_a_device_is_never_read(path: str) -> None:
    if not Path(path).exists():
        pytest.skip(f"there is no {path} here")
    with pytest.raises(OSError, match="FIFO or a device|Permission|No such device"):
        read_small(Path(path), 5)
