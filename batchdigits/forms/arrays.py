"""Crops in memory: arrays of any real dtype and Pillow's images, as crops and as rows."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from batchdigits.errors import UnusableInputError, UsageError
from batchdigits.forms.cell import Grey
from batchdigits.forms.columns import CELLS, FILE
from batchdigits.forms.crop import Crop, read_crop
from batchdigits.forms.grey import grey_of
from batchdigits.forms.pictures import PictureError, pillow, refusing_damage
from batchdigits.images import PIXELS
from batchdigits.text import count_of, listing, one_line

_MODES = {3: "RGB", 4: "RGBA"}


def crop_of(image: Any, where: str = "image") -> Crop:
    """Read a crop from an array (height, width), (height, width, 3 or 4) or a Pillow image.

    Of a bool array True is ink. Others are brightness: floats 0..1 or 0..255, integers from 0 to
    255, to 1, or to the largest of their type; the ink may be the darker part or the lighter.
    Raises UsageError for anything else, naming it as `where`, PictureError for a crop that can't
    be used.
    """
    if isinstance(image, (str, os.PathLike)):
        raise UsageError(
            f"{where}: got the text or path {str(image)!r}, expected an array or a Pillow image; "
            "open the file with PIL.Image.open"
        )
    if hasattr(image, "getbands"):
        with refusing_damage():  # Pillow decodes a file only now
            grey = grey_of(image)
        return read_crop(grey)
    try:
        array = np.asarray(image)
    except (ValueError, TypeError) as error:
        raise UsageError(
            f"{where}: can't be made an array: {one_line(str(error))}; give rows of one length"
        ) from error
    if array.dtype == np.bool_ and array.ndim == 2:
        return read_crop(np.where(array, np.uint8(0), np.uint8(255)), light_ink=False)
    channels = array.shape[2:]
    if array.ndim not in (2, 3) or channels not in ((), (1,), (3,), (4,)) or not array.size:
        raise UsageError(
            f"{where}: got an array of shape {array.shape}, expected (height, width), or with 3 or "
            "4 channels as a third axis"
        )
    levels = _levels(array, where)
    if channels in ((3,), (4,)):
        return read_crop(grey_of(pillow().fromarray(levels, _MODES[channels[0]])))
    return read_crop(levels.reshape(array.shape[:2]))


def rows_of(images: Iterable[Any]) -> pa.Table:
    """Make rows of crops in memory: the columns of `forms cells`, without `file`.

    Raises UsageError or UnusableInputError if any of them can't be used, naming the first 20.
    """
    crops, problems = [], []
    for number, image in enumerate(images):
        try:
            crops.append(crop_of(image, f"images[{number}]"))
        except PictureError as error:
            problems.append(f"images[{number}] {error.detail}")
    if problems:
        raise UnusableInputError(
            f"{count_of(len(problems), 'image')} can't be made a row: {listing(problems)}; leave "
            "them out"
        )
    return pa.Table.from_batches([crops_batch(crops)])


def crops_batch(crops: Sequence[Crop]) -> pa.RecordBatch:
    """Return crops as rows with the columns CELLS, but for `file`."""
    pixels = np.array([crop.pixels for crop in crops], np.uint8).reshape(-1)
    columns = [
        pa.FixedSizeListArray.from_arrays(pa.array(pixels, pa.uint8()), PIXELS),
        pa.array([png_of(crop.picture) for crop in crops], pa.binary()),
        pa.array([crop.size[0] for crop in crops], pa.int32()),
        pa.array([crop.size[1] for crop in crops], pa.int32()),
        pa.array([crop.ink for crop in crops], pa.int32()),
        pa.array([crop.blank for crop in crops], pa.bool_()),
    ]
    schema = pa.schema([field for field in CELLS if field != FILE])
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def png_of(picture: Grey) -> bytes:
    """Return a picture as a PNG, of one bit where it has only black and white."""
    image = pillow().fromarray(picture)
    if not ((picture != 0) & (picture != 255)).any():
        image = image.convert("1")
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _levels(array: NDArray[Any], where: str) -> Grey:
    """Return brightness as 0..255."""
    if array.dtype.kind not in "buif":
        raise UsageError(f"{where}: got an array of dtype {array.dtype}, expected numbers")
    values = array.astype(np.float64)
    if not np.isfinite(values).all() or values.min() < 0:
        raise UsageError(f"{where}: holds a value that is negative or not finite")
    most = values.max()
    scale = 1.0 if most <= 1 else 255.0
    if most > 255 and array.dtype.kind == "u":
        scale = float(np.iinfo(array.dtype).max)
    if most > scale:
        raise UsageError(
            f"{where}: holds {most:g}, expected brightness in 0..1 or 0..255; scale it"
        )
    return np.round(values * (255 / scale)).astype(np.uint8)
