"""A form of our own for tests: drawn blank, filled with digits of pen strokes, and warped."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from batchdigits.rows.template import Box, Field, Template

WIDTH, HEIGHT, DPI = 1200, 800, 200

LINE = 3

COMB: Box = (100, 420, 500, 490)
TEETH = tuple((100 + 80 * i, 420, 180 + 80 * i, 490) for i in range(5))
BOXES = tuple((700 + 70 * i, 420, 750 + 70 * i, 480) for i in range(4))

FIELDS = (
    Field("day", (100, 200, 260, 270), 2),
    Field("amount", (360, 200, 760, 270), 6),
    Field("code", (860, 200, 1100, 270), 4, exact=False),
    Field("number", COMB, 5, cells=TEETH),
    Field("year", (700, 420, 960, 480), 4, cells=BOXES),
)
"""Two free fields, one of up to 4 digits, a comb, and four boxes side by side."""

MARKS: tuple[Box, ...] = (
    (40, 40, 72, 72),
    (1128, 40, 1160, 72),
    (40, 728, 72, 760),
    (1128, 728, 1160, 760),
)

ANSWERS = {"day": "27", "amount": "301945", "code": "681", "number": "52037", "year": "1984"}

# Pen strokes in a square of 10 wide and 16 high, as polylines.
STROKES = {
    "0": ["5,0 1,4 1,12 5,16 9,12 9,4 5,0"],
    "1": ["3,3 6,0 6,16"],
    "2": ["1,3 4,0 8,1 9,5 1,16 10,16"],
    "3": ["1,1 6,0 9,3 8,6 4,8 8,9 9,13 6,16 1,15"],
    "4": ["7,16 7,0 0,11 10,11"],
    "5": ["9,0 2,0 1,7 6,6 9,9 9,13 5,16 1,15"],
    "6": ["8,0 3,4 1,10 2,15 6,16 9,13 7,9 2,10"],
    "7": ["0,0 10,0 4,16"],
    "8": ["5,8 1,4 5,0 9,4 5,8 1,12 5,16 9,12 5,8"],
    "9": ["9,5 5,7 2,4 4,0 8,1 9,5 7,16"],
}


def template(blank: Path | None = None, *, marks: bool = False) -> Template:
    return Template(WIDTH, HEIGHT, DPI, FIELDS, blank, MARKS if marks else ())


def write_template(folder: Path, *, blank: bool = True, name: str = "form") -> Path:
    """The template as NAME.json, with NAME.blank.png beside it."""
    path = folder / f"{name}.json"
    picture = folder / f"{name}.blank.png" if blank else None
    if picture is not None:
        save(picture, draw_form())
    path.write_text(json.dumps(template(picture).facts()))
    return path


def draw_form(answers: dict[str, str] | None = None, *, marks: bool = False) -> np.ndarray:
    """The form, uint8 (HEIGHT, WIDTH), 255 paper; with `answers` filled in, by the field's name."""
    image = Image.new("L", (WIDTH, HEIGHT), 255)
    draw = ImageDraw.Draw(image)
    draw.text((100, 70), "ORDER FORM  No. 17 / B", 0, ImageFont.load_default(44))
    for line, text in enumerate(("day and amount in whole units", "number of the customer, year")):
        draw.text((100, 150 + 220 * line), text, 0, ImageFont.load_default(26))
    draw.text((100, 600), "Write with a black pen. Keep inside the boxes.", 0, _font(30))
    for field in FIELDS:
        for box in field.cells if field.name == "year" else (field.box,):
            draw.rectangle(_around(box), outline=0, width=LINE)
    for left, _, _, bottom in TEETH[1:]:
        draw.rectangle((left - 1, bottom - 30, left + 1, bottom), fill=0)
    for mark in MARKS if marks else ():
        draw.rectangle((mark[0], mark[1], mark[2] - 1, mark[3] - 1), fill=0)
    for field in FIELDS:
        write_digits(draw, (answers or {}).get(field.name, ""), field)
    return np.array(image)


def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font


def _around(box: Box) -> tuple[int, int, int, int]:
    """The rectangle whose line of 3 pixels has the box's sides in its middle."""
    left, top, right, bottom = box
    return left - 1, top - 1, right + 1, bottom + 1


