"""Crops of digits for tests: drawn from scikit-learn's rows, large and smooth."""

import io
import zlib
from functools import cache

import numpy as np
from PIL import Image, ImageDraw


@cache
def rows_and_labels() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    return load_digits(return_X_y=True)


def crop(number: int = 0, side: int = 64, margin: int = 8) -> np.ndarray:
    """Digit `number` of load_digits as a picture, dark on white, uint8."""
    rows, _ = rows_and_labels()
    small = np.round(255 - rows[number].reshape(8, 8) * (255 / 16)).astype(np.uint8)
    large = Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC)
    ink = np.asarray(large) < 128
    return np.pad(np.where(ink, 0, 255).astype(np.uint8), margin, constant_values=255)


def label(number: int) -> int:
    return int(rows_and_labels()[1][number])


def boxed(
    picture: np.ndarray, *, sides: str = "top right bottom left", slant: int = 0
) -> np.ndarray:
    """The picture with lines of 2 pixels along its sides, 3 pixels from the edge."""
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    width, height = image.size
    ends = {
        "top": (0, 3, width, 3 + slant),
        "bottom": (0, height - 4, width, height - 4 - slant),
        "left": (3, 0, 3 + slant, height),
        "right": (width - 4, 0, width - 4 - slant, height),
    }
    for name in sides.split():
        draw.line(ends[name], 0, 2)
    return np.asarray(image)


def png_bomb(side: int) -> bytes:
    """A small PNG whose header promises `side` by `side` pixels."""
    buffer = io.BytesIO()
    Image.new("L", (9, 9)).save(buffer, "PNG")
    data = bytearray(buffer.getvalue())
    data[16:24] = side.to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    return bytes(data)
