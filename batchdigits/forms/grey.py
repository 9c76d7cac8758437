"""A decoded picture of any mode as one of 256 levels of grey, upright, on white."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from batchdigits.forms.cell import Grey

if TYPE_CHECKING:
    from PIL.Image import Image

_DEEP = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")
# Pixels that are computed with at once: floats of a whole scan would take gigabytes.
_BAND = 1 << 20


def grey_of(image: Image) -> Grey:
    """Return a picture as uint8 (height, width), 0 black to 255 white, turned as its EXIF says.

    More than 8 bits are scaled from the picture's own lowest and highest finite value. What is
    transparent or not a number becomes white; a light picture that would vanish there is laid on
    black.
    """
    from PIL import ExifTags, ImageOps

    image.load()  # a PNG may have its EXIF at the end
    if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:  # else it would be a copy
        image = ImageOps.exif_transpose(image)
    if image.mode in _DEEP:
        return _scaled(image)
    if image.mode == "LAB":
        image = image.getchannel(0)  # lightness
    if image.has_transparency_data:
        return _flattened(image)
    grey: Grey = np.asarray(image.convert("L"))
    return grey


def _bands(image: Image) -> Iterator[Image]:
    """Yield the picture from top to bottom, some rows at a time."""
    rows = max(1, _BAND // image.width)
    for top in range(0, image.height, rows):
        yield image.crop((0, top, image.width, min(top + rows, image.height)))


def _scaled(image: Image) -> Grey:
    low, high = np.inf, -np.inf
    for band in _bands(image):
        values = np.asarray(band, np.float64)
        finite = values[np.isfinite(values)]
        low, high = finite.min(initial=low), finite.max(initial=high)
    if high <= low:
        return np.full((image.height, image.width), 255, np.uint8)
    return np.concatenate(
        [_between(low, high, np.asarray(band, np.float64)) for band in _bands(image)]
    )


def _between(low: float, high: float, values: NDArray[np.float64]) -> Grey:
    values = np.nan_to_num(values, nan=high, posinf=high, neginf=low)
    grey: Grey = np.round((values - low) * (255 / (high - low))).astype(np.uint8)
    return grey


def _flattened(image: Image) -> Grey:
    bands = [np.asarray(band.convert("RGBA").convert("LA")) for band in _bands(image)]
    levels = [end for band in bands for end in _ends(_laid(band, 255))]
    alphas = [end for band in bands for end in _ends(band[..., 1])]
    ground = 0 if np.ptp(levels) < 32 <= np.ptp(alphas) else 255
    return np.concatenate([np.round(_laid(band, ground)).astype(np.uint8) for band in bands])


def _laid(band: NDArray[np.uint8], ground: int) -> NDArray[np.float32]:
    """Return levels and alphas, uint8 (rows, width, 2), as grey on a ground of one level."""
    level, part = np.moveaxis(band.astype(np.float32), -1, 0)
    part = part / 255
    laid: NDArray[np.float32] = level * part + ground * (1 - part)
    return laid


def _ends(values: NDArray[Any]) -> tuple[Any, Any]:
    return values.min(), values.max()
