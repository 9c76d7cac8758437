"""Pictures of any mode as grey."""

import numpy as np
import pytest
from crops import crop
from PIL import Image

from batchdigits.forms.grey import grey_of

INK = crop(3) < 128


def as_mode(mode: str) -> Image.Image:
    """The digit, black on white, in a mode of Pillow."""
    grey = Image.fromarray(np.where(INK, 0, 255).astype(np.uint8))
    if mode == "I;16":
        return Image.fromarray(np.where(INK, 40, 4000).astype(np.uint16))
    if mode == "F":
        return Image.fromarray(np.where(INK, 0.1, 0.9).astype(np.float32))
    if mode == "I":
        return Image.fromarray(np.where(INK, 0, 70_000).astype(np.int32))
    return grey.convert(mode)


@pytest.mark.parametrize(
    "mode", ["1", "L", "P", "LA", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I", "I;16", "F"]
)
def test_every_mode_gives_the_same_grey(mode: str) -> None:
    if mode == "PA":
        image = as_mode("LA").convert("PA")
    elif mode == "LAB":
        lightness = Image.fromarray(np.where(INK, 0, 255).astype(np.uint8))
        image = Image.merge("LAB", (lightness, *[Image.new("L", lightness.size, 128)] * 2))
    else:
        image = as_mode(mode)
    assert image.mode == mode
    grey = grey_of(image)
    assert grey.dtype == np.uint8
    assert ((grey < 128) == INK).all()


@pytest.mark.parametrize("level", [0, 255])
def test_ink_on_transparency_is_ink_whether_it_is_black_or_white(level: int) -> None:
    pixels = np.full((*INK.shape, 4), level, np.uint8)
    pixels[..., 3] = np.where(INK, 255, 0)
    grey = grey_of(Image.fromarray(pixels, "RGBA"))
    assert ((grey < 128) == (INK if level == 0 else ~INK)).all()


def test_a_transparent_colour_of_a_palette_is_paper() -> None:
    image = Image.fromarray(INK.astype(np.uint8), "P")
    image.putpalette([0, 0, 0, 0, 0, 0])
    image.info["transparency"] = 0
    assert ((grey_of(image) < 128) == INK).all()


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (3, 2), (6, 1), (8, 3)])
def test_a_picture_is_turned_as_its_exif_says(orientation: int, turns: int) -> None:
    image = Image.fromarray(np.rot90(np.where(INK, 0, 255).astype(np.uint8), turns))
    image.getexif()[0x0112] = orientation
    assert ((grey_of(image) < 128) == INK).all()
