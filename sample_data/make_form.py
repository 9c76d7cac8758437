"""Makes form/ and crops.zip anew: a form of our own, filled with digits of scikit-learn's.

python sample_data/make_form.py        # needs the extras forms and train
"""

from __future__ import annotations

import io
import itertools
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_digits

from batchdigits.bitmaps.redraw import blurred, redrawn

FOLDER = Path(__file__).parent / "form"
DPI = 200
WIDTH, HEIGHT = 1160, 1640  # A5
LINE = 3
PAPER, INK = 255, 0

Box = list[int]


@dataclass(frozen=True)
class Field:
    """A field of the form: its label, its box, how many digits, whether each has a cell."""

    name: str
    label: str
    box: Box
    digits: int
    combed: bool
    exact: bool = True

    @property
    def cells(self) -> list[Box]:
        """The boxes of a comb, next to each other on the printed lines."""
        left, top, right, bottom = self.box
        edges = np.linspace(left, right, self.digits + 1).round().astype(int).tolist()
        return [[a, top, b, bottom] for a, b in itertools.pairwise(edges)]

    def facts(self) -> dict[str, Any]:
        """The field as a template holds it."""
        facts: dict[str, Any] = {"name": self.name, "box": self.box}
        facts["digits" if self.exact else "digits_at_most"] = self.digits
        return facts | ({"cells": self.cells} if self.combed else {})


FIELDS = (
    Field("account", "Account number", [100, 330, 850, 420], 10, combed=True),
    Field("date", "Date (day, month, year)", [100, 530, 700, 620], 8, combed=True),
    Field("postcode", "Postcode", [760, 530, 1060, 620], 5, combed=False),
    Field("reading", "Meter reading", [100, 730, 560, 820], 6, combed=False),
    Field("amount", "Amount paid, in cents", [620, 730, 1060, 820], 6, combed=False, exact=False),
    Field("meter", "Meter number", [100, 930, 850, 1020], 10, combed=True),
    Field("phone", "Telephone", [100, 1130, 850, 1220], 9, combed=False),
)
MARKS = [[x, y, x + 36, y + 36] for y in (60, HEIGHT - 96) for x in (60, WIDTH - 96)]

SHEETS = (
    {
        "account": "4017523689",
        "date": "14032026",
        "postcode": "50667",
        "reading": "083915",
        "amount": "12450",
        "meter": "7300184265",
        "phone": "221904736",
    },
    {
        "account": "9920346158",
        "date": "02112025",
        "postcode": "10437",
        "reading": "120768",
        "amount": "3995",
        "meter": "5561209834",
        "phone": "304415987",
    },
    {
        "account": "2286410737",
        "date": "29081999",
        "postcode": "80331",
        "reading": "004652",
        "amount": "208716",
        "meter": "1948306752",
        "phone": "893176502",
    },
)


class Hand:
    """One person's hand: draws digits of load_digits, taken at random, smooth and slightly odd."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        rows, self._labels = load_digits(return_X_y=True)
        self._bitmaps = redrawn(rows)
        self._slant = self._random.uniform(-0.1, 0.25)
        self._pen = self._random.uniform(0.42, 0.58)

    def digit(self, digit: int, height: int) -> NDArray[np.uint8]:
        """Draw a digit of that height in pixels: its darkness, uint8."""
        number = self._random.choice(np.flatnonzero(self._labels == digit))
        smooth = blurred(self._bitmaps[number][np.newaxis], 1.0, 1.0)[0]
        picture = Image.fromarray((smooth * 255).astype(np.uint8))
        share = 0.35 if digit == 1 else 0.75  # the bitmap is 20 of 32 points wide
        width = round(height * share * self._random.uniform(0.9, 1.1))
        slant = self._slant * width / height
        size = width + height // 2, height
        large = picture.transform(
            size,
            Image.Transform.AFFINE,
            (32 / width, slant * 32 / width, -height / 4 * 32 / width, 0, 32 / height, 0),
            Image.Resampling.BICUBIC,
            fillcolor=0,
        )
        edge = (np.asarray(large, np.float32) / 255 - self._pen) * height / 5 + 0.5
        return np.round(edge.clip(0, 1) * 255).astype(np.uint8)

    def write(self, page: NDArray[np.uint8], field: Field, text: str) -> None:
        """Write a text of digits in a field of a page, darkness uint8."""
        left, top, right, bottom = field.box
        pitch = (right - left) / field.digits
        if not field.combed:
            left, pitch = left + 14, min(pitch * 0.86, 58)
        for i, letter in enumerate(text):
            height = round((bottom - top) * self._random.uniform(0.56, 0.68))
            drawn = self.digit(int(letter), height)
            inked = np.flatnonzero(drawn.max(axis=0) > 127)
            drawn = drawn[:, inked[0] : inked[-1] + 1]
            middle = left + (i + 0.5) * pitch + self._random.uniform(-3, 3)
            x = round(middle - drawn.shape[1] / 2)
            y = round((top + bottom - height) / 2 + self._random.uniform(-5, 5))
            part = page[y : y + drawn.shape[0], x : x + drawn.shape[1]]
            np.maximum(part, drawn, out=part)


def main() -> None:
    """Write every file."""
    FOLDER.mkdir(exist_ok=True)
    blank = draw_blank()
    blank.convert("1", dither=Image.Dither.NONE).save(FOLDER / "blank.png", dpi=(DPI, DPI))
    sheets = [fill(blank, sheet, seed) for seed, sheet in enumerate(SHEETS)]
    scans = [
        scanned(sheets[0], angle=0.6, shift=(7, -11)),
        scanned(sheets[1], angle=-0.9, shift=(-14, 9)),
        scanned(sheets[2], angle=0.3, shift=(4, 16)),
    ]
    scans[0].save(FOLDER / "page.png", dpi=(DPI, DPI))
    options = {"save_all": True, "append_images": scans[1:]}
    scans[0].save(FOLDER / "pages.tif", compression="group4", dpi=(DPI, DPI), **options)
    stamp = {"creationDate": None, "modDate": None}
    scans[0].save(FOLDER / "pages.pdf", resolution=DPI, **options, **stamp)
    photographed(sheets[1]).save(FOLDER / "photo.jpg", quality=50)
    write_crops(sheets[0], SHEETS[0])
    names = {"page.png": [0], "pages.tif": [0, 1, 2], "pages.pdf": [0, 1, 2], "photo.jpg": [1]}
    key = {name: [SHEETS[number] for number in numbers] for name, numbers in names.items()}
    write_json("key.json", key)
    template = {
        "format": 1,
        "page": {"width": WIDTH, "height": HEIGHT, "dpi": DPI},
        "blank": "blank.png",
        "fields": [field.facts() for field in FIELDS],
        "marks": MARKS,
    }
    write_json("form.json", template)


def draw_blank() -> Image.Image:
    """The blank form, grey."""
    page = Image.new("L", (WIDTH, HEIGHT), PAPER)
    draw = ImageDraw.Draw(page)
    for left, top, right, bottom in MARKS:
        draw.rectangle((left, top, right - 1, bottom - 1), INK)
    draw.text((100, 150), "Meter reading card", INK, ImageFont.load_default(48))
    note = "Please write clearly, in black or blue, one digit in each box."
    draw.text((100, 215), note, INK, ImageFont.load_default(24))
    for field in FIELDS:
        left, top = field.box[:2]
        draw.text((left, top - 38), field.label, INK, ImageFont.load_default(26))
        for box in field.cells if field.combed else [field.box]:
            half = LINE // 2
            outer = (box[0] - half, box[1] - half, box[2] + half, box[3] + half)
            draw.rectangle(outer, None, INK, LINE)
    foot = "A form of batchdigits' own: nobody's data."
    draw.text((100, HEIGHT - 170), foot, INK, ImageFont.load_default(20))
    return page


def fill(blank: Image.Image, sheet: dict[str, str], seed: int) -> Image.Image:
    """The form with a person's writing in it, grey."""
    hand = Hand(seed)
    written = np.zeros((HEIGHT, WIDTH), np.uint8)
    for field in FIELDS:
        hand.write(written, field, sheet[field.name])
    return Image.fromarray(np.minimum(np.asarray(blank), 255 - written))


