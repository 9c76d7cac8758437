"""Crops: which ink is the character, and what is judged before it is normalised."""

import numpy as np
import pytest
from crops import boxed, crop, label, rows_and_labels
from PIL import Image

import batchdigits
from batchdigits.forms.crop import MOST_SIDE, read_crop
from batchdigits.forms.pictures import PictureError

RNG = np.random.default_rng(5)
NUMBERS = range(0, 300, 6)


def shaded(picture: np.ndarray, noise: float = 5) -> np.ndarray:
    """The picture in pale ink on grey paper with a shadow over it."""
    height, width = picture.shape
    down, right = np.mgrid[0:height, 0:width]
    paper = 150 + 0.6 * right + 0.4 * down
    grey = paper * np.where(picture < 128, 0.5, 1) + RNG.normal(0, noise, picture.shape)
    return grey.clip(0, 255).astype(np.uint8)


def resized(picture: np.ndarray, side: int) -> np.ndarray:
    return np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.BOX))


CHANGES = {
    "as it is": lambda p: p,
    "light on dark": lambda p: 255 - p,
    "in a box": boxed,
    "light in a box": lambda p: 255 - boxed(p),
    "shaded": shaded,
    "light and shaded": lambda p: 255 - shaded(p),
    "28 pixels": lambda p: resized(p, 28),
    "20 pixels": lambda p: resized(p, 20),
    "700 pixels": lambda p: resized(p, 700),
    "with dust": lambda p: np.where(RNG.random(p.shape) < 0.002, np.uint8(0), p),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_digit_is_read_however_its_crop_was_made(change: str) -> None:
    """The packaged bundle reads 49 of 50 digits that are redrawn from its own training rows."""
    crops = [read_crop(CHANGES[change](crop(number))) for number in NUMBERS]
    assert not any(made.blank for made in crops)
    rows = np.array([made.pixels for made in crops])
    predicted = batchdigits.open_bundle().predict(rows)["prediction"].to_pylist()
    right = sum(p == label(number) for p, number in zip(predicted, NUMBERS, strict=True))
    assert right >= 49


BLANK = {
    "white": np.full((40, 30), 255, np.uint8),
    "grey": np.full((40, 30), 120, np.uint8),
    "an empty box": boxed(np.full((60, 50), 255, np.uint8)),
    "shaded paper": shaded(np.full((60, 50), 255, np.uint8)),
    "a speck": np.pad(np.zeros((3, 3), np.uint8), 20, constant_values=255),
    "specks": np.where(np.random.default_rng(1).random((60, 60)) < 0.01, 0, 255).astype(np.uint8),
}


@pytest.mark.parametrize("picture", BLANK.values(), ids=BLANK)
def test_a_blank_crop_and_dust_give_zeros(picture: np.ndarray) -> None:
    made = read_crop(picture)
    assert (made.blank, made.ink, int(made.pixels.sum())) == (True, 0, 0)


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (np.full((5, 40), 255, np.uint8), "too-small"),
        (np.full((40, 1), 0, np.uint8), "too-small"),
        (
            np.pad(np.zeros((3500, 2), np.uint8), ((10, 490), (2, 2)), constant_values=255),
            "too-small",
        ),
        (np.zeros((40, 30), np.uint8), "all-ink"),
        (np.pad(np.zeros((60, 60), np.uint8), 1, constant_values=255), "all-ink"),
    ],
)
def test_a_crop_that_is_too_small_or_all_ink_is_refused(picture: np.ndarray, reason: str) -> None:
    with pytest.raises(PictureError) as caught:
        read_crop(picture, light_ink=False)
    assert caught.value.reason == reason


def test_what_ink_is_can_be_told() -> None:
    """A crop cut tightly around a thick bar shows more ink than paper."""
    bar = np.full((40, 14), 255, np.uint8)
    bar[:, 1:13] = 0
    bar[0, :4] = 255
    dark = read_crop(bar, light_ink=False)
    light = read_crop(255 - bar, light_ink=True)
    assert dark.ink == light.ink > 400
    assert (dark.pixels == light.pixels).all()


def test_a_large_crop_is_kept_smaller_and_says_its_size() -> None:
    made = read_crop(np.kron(crop(), np.ones((20, 30), np.uint8)))
    assert made.size == (2400, 1600)
    assert made.picture.shape == (round(MOST_SIDE * 1600 / 2400), MOST_SIDE)


def test_ink_counts_the_pixels_of_the_crop() -> None:
    """Also where the crop was enlarged to be read."""
    for side in (28, 60, 200):
        picture = resized(crop(), side)
        made = read_crop(picture)
        assert made.ink == pytest.approx((picture < 128).sum(), rel=0.15)


def test_labels_of_the_digits_are_those_of_the_data() -> None:
    assert [label(number) for number in (0, 1, 2)] == rows_and_labels()[1][:3].tolist()
