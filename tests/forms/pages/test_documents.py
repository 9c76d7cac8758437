"""Documents page by page."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
from crops import png_bomb
from drawn_form import (
    DPI,
    HEIGHT,
    WIDTH,
    as_jpeg,
    as_pdf,
    draw_form,
    locked_pdf,
    pdf_without_pages,
    save,
)
from PIL import Image

from batchdigits.forms.pages.documents import count_pages, read_scan
from batchdigits.forms.pictures import Picture, PictureError

PAGES = [draw_form({"day": str(day)}) for day in (11, 22, 33)]


def document(path: Path) -> Picture:
    return Picture(str(path), path)


def scan(path: Path, number: int = 0) -> np.ndarray:
    return read_scan(document(path), number, DPI, WIDTH).page


def test_a_tiff_of_three_pages_gives_each_of_them(tmp_path: Path) -> None:
    path = tmp_path / "scan.tif"
    images = [Image.fromarray(page > 127) for page in PAGES]
    images[0].save(
        path, save_all=True, append_images=images[1:], compression="group4", dpi=(200, 200)
    )
    assert count_pages(document(path)) == 3
    for number in (2, 0, 1):
        found = read_scan(document(path), number, DPI, WIDTH)
        assert found.page.dtype == np.bool_
        assert found.dpi == 200
        np.testing.assert_array_equal(found.page, PAGES[number] > 127)


def test_a_phones_photo_with_a_preview_is_one_page(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    photo = Image.fromarray(PAGES[0])
    photo.save(path, "MPO", save_all=True, append_images=[photo.resize((160, 120))])
    assert count_pages(document(path)) == 1
    assert scan(path).shape == PAGES[0].shape


def test_a_png_is_one_page_however_many_frames_it_claims(tmp_path: Path) -> None:
    path = tmp_path / "animated.png"
    first, second = (Image.fromarray(page) for page in PAGES[:2])
    first.save(path, save_all=True, append_images=[second])
    data = bytearray(path.read_bytes())
    control = data.index(b"acTL")
    data[control + 4 : control + 8] = (2_000_000_000).to_bytes(4, "big")
    checksum = zlib.crc32(data[control : control + 12])
    data[control + 12 : control + 16] = checksum.to_bytes(4, "big")
    path.write_bytes(data)
    assert count_pages(document(path)) == 1
    np.testing.assert_array_equal(scan(path), PAGES[0])


def test_a_pdf_is_drawn_at_the_resolution_of_the_form(tmp_path: Path) -> None:
    pytest.importorskip("pypdfium2", reason="the extra forms is not installed")
    path = as_pdf(PAGES, tmp_path / "scan.pdf")
    assert count_pages(document(path)) == 3
    found = scan(path, 1)
    assert found.shape == (HEIGHT, WIDTH)
    assert np.abs(found.astype(int) - PAGES[1]).mean() < 4


def test_an_encrypted_pdf_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("pypdfium2", reason="the extra forms is not installed")
    path = tmp_path / "locked.pdf"
    path.write_bytes(locked_pdf(b"secret"))
    assert refused(path) == "encrypted"


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", PAGES[0])
    scan(path)
    save(path, PAGES[1][:-1])
    assert scan(path).shape == (HEIGHT - 1, WIDTH)


def test_a_scan_of_twice_the_resolution_is_made_smaller(tmp_path: Path) -> None:
    large = np.kron(PAGES[0], np.ones((2, 2), np.uint8))
    path = save(tmp_path / "large.png", large, 2 * DPI)
    found = read_scan(document(path), 0, DPI, WIDTH)
    assert found.page.shape == (HEIGHT, WIDTH)
    assert found.dpi is not None
    assert round(found.dpi) == DPI


def read_all(path: Path) -> None:
    for number in range(count_pages(document(path))):
        scan(path, number)


def refused(path: Path) -> str:
    with pytest.raises(PictureError) as caught:
        read_all(path)
    assert caught.value.detail
    return caught.value.reason


def test_files_that_are_no_pages_have_their_reasons(tmp_path: Path) -> None:
    def write(name: str, data: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(data)
        return path

    tiff = tmp_path / "whole.tif"
    Image.fromarray(PAGES[0] > 127).save(tiff, compression="group4")
    assert refused(write("jpeg.png", as_jpeg(PAGES[0], 80))) == "wrong-name"
    assert refused(write("pdf.png", b"%PDF-1.4\n")) == "wrong-name"
    assert refused(write("text.tif", b"hello")) == "not-a-picture"
    assert refused(write("empty.png", b"")) == "not-a-picture"
    assert refused(write("cut.tif", tiff.read_bytes()[: -len(tiff.read_bytes()) // 2])) == "damaged"
    assert refused(write("bomb.png", png_bomb(30_000))) == "too-large"
    assert refused(tmp_path / "none.png") == "unreadable"


def test_a_damaged_pdf_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("pypdfium2", reason="the extra forms is not installed")
    path = tmp_path / "a.pdf"
    path.write_bytes(b"%PDF-1.4\n1 0 obj\n<<")
    assert refused(path) == "damaged"


def test_a_pdf_without_a_page_has_a_reason_of_its_own(tmp_path: Path) -> None:
    pytest.importorskip("pypdfium2", reason="the extra forms is not installed")
    """Also after a PDF with another error, which PDFium remembers."""
    path = tmp_path / "a.pdf"
    for data, reason in ((b"%PDF-1.4\n", "damaged"), (locked_pdf(b"secret"), "encrypted")):
        path.write_bytes(data)
        assert refused(path) == reason
        path.write_bytes(pdf_without_pages())
        assert refused(path) == "no-pages"


def test_pdf_is_among_what_is_expected_of_a_page(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(b"")
    with pytest.raises(PictureError, match="is empty; expected PNG, JPEG, TIFF, BMP, PDF"):
        count_pages(document(path))
