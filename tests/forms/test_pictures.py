"""Pictures: what arguments name, and how each is opened or refused."""

import io
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from crops import crop, png_bomb
from PIL import Image

from batchdigits.errors import NoInputError, TryAgainError, UnusableInputError
from batchdigits.files.plain import read_small
from batchdigits.forms import pictures
from batchdigits.forms.pictures import (
    MOST_BYTES,
    REASONS,
    Picture,
    PictureError,
    check_name,
    expand_pictures,
    opened,
)


def encoded(kind: str = "PNG", picture: np.ndarray | None = None) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(crop() if picture is None else picture).save(buffer, kind)
    return buffer.getvalue()


def refusal(name: str, data: bytes) -> PictureError:
    with pytest.raises(PictureError) as caught, opened(data, check_name(name, data)) as image:
        image.load()
    assert caught.value.reason in REASONS
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Crops at the top and in subfolders, with names that don't count."""
    for name in ("b.png", "a.JPG", "3/x.tif", "3/deep/y.bmp", "_skipped.png", ".hidden.png"):
        path = tmp_path / "crops" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    (tmp_path / "crops" / "notes.txt").write_text("no picture")
    (tmp_path / "crops" / ".git").mkdir()
    (tmp_path / "crops" / ".git" / "z.png").write_bytes(b"")
    return tmp_path / "crops"


def test_a_folder_stands_for_the_pictures_in_it_and_below_it(folder: Path) -> None:
    pictures = expand_pictures([str(folder)])
    names = [str(picture.path.relative_to(folder)) for picture in pictures]
    assert names == ["a.JPG", "b.png", "3/x.tif", "3/deep/y.bmp"]
    assert [picture.folder for picture in pictures] == ["", "", "3", "deep"]
    assert [picture.name for picture in pictures] == [str(picture.path) for picture in pictures]


def test_a_linked_folder_with_pictures_is_left_out_with_a_warning(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As in predict: it may lead back. One that is named is read."""
    for name in ("linked", "without", ".hidden"):
        (folder.parent / name).mkdir()
        (folder / "3" / name).symlink_to(folder.parent / name)
    (folder.parent / "linked" / "c.png").write_bytes(b"")
    (folder.parent / "without" / "_c.png").write_bytes(b"")
    (folder / "back").symlink_to(folder)
    assert len(expand_pictures([str(folder)])) == 4
    assert caplog.messages == [
        f"{folder}: left out the input files in subfolders: 3/linked, back; name what to read"
    ]
    assert len(expand_pictures([str(folder / "3" / "linked")])) == 1


def test_a_zip_stands_for_the_pictures_in_it(tmp_path: Path) -> None:
    path = tmp_path / "crops.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("7/b.png", "7/a.png", "__MACOSX/7/a.png", "readme.txt", "7/.DS_Store"):
            archive.writestr(name, name)
    pictures = expand_pictures([str(path)])
    assert [picture.name for picture in pictures] == [f"{path}/7/a.png", f"{path}/7/b.png"]
    assert [picture.folder for picture in pictures] == ["7", "7"]
    assert pictures[1].read() == b"7/b.png"


def test_globs_and_names_stand_for_what_they_match(folder: Path) -> None:
    names = [p.path.name for p in expand_pictures([f"{folder}/*.png", f"{folder}/notes.txt"])]
    assert names == ["b.png", "notes.txt"]


@pytest.mark.parametrize("argument", ["", "absent.png", "absent/*.png", "empty", "bad.zip"])
def test_an_argument_without_a_picture_is_an_error_that_names_it(
    argument: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.zip").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(NoInputError, match=argument.replace("*", ".") or "''"):
        expand_pictures([argument])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP"])
def test_a_picture_is_opened_by_its_content(kind: str) -> None:
    data = encoded(kind)
    assert check_name("scan", data) == kind
    with opened(data, kind) as image:
        assert image.size == (80, 80)


def test_a_name_that_promises_another_format_is_refused() -> None:
    error = refusal("crops/a.png", encoded("JPEG"))
    assert (error.reason, error.detail) == (
        "wrong-name",
        "is JPEG by its content, not PNG; rename it to end in .jpg",
    )


@pytest.mark.parametrize("data", [b"", b"hello", b"%PDF-1.7", b"PK\x03\x04", b"GIF89a", b"\0" * 9])
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    assert refusal("a.png", data).reason == "not-a-picture"


def test_a_phones_picture_in_a_folder_is_found_and_refused(tmp_path: Path) -> None:
    """And so it is a reject, not left out in silence."""
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x20ftypheic\0\0\0\0")
    (picture,) = expand_pictures([str(tmp_path)])
    error = refusal(picture.name, picture.read())
    assert error.detail == "is HEIC or AVIF by its content; expected PNG, JPEG, TIFF, BMP"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP"])
@pytest.mark.parametrize("part", [0.2, 0.6, 0.95])
def test_a_truncated_picture_is_refused(
    kind: str, part: float, capfd: pytest.CaptureFixture
) -> None:
    """And libtiff, which writes to descriptor 2 itself, stays silent."""
    noise = np.random.default_rng(1).integers(0, 256, (90, 70)).astype(np.uint8)
    data = encoded(kind, noise)
    assert refusal(f"a.{kind.lower()}", data[: int(len(data) * part)]).reason == "damaged"
    assert capfd.readouterr().err == ""


def fax(damaged: bool) -> bytes:
    """A page of dithered noise as group 4, with a row of code words that don't exist if damaged."""
    noise = np.random.default_rng(1).integers(0, 2, (90, 70)).astype(bool)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "TIFF", compression="group4")
    data = bytearray(buffer.getvalue())
    with Image.open(buffer) as image:
        (start,) = image.tag_v2[273]
    if damaged:
        data[start + 100 : start + 104] = b"\2\2\2\2"
    return bytes(data)


