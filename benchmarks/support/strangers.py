"""Cells that hold no digit, made from digits, from chance, and from letters of print fonts."""

from __future__ import annotations

import string
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

SIDE = 8
DOTS = 4
"""Each pixel of an 8x8 cell counts the inked ones of 4x4 dots, as in the UCI digits."""

FONTS = (
    ("DejaVu Sans", "normal", "normal"),
    ("DejaVu Sans", "italic", "normal"),
    ("DejaVu Sans", "normal", "bold"),
    ("DejaVu Serif", "normal", "normal"),
    ("DejaVu Sans Mono", "normal", "normal"),
    ("STIXGeneral", "italic", "normal"),
    ("cmr10", "normal", "normal"),
)
HEIGHTS = (28, 32)

Cells = NDArray[np.uint8]


def strangers(digits: Cells, seed: int) -> dict[str, Cells]:
    """Return rows of pixels (n, 64), 0..16, by their defect, made from digits of that shape.

    The kinds after the letters are other marks on forms; some of them still look like a digit.
    """
    generator = np.random.default_rng(seed)
    square = digits.reshape(-1, SIDE, SIDE)
    cross = DOTS * DOTS * np.maximum(np.eye(SIDE), np.eye(SIDE)[::-1])
    dashes = digits.copy()
    dashes.reshape(-1, SIDE, SIDE)[:, 3:5] = DOTS * DOTS
    kinds = {
        "blank": np.zeros((1, SIDE * SIDE)),
        "inverted": DOTS * DOTS - digits,
        "scaled to 0..1": np.rint(digits / 16),
        "scaled to 0..4": digits // 4,
        "scaled to 0..8": digits // 2,
        "noise": generator.integers(0, 17, digits.shape),
        "thin noise": generator.integers(0, 17, digits.shape)
        * (generator.random(digits.shape) < 0.4),
        "shuffled": generator.permuted(digits, axis=1),
        "transposed": square.transpose(0, 2, 1),
        "letters": letters(),
        "every ink black": np.where(digits > 0, DOTS * DOTS, 0),
        "crossed out": np.maximum(square, cross),
        "struck through": dashes,
        "shifted by 2": np.roll(square, 2, axis=2),
        "upside down": square[:, ::-1, ::-1],
        "mirrored": square[:, :, ::-1],
    }
    return {name: cells.reshape(-1, SIDE * SIDE).astype(np.uint8) for name, cells in kinds.items()}


def letters() -> Cells:
    """Return A to Z and a to z in several print fonts, at type size and stretched to the cell."""
    return np.array(list(_letters()), np.uint8)


def _letters() -> Iterator[NDArray[np.float64]]:
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    for family, style, weight in FONTS:
        font = FontProperties(family=family, style=style, weight=weight)
        tall = _extent(TextPath((0, 0), "H", size=100, prop=font))[1]
        for letter in string.ascii_letters:
            outline = TextPath((0, 0), letter, size=100, prop=font)
            wide, high = _extent(outline)
            for height in HEIGHTS:
                yield _drawn(outline, height / max(tall, high))
            yield _drawn(outline, SIDE * DOTS / max(wide, high))


def _extent(outline: object) -> tuple[float, float]:
    box = outline.get_extents()  # type: ignore[attr-defined]
    return box.width, box.height


def _drawn(outline: object, scale: float) -> NDArray[np.float64]:
    """Return the cell (64,) of a letter, scaled and centred."""
    dots = SIDE * DOTS
    box = outline.get_extents()  # type: ignore[attr-defined]
    at = (np.arange(dots) + 0.5 - dots / 2) / scale
    across, down = np.meshgrid(at + (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2 - at)
    points = np.column_stack([across.ravel(), down.ravel()])
    inked = outline.contains_points(points)  # type: ignore[attr-defined]
    blocks = inked.reshape(SIDE, DOTS, SIDE, DOTS).sum(axis=(1, 3))
    cell: NDArray[np.float64] = blocks.ravel()
    return cell
