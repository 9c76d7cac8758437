"""A crop of one character: its picture in grey, the ink that is the character, and its row.

Blank crops and dust are judged before normalising, which stretches any speck to a character.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from batchdigits.bitmaps.recipe import Ink
from batchdigits.forms.box_lines import without_box_lines
from batchdigits.forms.cell import Grey, binarise, normalise
from batchdigits.forms.components import label_pieces
from batchdigits.forms.pictures import PictureError, pillow

LEAST_SIDE = 6
"""Pixels that a crop's picture must be wide and high."""

MOST_SIDE = 512
"""Pixels of the longer side of a crop's picture; a larger crop is made smaller."""

_SHARP_SIDE = 64  # pixels of a crop's longer side with which its strokes are smooth enough
_ENLARGED = 4
_DARK_GROUND = 0.55  # of a crop, its edges and its corners: more dark is ground
_MOST_INK = 0.9  # of the crop
_LEAST_EXTENT = 0.12  # of the crop's longer side; a piece that is less wide and high is dust
_LEAST_PIECE = 0.04  # of the largest piece of ink; what has less is dust beside it


@dataclass(frozen=True, slots=True)
class Crop:
    """A crop after judging.

    picture  the crop in grey, uint8 (height, width), at most 512 pixels wide and high
    size     its width and height before
    ink      how many pixels of `picture` are the character's ink, 0 if there is none
    pixels   the row, uint8 (64,), zeros if there is no character
    """

    picture: Grey
    size: tuple[int, int]
    ink: int
    pixels: NDArray[np.uint8]

    @property
    def blank(self) -> bool:
        return self.ink == 0


def read_crop(picture: Grey, *, light_ink: bool | None = None) -> Crop:
    """Find the character in a crop, without box lines and dust, and make its row.

    picture    uint8 (height, width), 0 black to 255 white
    light_ink  whether the ink is lighter than its ground; None decides it for each crop

    Raises PictureError for a crop that is too small, or all ink.
    """
    height, width = picture.shape
    picture = _reduced(picture)
    if min(picture.shape) < LEAST_SIDE:  # of 6x4000 pixels one column is left
        raise PictureError(
            "too-small", f"is {width}x{height} pixels; cut it larger, with its paper"
        )
    light = _is_light(picture) if light_ink is None else light_ink
    sharp = _enlarged(255 - picture if light else picture)
    ink = binarise(sharp)
    if ink.mean() > _MOST_INK or (not ink.any() and sharp.mean() < 64):
        raise PictureError("all-ink", "is nearly all ink; cut it with some paper around it")
    ink = without_dust(without_box_lines(ink, len(sharp) // len(picture)))
    area = sharp.size / picture.size
    count = int(np.ceil(np.count_nonzero(ink) / area))
    return Crop(picture, (width, height), count, normalise(ink))


def without_dust(ink: Ink) -> Ink:
    """Return the ink of a character without specks; none at all if nothing is large enough."""
    labels, count = label_pieces(ink)
    if not count:
        return ink
    sizes = np.bincount(labels.reshape(-1), minlength=count + 1)
    sizes[0] = 0
    rows, columns = np.nonzero(labels == sizes.argmax())
    if max(np.ptp(rows), np.ptp(columns)) + 1 < _LEAST_EXTENT * max(ink.shape):
        return np.zeros_like(ink)
    kept = sizes >= _LEAST_PIECE * sizes.max()
    result: Ink = kept[labels] & ink
    return result


def _is_light(picture: Grey) -> bool:
    """Tell whether the ink is lighter than its ground, which is most of the crop and of its edges.

    A crop without any margin may show neither: in doubt the ink is dark.
    """
    low, high = int(picture.min()), int(picture.max())
    dark = picture < (low + high) / 2
    side = max(1, min(dark.shape) // 6)
    corners = [dark[rows, columns] for rows in _ends(side) for columns in _ends(side)]
    # A printed box lies in one of the rings at most.
    rings = [_ring(dark, round(min(dark.shape) * depth)) for depth in (0, 0.08, 0.16)]
    shares = dark.mean(), np.median(rings), np.mean([corner.mean() for corner in corners])
    return bool(np.mean(shares) > _DARK_GROUND)


def _ends(side: int) -> tuple[slice, slice]:
    return slice(None, side), slice(-side, None)


def _ring(dark: Ink, depth: int) -> float:
    """Return the dark share of the pixels that are `depth` from the nearest edge."""
    height, width = dark.shape
    inner = dark[depth : height - depth, depth : width - depth]
    return float(np.concatenate([*inner[[0, -1]], *inner[1:-1, [0, -1]].T]).mean())


def _reduced(picture: Grey) -> Grey:
    longest = max(picture.shape)
    if longest <= MOST_SIDE:
        return picture
    image = pillow().fromarray(picture)
    image.thumbnail((MOST_SIDE, MOST_SIDE))
    return np.asarray(image)


def _enlarged(picture: Grey) -> Grey:
    """Return a small picture four times as wide and high, for smooth edges after stretching."""
    height, width = picture.shape
    if max(height, width) >= _SHARP_SIDE:
        return picture
    module = pillow()
    size = (_ENLARGED * width, _ENLARGED * height)
    return np.asarray(module.fromarray(picture).resize(size, module.Resampling.BICUBIC))
