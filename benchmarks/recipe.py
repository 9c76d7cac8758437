"""Measure how near the recipe of rows comes to NIST's, and how a bundle reads rows that it made.

    python benchmarks/recipe.py [--bundle REF] [--shared FOLDER]

It needs `data/bitmaps.npz` and `data/semeion.npz` in the folder that --shared names (default:
$BATCHDIGITS_SHARED, else ../shared); they are not in the repository.

- counts: of the 1,797 bitmaps that load_digits was counted from, those whose counts are its rows;
- again: the same bitmaps through the whole recipe once more. Nothing undoes a shear or an erosion,
  so the points differ; the bundle should still read them;
- redrawn: the bitmaps found back from the counts alone;
- Semeion: 1,593 digits of 80 other writers, 16x16 points each, read by the bundle. `crop` is what
  `forms cells` does; the others leave a step out, or do what most tutorials do.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits
from support.measure import ROOT, finish, make_parser, make_ready, table, target

from batchdigits.api import open_bundle
from batchdigits.bitmaps import recipe
from batchdigits.bitmaps.recipe import BITMAP, bitmaps_of, counts_of
from batchdigits.bitmaps.redraw import redrawn
from batchdigits.errors import BatchdigitsWarning
from batchdigits.forms.crop import read_crop

LEAST_SEMEION = 0.93

Bits = NDArray[np.bool_]
Rows = NDArray[np.uint8]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = make_parser(__doc__)
    parser.add_argument("--bundle", metavar="REF", help="default: the bundle inside the package")
    parser.add_argument(
        "--shared",
        type=Path,
        metavar="FOLDER",
        default=Path(os.environ.get("BATCHDIGITS_SHARED") or ROOT.parent / "shared"),
    )
    arguments = parser.parse_args(argv)
    before = make_ready()
    warnings.simplefilter("ignore", BatchdigitsWarning)  # of rows unlike the training data
    bundle = open_bundle(arguments.bundle)

    def right(rows: Rows, digits: NDArray[np.uint8]) -> float:
        predicted = bundle.predict(rows)["prediction"].to_numpy().astype(int)
        return float((predicted == digits).mean())

    bitmaps, digits = load(arguments.shared / "data" / "bitmaps.npz", BITMAP)
    semeion, truth = load(arguments.shared / "data" / "semeion.npz", 16)
    again, found = bitmaps_of(bitmaps), redrawn(counts_of(bitmaps))
    rows = load_digits().data
    nist = {
        "counts that are the rows of load_digits": (counts_of(bitmaps) == rows).all(axis=1).mean(),
        "points equal after the recipe again": (again == bitmaps).mean(),
        "read right after the recipe again": right(counts_of(again), digits),
        "points equal, redrawn from the counts": (found == bitmaps).mean(),
    }
    read = {name: right(make(semeion), truth) for name, make in WAYS.items()}
    print(table(["NIST's bitmaps", "share"], [(n, f"{v:.2%}") for n, v in nist.items()]))
    print(table(["Semeion, made by", "right"], [(n, f"{v:.2%}") for n, v in read.items()]))
    figures = {
        "bundle": bundle.facts,
        "nist": {name: round(float(value), 6) for name, value in nist.items()},
        "semeion": {name: round(value, 6) for name, value in read.items()},
        "targets": {"crop": target(read["crop"], LEAST_SEMEION)},
    }
    finish("recipe", figures, save=arguments.save, load_before=before, timed=False)
    return 0


def load(path: Path, side: int) -> tuple[Bits, NDArray[np.uint8]]:
    """Read pictures (n, side, side) and what digits they are; raise SystemExit without the file."""
    if not path.is_file():
        raise SystemExit(f"{path}: no such file; name the folder that has data/ with --shared")
    data = np.load(path)
    bits = np.unpackbits(data["bits"], axis=1).reshape(-1, side, side)
    return bits.astype(np.bool_), data["digits"]


def grey_of(ink: Bits, side: int, how: Image.Resampling) -> NDArray[np.uint8]:
    """Return a picture dark on white, resized to `side` by `side`."""
    picture = Image.fromarray(np.where(ink, 0, 255).astype(np.uint8))
    return np.asarray(picture.resize((side, side), how))


def as_crops(pictures: Bits) -> Rows:
    """Make rows as `forms cells` does."""
    return np.array([read_crop(grey_of(p, len(p), NEAREST)).pixels for p in pictures])


def enlarged(factor: int) -> Callable[[Bits], Rows]:
    """Enlarge the picture, and make the row without judging it as a crop."""

    def rows_of(pictures: Bits) -> Rows:
        large = [grey_of(p, factor * len(p), BICUBIC) < 128 for p in pictures]
        return counts_of(bitmaps_of(np.array(large)))

    return rows_of


def without(step: str) -> Callable[[Bits], Rows]:
    """Leave out a step of the recipe: its function hands back what it gets."""

    def rows_of(pictures: Bits) -> Rows:
        with patch.object(recipe, step, lambda bitmaps: bitmaps):
            return as_crops(pictures)

    return rows_of


def resized(pictures: Bits) -> Rows:
    """Resize the picture to 8x8 and scale it to 0..16, as most tutorials do."""
    small = np.array([grey_of(p, 8, Image.Resampling.BOX) for p in pictures])
    return np.round((255 - small.reshape(-1, 64)) / 255 * 16).astype(np.uint8)


NEAREST, BICUBIC = Image.Resampling.NEAREST, Image.Resampling.BICUBIC
WAYS: dict[str, Callable[[Bits], Rows]] = {
    "crop": as_crops,
    "as it is": enlarged(1),
    "enlarged twice": enlarged(2),
    "enlarged four times": enlarged(4),
    "crop without shear": without("_sheared"),
    "crop without even strokes": without("_even_out"),
    "resized to 8x8": resized,
}


if __name__ == "__main__":
    sys.exit(main())
