"""Crops in memory: the functions that `import batchdigits` offers."""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from crops import crop, label
from paths import DIGITS_2_BUNDLE
from PIL import Image

import batchdigits
from batchdigits.errors import UnusableInputError, UsageError
from batchdigits.forms.columns import CELLS

DIGIT = crop(7)
INK = DIGIT < 128
ROW = batchdigits.normalise(DIGIT)


@pytest.mark.parametrize(
    "image",
    [
        INK,
        255 - DIGIT,
        DIGIT.astype(np.int64),
        DIGIT / 255,
        DIGIT.astype(np.float32),
        DIGIT.astype(np.uint16) * 257,
        INK.astype(np.uint8),
        INK.astype(np.int32),
        DIGIT[:, :, np.newaxis],
        np.stack([DIGIT] * 3, axis=2),
        np.stack([DIGIT * 0] * 3 + [255 - DIGIT], axis=2),
        DIGIT.tolist(),
        Image.fromarray(DIGIT),
        Image.fromarray(DIGIT).convert("P"),
    ],
)
def test_arrays_of_any_kind_give_the_same_row(image: object) -> None:
    assert (batchdigits.normalise(image) == ROW).all()


def test_a_row_is_64_counts_and_zeros_for_a_blank() -> None:
    assert (ROW.shape, ROW.dtype, ROW.max()) == ((64,), np.uint8, 16)
    assert not batchdigits.normalise(np.ones((30, 20))).any()


def test_rows_from_images_go_straight_into_predict() -> None:
    numbers = range(20)
    rows = batchdigits.rows_from_images([crop(number) for number in numbers] + [np.ones((9, 9))])
    assert rows.schema.names == [name for name in CELLS.names if name != "file"]
    assert rows["blank"].to_pylist() == [False] * 20 + [True]
    predictions = batchdigits.open_bundle(DIGITS_2_BUNDLE).predict(rows.slice(0, 20))
    assert predictions["prediction"].to_pylist() == [label(number) for number in numbers]
    picture = Image.open(io.BytesIO(rows["image"][7].as_py()))
    assert (np.asarray(picture.convert("L")) == DIGIT).all()


def test_no_images_give_no_rows() -> None:
    assert batchdigits.rows_from_images([]).num_rows == 0
    assert batchdigits.rows_from_images([]).schema.field("pixels").type == pa.list_(pa.uint8(), 64)


def test_images_that_cannot_be_used_are_named_together() -> None:
    images = [DIGIT, np.zeros((40, 30)), np.ones((3, 3)), DIGIT]
    message = r"2 images can't be made a row: images\[1\] is nearly all ink.*images\[2\] is 3x3"
    with pytest.raises(UnusableInputError, match=message):
        batchdigits.rows_from_images(images)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros(64),
        np.zeros((0, 9)),
        np.zeros((2, 9, 9)),
        np.full((9, 9), -1.0),
        np.full((9, 9), np.nan),
        np.full((9, 9), 300),
        np.full((9, 9), 300.0),
        np.full((9, 9), "x"),
        np.full((9, 9), 1j),
        None,
        [[0, 1], [0]],
    ],
)
def test_what_is_no_image_is_a_usage_error_that_names_it(image: object) -> None:
    with pytest.raises(UsageError, match=r"images\[1\]: "):
        batchdigits.rows_from_images([DIGIT, image])


def test_a_truncated_picture_is_named() -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 90), np.uint8)).save(
        buffer, "PNG"
    )
    image = Image.open(io.BytesIO(buffer.getvalue()[:4000]))
    with pytest.raises(UnusableInputError, match=r"images\[1\] can't be decoded \(.*trunc"):
        batchdigits.rows_from_images([DIGIT, image])


@pytest.mark.parametrize("image", ["a.png", Path("a.png")])
def test_a_path_is_told_how_to_open_it(image: object) -> None:
    with pytest.raises(UsageError, match=r"images\[0\]: .*a\.png.*PIL\.Image\.open"):
        batchdigits.rows_from_images([image])
    with pytest.raises(UsageError, match=r"image: .*a\.png.*PIL\.Image\.open"):
        batchdigits.normalise(image)
