"""Registration: the drawn form under all that scanners and cameras do."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
import pytest
from drawn_form import (
    ANSWERS,
    FIELDS,
    HEIGHT,
    WIDTH,
    as_jpeg,
    draw_form,
    shaded,
    template,
    turned,
    warped,
)
from paths import shared_data
from PIL import Image

from batchdigits.forms.registration.form import Form
from batchdigits.forms.registration.geometry import apply, from_corners
from batchdigits.forms.registration.ink import darkness
from batchdigits.forms.registration.register import Registration, register
from batchdigits.forms.registration.sampling import Brightness

SHEET = np.array([[0.0, 0], [WIDTH, 0], [WIDTH, HEIGHT], [0, HEIGHT]])
CORNERS = np.array([[x, y] for f in FIELDS for x in f.box[::2] for y in f.box[1::2]], np.float64)


@cache
def form(kind: str = "lines") -> Form:
    marks = kind == "marks"
    blank = None if kind == "no blank" else 255 - draw_form(marks=marks)
    return Form(template(marks=marks), blank)


def find(page: Brightness, kind: str = "lines", scale: float | None = None) -> Registration:
    return register(page, darkness(page), form(kind), scale)


def error(found: Registration, truth: np.ndarray) -> float:
    """The largest distance of a field's corner from its place, in pixels of the page."""
    miss = apply(found.matrix, CORNERS) - apply(truth, CORNERS)
    return float(np.linalg.norm(miss, axis=1).max())


WARPS = {
    "as it is": np.eye(3),
    "turned by 3 degrees": turned(3),
    "turned by -8 degrees": turned(-8),
    "shifted by 60 pixels": turned(0, shift=(60, -60)),
    "scaled by 3 %": turned(0, 1.03),
    "sheared": np.array([[1, 0.03, -12], [0, 1, 0], [0, 0, 1.0]]),
    "all at once": turned(-2, 0.97, (-40, 30)),
    "leaning": from_corners(SHEET, np.array([[40.0, 0], [1150, 60], [1200, 780], [0, 790]])),
}


@pytest.mark.parametrize("warp", WARPS)
@pytest.mark.parametrize("kind", ["lines", "no blank", "marks"])
def test_fields_are_found_to_a_pixel_and_a_half(warp: str, kind: str) -> None:
    page = warped(draw_form(ANSWERS, marks=kind == "marks"), WARPS[warp])
    assert error(find(page, kind), WARPS[warp]) < 1.5


def test_half_the_resolution_is_told_by_the_size() -> None:
    page = np.asarray(Image.fromarray(draw_form(ANSWERS)).resize((WIDTH // 2, HEIGHT // 2)))
    assert error(find(page), np.diag([0.5, 0.5, 1])) < 1


@pytest.mark.parametrize("told", [0.36, 1.0, 3.0])
def test_a_resolution_that_is_not_true_does_no_harm(told: float) -> None:
    page = np.asarray(Image.fromarray(draw_form(ANSWERS)).resize((WIDTH // 2, HEIGHT // 2)))
    assert error(find(page, scale=told), np.diag([0.5, 0.5, 1])) < 1


def test_a_page_on_a_larger_glass_needs_its_resolution() -> None:
    page = np.full((HEIGHT + 700, WIDTH + 900), 255, np.uint8)
    page[100 : 100 + HEIGHT, 80 : 80 + WIDTH] = draw_form(ANSWERS)
    truth = np.array([[1, 0, 80], [0, 1, 100], [0, 0, 1.0]])
    assert error(find(page, scale=1.0), truth) < 1.5


def test_a_photo_of_a_sheet_on_a_table_is_found_by_its_corners() -> None:
    corners = np.array([[300.0, 250], [1400, 330], [1500, 1150], [180, 1000]])
    truth = from_corners(SHEET, corners)
    photo = shaded(warped(draw_form(ANSWERS), truth, (1700, 1350), fill=70), 160, 240)
    jpeg = np.asarray(Image.open(io.BytesIO(as_jpeg(photo, 60))))
    assert error(find(jpeg), truth) < 2


def test_the_score_is_the_share_of_lines_that_are_there() -> None:
    page = draw_form(ANSWERS)
    whole = find(page)
    page = page.copy()
    page[190:280, 350:770] = 255  # the field "amount" is erased
    erased = find(page)
    assert whole.score > 0.95
    assert erased.score < whole.score - 0.1
    lost = form().segments.boxes[~erased.found]
    assert np.bincount(lost).argmax() == 1


def test_the_print_tells_a_form_from_another_with_the_same_boxes() -> None:
    page = draw_form(ANSWERS)
    known = find(page).print
    page = page.copy()
    page[:190], page[300:410], page[560:] = 255, 255, 255  # all print but the boxes
    assert known is not None
    assert known > 0.9
    assert find(page).print == 0


def test_print_alone_registers_a_form_whose_boxes_the_scanner_dropped() -> None:
    blank = draw_form()
    for field in FIELDS:
        left, top, right, bottom = field.box
        blank[top - 3 : bottom + 4, left - 3 : right + 4] = 255
    bare = Form(template(), 255 - blank)
    assert len(bare.segments) == 0
    truth = turned(1.5, 1.01, (20, -15))
    page = warped(blank, truth)
    assert error(register(page, darkness(page), bare, None), truth) < 4


@pytest.mark.parametrize("name", ["page-a", "page-b", "page-c"])
def test_real_pages_register_in_any_position(name: str) -> None:
    """The pages of NIST, as they are and turned, shifted and scaled: all lines are found."""
    import json

    from batchdigits.rows.template import Field, Template

    folder = shared_data() / "forms"
    fields = json.loads((folder / "fields.json").read_text())
    blank = np.asarray(Image.open(folder / "blank.tif"))
    height, width = blank.shape
    nist = Form(
        Template(
            width,
            height,
            300,
            tuple(Field(f["field"], tuple(f["box"]), f["digits"]) for f in fields),
        ),
        darkness(blank),
    )
    image = Image.open(folder / f"{name}.tif").convert("L")
    page = np.asarray(image)
    assert register(page, darkness(page), nist, None).score > 0.98
    for degrees, shift in ((3, (60, -60)), (-3, (-60, 60))):
        moved = np.asarray(image.rotate(degrees, fillcolor=255, translate=shift))
        assert register(moved, darkness(moved), nist, None).score > 0.98
