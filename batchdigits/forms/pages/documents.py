"""Documents: PDFs and pictures, those of several pages too, page by page as brightness."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.errors import missing_extra
from batchdigits.files.streams import Snapshot
from batchdigits.forms.grey import grey_of
from batchdigits.forms.pictures import (
    MOST_PIXELS,
    SUFFIXES,
    Picture,
    PictureError,
    check_name,
    format_of,
    opened,
    refusing_damage,
)

if TYPE_CHECKING:
    from PIL.Image import Image

PDF = ".pdf"

PAGE_SUFFIXES = (*sum(SUFFIXES.values(), ()), PDF)
"""The suffixes of the files that `forms read` takes from folders and ZIPs."""

_EXPECTED = ", ".join((*SUFFIXES, "PDF"))
_FINE = 1.7  # times the blank form's pixels along a side, from which on a page is made smaller
_PLAUSIBLE_DPI = (50, 1200)


@dataclass(frozen=True, slots=True)
class Scan:
    """A page as it was scanned.

    page  brightness, bool or uint8 (height, width): False or 0 is black
    dpi   its pixels to an inch, None if the file does not tell
    """

    page: NDArray[np.bool_] | NDArray[np.uint8]
    dpi: float | None


def count_pages(document: Picture) -> int:
    """Return the number of pages. Raises PictureError for a document that can't be used."""
    data = document_bytes(document)
    if format_of(data) == "PDF":
        with _pdf(document.name, data) as pdf:
            return len(pdf)
    with opened(data, check_name(document.name, data, _EXPECTED)) as image:
        # A phone's JPEG has a preview as its second, and a PNG the frames that it claims.
        return int(getattr(image, "n_frames", 1)) if image.format == "TIFF" else 1


def read_scan(document: Picture, number: int, dpi: int, longest: int | None = None) -> Scan:
    """Return a page, by its number from 0. Raises PictureError.

    dpi      pixels to an inch that a page of a PDF is drawn with
    longest  pixels of the blank form's longer side: a page is brought near to it
    """
    data = document_bytes(document)
    if format_of(data) == "PDF":
        with _pdf(document.name, data) as pdf:
            return _drawn(pdf, number, dpi, longest)
    with opened(data, check_name(document.name, data, _EXPECTED)) as image:
        if number:
            image.seek(number)
        if image.width * image.height > MOST_PIXELS:
            raise PictureError(
                "too-large", f"has {image.width}x{image.height} pixels; make it smaller"
            )
        return _scan(image, longest)


def _scan(image: Image, longest: int | None) -> Scan:
    from PIL import ImageOps

    given = image.info.get("dpi", (None,))[0]
    dpi = float(given) if given and _PLAUSIBLE_DPI[0] <= given <= _PLAUSIBLE_DPI[1] else None
    times = 1 if longest is None else int(max(image.size) / (_FINE / 2 * longest))
    if image.mode == "1" and times < 2:
        return Scan(np.asarray(ImageOps.exif_transpose(image)), dpi)
    if times >= 2:
        grey = image.convert("L") if image.mode in ("1", "L", "RGB", "P", "CMYK") else image
        if grey.mode == "L":
            image = grey.reduce(times)
            dpi = dpi and dpi / times
    return Scan(grey_of(image), dpi)


@lru_cache(maxsize=1)
def _kept(document: Picture, _snapshot: Snapshot) -> bytes:
    return document.read()


def document_bytes(document: Picture) -> bytes:
    """Return the document's bytes, kept for its next page as long as the file stays the same."""
    return _kept(document, document.snapshot())


@contextmanager
def _pdf(name: str, data: bytes) -> Iterator[Any]:
    """Open a PDF. Raises PictureError for one that is encrypted, damaged or has no page."""
    suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122  # a member's name is no path
    if suffix in sum(SUFFIXES.values(), ()):
        raise PictureError("wrong-name", f"is PDF by its content, not {suffix}; rename it to .pdf")
    module = pdfium()
    try:
        pdf = module.PdfDocument(data)
    except module.PdfiumError as error:
        if _is_whole(data):
            raise PictureError("no-pages", "has no page; leave it out") from error
        if "password" in str(error).lower():
            raise PictureError("encrypted", "needs a password; save it without one") from error
        raise PictureError("damaged", f"can't be opened ({error}); fetch it again") from error
    try:
        yield pdf
    finally:
        pdf.close()


def _is_whole(data: bytes) -> bool:
    """Return whether PDFium itself opens a PDF that pypdfium2 refuses: one without a page.

    The error that pypdfium2 then tells is that of the PDF before.
    """
    raw = pdfium().raw
    handle = raw.FPDF_LoadMemDocument64(data, len(data), None)
    if handle:
        raw.FPDF_CloseDocument(handle)
    return bool(handle)


def _drawn(pdf: Any, number: int, dpi: int, longest: int | None) -> Scan:
    """Draw a page of a PDF in grey, at `dpi` unless that gives far more or fewer pixels."""
    with refusing_damage():
        page = pdf[number]
        width, height = page.get_size()
        scale = dpi / 72
        if longest is not None and not 0.8 <= max(width, height) * scale / longest <= _FINE:
            scale = 1.2 * longest / max(width, height)
        if width * height * scale**2 > MOST_PIXELS:
            raise PictureError("too-large", f"is {width:.0f}x{height:.0f} points; make it smaller")
        bitmap = page.render(scale=scale, grayscale=True)
        array = np.array(bitmap.to_numpy(), copy=True)
        bitmap.close()
        page.close()
    return Scan(array.reshape(array.shape[:2]), scale * 72)


def pdfium() -> Any:
    """Return the module pypdfium2. Raises MissingExtraError where it is not installed."""
    try:
        import pypdfium2
    except ImportError as error:
        raise missing_extra("PDFs need pypdfium2, which is not installed", "forms") from error
    return pypdfium2
