"""A decoded picture of any mode as one of 256 levels of grey, upright, on white."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from batchdigits.forms.cell import Grey

if TYPE_CHECKING:
    from PIL.Image import Image

_DEEP = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")


def grey_of(image: Image) -> Grey:
    """Return a picture as uint8 (height, width), 0 black to 255 white, turned as its EXIF says.

    More than 8 bits are scaled from the picture's own lowest and highest value. What is transparent
    becomes white; a light picture that would vanish there is laid on black.
    """
    from PIL import ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode in _DEEP:
        return _scaled(np.asarray(image, np.float64))
    if image.mode == "LAB":
        image = image.getchannel(0)  # lightness
    if image.has_transparency_data:
        return _flattened(image)
    grey: Grey = np.asarray(image.convert("L"))
    return grey


def _scaled(values: NDArray[np.float64]) -> Grey:
    values = np.nan_to_num(values)
    low, high = values.min(), values.max()
    if high == low:
        return np.full(values.shape, 255, np.uint8)
    grey: Grey = np.round((values - low) * (255 / (high - low))).astype(np.uint8)
    return grey


def _flattened(image: Image) -> Grey:
    grey = np.asarray(image.convert("RGBA").convert("LA"), np.float32)
    level, part = grey[..., 0], grey[..., 1] / 255
    on_white = level * part + 255 * (1 - part)
    if np.ptp(on_white) < 32 <= np.ptp(part * 255):
        return np.round(level * part).astype(np.uint8)
    return np.round(on_white).astype(np.uint8)