def scanned(sheet: Image.Image, *, angle: float, shift: tuple[int, int]) -> Image.Image:
    """The sheet as a scanner sees it that was fed askew: black and white, with some dust."""
    turned = sheet.rotate(
        angle, Image.Resampling.BICUBIC, translate=shift, fillcolor=PAPER, expand=False
    )
    grey = np.asarray(turned).copy()
    dust = np.random.default_rng(abs(round(angle * 10)))
    for _ in range(60):
        x, y = dust.integers(0, WIDTH - 3), dust.integers(0, HEIGHT - 3)
        size = dust.integers(1, 4)
        grey[y : y + size, x : x + size] = INK
    return Image.fromarray(grey).convert("1", dither=Image.Dither.NONE)


def photographed(sheet: Image.Image) -> Image.Image:
    """The sheet as a phone sees it: in perspective, on a table, in uneven light."""
    size = WIDTH + 100, HEIGHT + 120
    corners = ((95, 70), (1185, 40), (1215, 1700), (50, 1660))
    page = Image.new("L", (WIDTH, HEIGHT), PAPER)
    page.paste(sheet)
    seen = page.transform(
        size,
        Image.Transform.PERSPECTIVE,
        perspective(corners),
        Image.Resampling.BICUBIC,
        fillcolor=90,
    )
    down, right = np.mgrid[0 : size[1], 0 : size[0]].astype(np.float32)
    light = 0.55 + 0.4 * right / size[0] - 0.15 * (down / size[1] - 0.5)
    grey = 30 + np.asarray(seen, np.float32) * 0.85 * light
    return Image.fromarray(grey.clip(0, 255).astype(np.uint8))


def perspective(corners: tuple[tuple[int, int], ...]) -> list[float]:
    """The numbers that Pillow takes for a page whose corners are seen there, from the top left."""
    places = ((0, 0), (WIDTH, 0), (WIDTH, HEIGHT), (0, HEIGHT))
    lines, values = [], []
    for (x, y), (u, v) in zip(corners, places, strict=True):
        lines += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    numbers: list[float] = np.linalg.solve(np.array(lines, float), np.array(values, float)).tolist()
    return numbers


def write_crops(sheet: Image.Image, values: dict[str, str]) -> None:
    """Cut the cells of the combs, with their lines, into a ZIP with a folder for each label."""
    with zipfile.ZipFile(FOLDER.with_name("crops.zip"), "w") as archive:
        for field in FIELDS:
            for i, box in enumerate(field.cells if field.combed else []):
                picture = io.BytesIO()
                sheet.crop(tuple(box)).save(picture, "PNG")
                name = f"{values[field.name][i]}/{field.name}-{i + 1}.png"
                archive.writestr(zipfile.ZipInfo(name), picture.getvalue())


def write_json(name: str, value: Any) -> None:
    """Write a value as JSON for people."""
    (FOLDER / name).write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
