"""The looks that drawings have if something went wrong on their way: turned, shifted, inverted."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from batchdigits.images import DARKEST, PIXELS, SIDE

TURNED_SHARE = 0.15
"""The largest share of upright digits, of any writer and of any single class, that may seem to be
turned, mirrored, inverted or sorted. Measured: up to 0.14; of turned digits 0.57 to 1.00."""

SHIFTED_SHARE = 0.25
SIDEWAYS_SHARE = 0.3
"""The same for a shift of one pixel. Measured for cells that are cut half a pixel off, up or down:
0.06, for a single class 0.26; to a side: 0.19 and 0.38. For cells that are a whole pixel off: 0.49
to 0.67, to a side 0.83."""

Images = NDArray[Any]

_ROW_BY_ROW = (
    "write the pixels row by row from the top left, or name the columns in that order with --pixels"
)
_OTHER_COLUMN = (
    "check whether another column, such as a label, is taken for a pixel, and name the pixel "
    "columns with --pixels"
)
_CUT = "check how the cells were cut out"
_INK = "write 16 for ink and 0 for paper"


class Look(NamedTuple):
    """A look of images (n, 8, 8).

    corrected     the function that makes upright images of them
    share         the largest share of upright digits that may seem to have this look
    closer        a row has the look if its corrected image is usual, and closer to a usual digit by
                  this factor
    much_closer   the factor for rows that are usual as they are, too
    """

    name: str
    corrected: Callable[[Images], Images]
    fix: str = _ROW_BY_ROW
    share: float = TURNED_SHARE
    closer: float = 0.8
    much_closer: float = 0.7


def _shifted(images: Images, down: int, right: int) -> Images:
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2)))
    return padded[:, 2 - down : 2 - down + SIDE, 2 - right : 2 - right + SIDE]


def _shift(name: str, down: int, right: int) -> Look:
    """Return the look of images that stand this far down and right of where they should."""
    corrected = lambda images: _shifted(images, -down, -right)  # noqa: E731
    far = max(abs(down), abs(right)) == 2
    name = f"shifted by {'two pixels' if far else 'one pixel'} {name}"
    if far:
        return Look(name, corrected, _CUT, SHIFTED_SHARE)
    if not down:
        return Look(name, corrected, _OTHER_COLUMN, SIDEWAYS_SHARE)
    if right:
        return Look(name, corrected, _CUT, SHIFTED_SHARE)
    # A digit has room above and below only: a small step tells more there.
    return Look(name, corrected, _CUT, SHIFTED_SHARE, closer=0.9, much_closer=0.9)


_PLACES = np.argsort(sorted(range(PIXELS), key=str))
"""For each pixel its column, if pixel_0, pixel_1, pixel_10, pixel_11, … are sorted as words."""

_SORTED = Look(
    "sorted by column name (pixel_1, pixel_10, pixel_11, …)",
    lambda images: images.reshape(-1, PIXELS)[:, _PLACES].reshape(-1, SIDE, SIDE),
    "sort the pixel columns by number, or name them with --pixels",
)


def _inverted(images: Images) -> Images:
    """Swap ink and paper, and let the result have ink from 0 to 16, as faint images have not."""
    lightest = images.min(axis=(1, 2), keepdims=True)
    darkest = images.max(axis=(1, 2), keepdims=True).astype(np.float32)
    ink = (darkest - images) * (DARKEST / np.maximum(darkest - lightest, 1))
    inverted: Images = np.rint(ink).astype(images.dtype)
    return inverted


_TURNED = (
    Look("transposed (column by column)", lambda images: images.transpose(0, 2, 1)),
    Look("turned by 90 degrees counter-clockwise", lambda i: np.rot90(i, 3, (1, 2))),
    Look("turned by 180 degrees", lambda i: np.rot90(i, 2, (1, 2))),
    Look("turned by 90 degrees clockwise", lambda i: np.rot90(i, 1, (1, 2))),
    Look("mirrored left to right", lambda images: images[:, :, ::-1]),
    Look("mirrored top to bottom", lambda images: images[:, ::-1]),
    Look("mirrored on its rising diagonal", lambda i: np.rot90(i, 2, (1, 2)).transpose(0, 2, 1)),
)

_INVERTED = (
    Look("inverted (white on black)", _inverted, _INK),
    *(
        Look(
            f"inverted (white on black) and {look.name}",
            lambda images, look=look: look.corrected(_inverted(images)),  # type: ignore[misc]
            f"{_INK}, and {look.fix}",
        )
        for look in _TURNED
    ),
)

LOOKS = (
    *_TURNED,
    *_INVERTED,
    _SORTED,
    _shift("to the right", 0, 1),
    _shift("to the left", 0, -1),
    _shift("down", 1, 0),
    _shift("up", -1, 0),
    _shift("down and to the right", 1, 1),
    _shift("down and to the left", 1, -1),
    _shift("up and to the right", -1, 1),
    _shift("up and to the left", -1, -1),
    _shift("to the right", 0, 2),
    _shift("to the left", 0, -2),
)


def corrected_rows(rows: NDArray[np.uint8], looks: Collection[Look]) -> NDArray[np.uint8]:
    """Return rows (n, 64) corrected for each look in turn, uint8 (looks * n, 64)."""
    images = rows.reshape(-1, SIDE, SIDE)
    corrected = np.stack([look.corrected(images) for look in looks])
    return corrected.reshape(-1, PIXELS)
