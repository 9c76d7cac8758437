"""Pictures of any mode as grey."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from crops import crop
from PIL import Image

from batchdigits.forms import grey as module
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


@pytest.mark.parametrize("mode", ["I;16", "F", "RGBA", "L"])
@pytest.mark.parametrize("level", [100, 255])
def test_a_large_picture_is_computed_in_bands_as_a_small_one_is(
    mode: str, level: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its ink, in one band, decides for the others. Floats of all of it would take gigabytes."""
    values = np.linspace(0, level, 41 * 30).reshape(41, 30)
    if mode == "RGBA":
        pixels = np.full((41, 30, 4), level, np.uint8)
        pixels[..., 3] = values
        image = Image.fromarray(pixels)
    else:
        image = Image.fromarray(
            values.astype({"I;16": np.uint16, "F": np.float32}.get(mode, np.uint8))
        )
    assert image.mode == mode
    whole = grey_of(image)
    assert np.ptp(whole) > 60
    sizes = []
    monkeypatch.setattr(module, "_BAND", 100)
    for name in ("_between", "_laid"):
        original = getattr(module, name)

        def noted(*arguments: Any, original: Callable[..., Any] = original) -> Any:
            result = original(*arguments)
            sizes.append(result.size)
            return result

        monkeypatch.setattr(module, name, noted)
    np.testing.assert_array_equal(grey_of(image), whole)
    assert max(sizes, default=0) <= 100


@pytest.mark.parametrize("odd", [np.inf, -np.inf, np.nan])
def test_a_value_that_is_not_finite_leaves_the_others_as_they_are(odd: float) -> None:
    values = np.where(INK, 0.1, 0.9).astype(np.float32)
    values[0, :2] = odd
    grey = grey_of(Image.fromarray(values))
    assert (grey[0, :2] == (0 if odd == -np.inf else 255)).all()
    np.testing.assert_array_equal(grey[1:], np.where(INK, 0, 255)[1:])
    assert (grey_of(Image.fromarray(np.full((9, 9), odd, np.float32))) == 255).all()


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