def write_digits(draw: ImageDraw.ImageDraw, digits: str, field: Field, pen: int = 4) -> None:
    left, top, _, bottom = field.box
    high = 0.55 * (bottom - top)
    for number, digit in enumerate(digits):
        x = field.cells[number][0] + 16 if field.cells else left + 18 + number * 0.85 * high
        write_digit(draw, digit, (x, top + 0.22 * (bottom - top)), high, pen)


def write_digit(
    draw: ImageDraw.ImageDraw, digit: str, at: tuple[float, float], high: float, pen: int = 4
) -> None:
    """One digit with its upper left corner at `at`, a blank leaves the place empty."""
    for stroke in STROKES.get(digit, []):
        pairs = [tuple(map(float, point.split(","))) for point in stroke.split()]
        points = [(at[0] + x * high / 16, at[1] + y * high / 16) for x, y in pairs]
        draw.line(points, fill=0, width=pen, joint="curve")
        for x, y in points:
            draw.ellipse((x - pen / 2, y - pen / 2, x + pen / 2, y + pen / 2), fill=0)


def save(path: Path, page: np.ndarray, dpi: int = DPI) -> Path:
    Image.fromarray(page).save(path, dpi=(dpi, dpi))
    return path


def turned(degrees: float, scale: float = 1.0, shift: tuple[float, float] = (0, 0)) -> np.ndarray:
    """The matrix of a turn about the middle of the page, clockwise, a scale and a shift."""
    angle = np.deg2rad(degrees)
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    matrix = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1.0]])
    middle = np.array([WIDTH / 2, HEIGHT / 2])
    matrix[:2, 2] = middle + shift - matrix[:2, :2] @ middle
    return matrix


def warped(
    page: np.ndarray, matrix: np.ndarray, size: tuple[int, int] = (WIDTH, HEIGHT), fill: int = 255
) -> np.ndarray:
    """The page as a scanner or a camera sees it: `matrix` takes its points to those of the scan."""
    inverse = np.linalg.inv(matrix)
    coefficients = (inverse / inverse[2, 2]).reshape(-1)[:8]
    image = Image.fromarray(page)
    return np.asarray(
        image.transform(
            size,
            Image.Transform.PERSPECTIVE,
            coefficients.tolist(),
            Image.Resampling.BILINEAR,
            fillcolor=fill,
        )
    )


def shaded(page: np.ndarray, low: int = 110, high: int = 240) -> np.ndarray:
    """The page under a lamp: a gradient from the left to the right, grey ink, a little noise."""
    lamp = np.linspace(low, high, page.shape[1])[None, :]
    noise = np.random.default_rng(3).normal(0, 3, page.shape)
    return np.clip(page / 255 * lamp + 20 + noise, 0, 255).astype(np.uint8)


def as_pdf(pages: list[np.ndarray], path: Path) -> Path:
    images = [Image.fromarray(page) for page in pages]
    images[0].save(path, save_all=True, append_images=images[1:], resolution=DPI)
    return path


def as_jpeg(page: np.ndarray, quality: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(page).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


_PADDING = bytes.fromhex("28bf4e5e4e758a4164004e56fffa01082e2e00b6d0683e802f0ca9fe6453697a")


def locked_pdf(password: bytes) -> bytes:
    """A PDF of one empty page that needs a password (the standard handler, revision 2)."""
    padded = (password + _PADDING)[:32]
    owner = _rc4(hashlib.md5(padded).digest()[:5], padded)  # noqa: S324  # the format's own
    rights, identity = (-4).to_bytes(4, "little", signed=True), b"0" * 16
    key = hashlib.md5(padded + owner + rights + identity).digest()[:5]  # noqa: S324
    user = _rc4(key, _PADDING)
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]>>",
        b"<</Filter/Standard/V 1/R 2/P -4/O<%s>/U<%s>>>"
        % (owner.hex().encode(), user.hex().encode()),
    ]
    return _as_pdf(objects, b"/Encrypt 4 0 R/ID[<%s><%s>]" % ((identity.hex().encode(),) * 2))


def pdf_without_pages() -> bytes:
    return _as_pdf([b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[]/Count 0>>"])


def _as_pdf(objects: list[bytes], trailer: bytes = b"") -> bytes:
    data, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    return data + (
        b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<</Size %d/Root 1 0 R%s>>\n"
        b"startxref\n%d\n%%%%EOF\n" % (size, table, size, trailer, len(data))
    )


def _rc4(key: bytes, data: bytes) -> bytes:
    state, j = list(range(256)), 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    result, i, j = bytearray(), 0, 0
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        result.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(result)