def test_a_fax_with_wrong_code_words_is_refused(capfd: pytest.CaptureFixture) -> None:
    """Though libtiff guesses pixels, and Pillow returns them."""
    with opened(fax(damaged=False), "TIFF") as image:
        image.load()
    error = refusal("a.tif", fax(damaged=True))
    assert error.reason == "damaged"
    assert error.detail == (
        "can't be decoded (Fax4Decode: Bad code word at line 5 of strip 0 (x 9)); "
        "scan or fetch it again"
    )
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    "line",
    [
        "Fax3Decode2D: Warning, Line length mismatch at line 3 of strip 0 (got 70, expected 71).",
        '_TIFFVSetField: Null count for "Tag 33723" (type 1, writecount -1, passcount 1).',
        "UnicodeDecodeError: what another thread writes",
    ],
)
def test_a_tiff_is_sound_whatever_else_is_written_meanwhile(line: str) -> None:
    with opened(fax(damaged=False), "TIFF") as image:
        image.load()
        os.write(2, f"{line}\n".encode())


def test_a_tiff_is_decoded_where_there_is_no_standard_error() -> None:
    """And the descriptor 2 that it takes meanwhile is closed again."""
    kept = os.dup(2)
    os.close(2)
    try:
        with opened(fax(damaged=False), "TIFF") as image:
            image.load()
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(2)
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def test_a_decompression_bomb_is_refused_before_it_is_decoded() -> None:
    """65,500 by 65,500 white pixels are half a megabyte of PNG."""
    for side in (10_000, 65_500):
        assert refusal("bomb.png", png_bomb(side)).reason == "too-large"


def test_a_file_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    with path.open("wb") as file:
        os.truncate(file.fileno(), MOST_BYTES + 1)
    with pytest.raises(PictureError, match="too-large: has 268435457 bytes"):
        Picture(str(path), path).read()


def test_a_member_of_a_zip_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "crops.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", b"\0" * 100_000)
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x01\x02")
    data[at + 24 : at + 28] = (1000).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(PictureError, match="damaged"):
        expand_pictures([str(path)])[0].read()


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "crops.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.png", b"secret")
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(PictureError, match="is encrypted in its ZIP; extract it first"):
        expand_pictures([str(path)])[0].read()


def test_a_file_that_is_gone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="unreadable: can't be read: No such file"):
        Picture("a.png", tmp_path / "a.png").read()


def test_a_fifo_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    os.mkfifo(tmp_path / "a.zip")
    with pytest.raises(PictureError, match="unreadable"):
        Picture("a.png", tmp_path / "a.png").read()
    with pytest.raises(NoInputError, match="FIFO"):
        expand_pictures([str(tmp_path / "a.zip")])


def write_zip(path: Path, name: str, data: bytes, kind: int = zipfile.ZIP_STORED) -> None:
    """A ZIP of one member, in place of the one that is there."""
    new = path.with_name("new")
    with zipfile.ZipFile(new, "w", kind) as archive:
        archive.writestr(name, data)
    new.replace(path)


def test_a_zip_that_was_replaced_is_read_anew_once_it_is_listed_anew(tmp_path: Path) -> None:
    path = tmp_path / "crops.zip"
    for data in (b"one", b"two"):  # of one size
        write_zip(path, "1.png", data)
        (listed,) = expand_pictures([str(path)])
        assert listed.read() == data
    write_zip(path, "1.png", b"new")
    with pytest.raises(TryAgainError, match=r"crops\.zip: was replaced while it was read"):
        listed.read()
    path.unlink()
    with pytest.raises(TryAgainError, match=r"crops\.zip: was removed while it was read"):
        listed.read()


def test_a_picture_that_changes_while_it_is_read_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded())

    def read(*arguments: Any, **keywords: Any) -> bytes:
        data = read_small(*arguments, **keywords)
        path.write_bytes(encoded(picture=crop() // 2))
        return data

    monkeypatch.setattr(pictures, "read_small", read)
    with pytest.raises(TryAgainError, match=r"a\.png: was changed while it was read"):
        Picture("a.png", path).read()


def test_names_that_a_zip_calls_utf_8_and_that_are_not_refuse_it(tmp_path: Path) -> None:
    path = tmp_path / "crops.zip"
    write_zip(path, "\N{LATIN SMALL LETTER U WITH DIAERESIS}.png", encoded())
    path.write_bytes(path.read_bytes().replace(b"\xc3\xbc", b"\xfcx"))
    with pytest.raises(NoInputError, match=r"crops\.zip: can't be read as a ZIP: .*make it again"):
        expand_pictures([str(path)])


@pytest.mark.parametrize(
    "kind", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_a_member_that_is_damaged_is_refused_alone(kind: int, tmp_path: Path) -> None:
    path = tmp_path / "crops.zip"
    write_zip(path, "1.png", encoded(), kind)
    data = bytearray(path.read_bytes())
    data[60:90] = b"\xff" * 30
    path.write_bytes(data)
    (listed,) = expand_pictures([str(path)])
    with pytest.raises(PictureError, match="can't be read"):
        listed.read()


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_zip_with_a_name_twice_is_refused_for_only_one_could_be_read(tmp_path: Path) -> None:
    path = tmp_path / "crops.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("1.png", encoded())
        archive.writestr("1.png", encoded(picture=crop() // 2))
    with pytest.raises(UnusableInputError, match=r"twice: 1\.png"):
        expand_pictures([str(path)])


def test_the_detail_of_a_damaged_picture_is_the_same_in_every_run() -> None:
    assert "0x" not in refusal("a.tif", b"II*\0\x08\0\0\0" + b"\xff" * 40).detail
