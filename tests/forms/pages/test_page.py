"""One page: its fields, or why it is refused."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from drawn_form import (
    ANSWERS,
    DPI,
    FIELDS,
    HEIGHT,
    WIDTH,
    draw_form,
    shaded,
    template,
    turned,
    warped,
)
from PIL import Image, ImageDraw

from batchdigits.forms.pages.page import PAGE_REASONS, KnownForm, PageResult, read_page
from batchdigits.forms.pictures import PictureError
from batchdigits.rows.template import Field, Template


@cache
def known(*, blank: bool = True) -> KnownForm:
    return KnownForm.of(template(), draw_form() if blank else None)


def read(page: np.ndarray, *, blank: bool = True) -> PageResult:
    return read_page(page, [known(blank=blank)], DPI)


def counts(result: PageResult) -> dict[str, int | str]:
    """The number of characters of each field, or the reason why it was refused."""
    return {
        field.printed.field.name: field.reason or sum(cell.ink > 0 for cell in field.cells)
        for field in result.fields
    }


WHOLE = {name: len(answer) for name, answer in ANSWERS.items()}


@pytest.mark.parametrize("blank", [True, False])
def test_every_field_is_cut_into_its_digits(blank: bool) -> None:
    assert counts(read(draw_form(ANSWERS), blank=blank)) == WHOLE


@pytest.mark.parametrize(
    "page",
    [
        warped(draw_form(ANSWERS), turned(3, 1.03, (30, -20))),
        warped(draw_form(ANSWERS), turned(-3, 0.97, (-30, 20))),
        shaded(draw_form(ANSWERS)),
        np.where(draw_form(ANSWERS) < 128, 170, 225).astype(np.uint8),
        draw_form(ANSWERS) > 127,
        np.asarray(Image.fromarray(draw_form(ANSWERS)).resize((WIDTH * 2 // 3, HEIGHT * 2 // 3))),
    ],
    ids=["turned", "turned the other way", "shaded", "pencil", "two values", "133 dpi"],
)
def test_degraded_pages_are_cut_into_the_same_digits(page: np.ndarray) -> None:
    assert counts(read(page)) == WHOLE


def test_the_box_of_a_cell_is_around_its_ink_on_the_blank_form() -> None:
    shift = (25, -15)
    result = read(warped(draw_form(ANSWERS), turned(0, shift=shift)))
    filled = draw_form(ANSWERS)
    for field in result.fields:
        left, top, right, bottom = field.printed.box
        for cell in field.cells:
            l, t, r, b = cell.box  # noqa: E741
            assert left < l < r < right
            assert top < t < b < bottom
            assert (filled[t:b, l:r] < 128).any()


def test_the_blank_form_has_only_blank_fields() -> None:
    result = read(draw_form())
    assert counts(result) == dict.fromkeys(WHOLE, 0)
    assert result.registration.score > 0.98


def test_an_empty_printed_cell_is_blank_and_keeps_its_position() -> None:
    result = read(draw_form({"number": "5 0 7"}))
    cells = result.fields[3].cells
    assert [cell.position for cell in cells] == [1, 2, 3, 4, 5]
    assert [cell.ink > 0 for cell in cells] == [True, False, True, False, True]
    assert not cells[1].pixels.any()


def test_the_picture_of_a_cell_shows_its_character_and_nothing_else() -> None:
    cell = read(draw_form(ANSWERS)).fields[0].cells[0]
    height, width = cell.picture.shape
    assert (cell.picture[0] == 255).all()
    assert 0.1 < (cell.picture < 128).mean() < 0.6
    l, t, r, b = cell.box  # noqa: E741
    assert abs((r - l) * 300 / DPI - (width - 6)) <= 3
    assert abs((b - t) * 300 / DPI - (height - 6)) <= 3


def fields_with(draw_on: dict[str, str], **more: str) -> dict[str, int | str]:
    return counts(read(draw_form({**ANSWERS, **draw_on, **more})))


def test_more_marks_than_digits_refuse_the_field_alone() -> None:
    found = fields_with({"day": "2719"})
    assert found == {**WHOLE, "day": "more-marks"}


def test_more_marks_than_at_most_refuse_it_too() -> None:
    found = fields_with({"code": "681203"})
    assert found["code"] == "more-marks"


def test_a_field_that_is_written_all_over_is_refused_alone() -> None:
    form = template()
    fields = [Field(f.name, f.box, 1) if f.name == "amount" else f for f in form.fields]
    one = KnownForm.of(replace(form, fields=tuple(fields)), draw_form())
    page = draw_form(ANSWERS | {"amount": ""})
    for left in range(370, 750, 8):
        page[215:255, left : left + 2] = 0
    assert counts(read_page(page, [one], DPI)) == {**WHOLE, "amount": "more-marks"}


def test_fewer_digits_than_at_most_are_all_right() -> None:
    assert fields_with({"code": "68"})["code"] == 2


def test_a_blacked_out_digit_refuses_the_field_alone() -> None:
    image = Image.fromarray(draw_form(ANSWERS))
    left, top, _, _ = FIELDS[1].box
    ImageDraw.Draw(image).rectangle((left + 50, top + 14, left + 78, top + 56), fill=0)
    assert counts(read(np.asarray(image))) == {**WHOLE, "amount": "crossed-out"}


def test_a_field_whose_box_is_missing_is_refused_alone() -> None:
    page = draw_form(ANSWERS)
    page[190:280, 850:1110] = 255
    assert counts(read(page)) == {**WHOLE, "code": "no-box"}


def test_of_several_forms_the_one_that_is_there_is_taken() -> None:
    other = Image.new("L", (WIDTH, HEIGHT), 255)
    box = (150, 500, 700, 580)
    ImageDraw.Draw(other).rectangle(box, outline=0, width=3)
    field = Field("other", box, 6)
    other_form = KnownForm.of(Template(WIDTH, HEIGHT, DPI, (field,)), np.asarray(other))
    result = read_page(draw_form(ANSWERS), [other_form, known()], DPI)
    assert result.known is known()


def reason(page: np.ndarray) -> str:
    with pytest.raises(PictureError) as caught:
        read(page)
    assert caught.value.reason in PAGE_REASONS
    assert caught.value.detail
    return caught.value.reason


PAGE = draw_form(ANSWERS)
REFUSED = {
    "blank-page": [np.full_like(PAGE, 255), np.full(PAGE.shape, True)],
    "black-page": [np.zeros_like(PAGE), 255 - PAGE],
    "upside-down": [np.rot90(PAGE, 2)],
    "sideways": [np.rot90(PAGE, 1), np.rot90(PAGE, 3)],
    "other-form": [np.random.default_rng(1).integers(0, 255, PAGE.shape).astype(np.uint8)],
    "cut-off": [PAGE[:, : WIDTH - 250], PAGE[240:], PAGE[:, 200:]],
    "low-resolution": [
        np.zeros((1, 3000), np.uint8),
        np.full((3000, 1), 200, np.uint8),
        np.asarray(
            Image.fromarray(PAGE).resize(
                (WIDTH * 72 // DPI, HEIGHT * 72 // DPI), Image.Resampling.BOX
            )
        ),
    ],
}


@pytest.mark.parametrize(
    ("wanted", "page"), [(name, page) for name, pages in REFUSED.items() for page in pages]
)
def test_a_page_that_is_none_of_the_form_has_its_reason(wanted: str, page: np.ndarray) -> None:
    assert reason(np.ascontiguousarray(page)) == wanted


def test_a_page_of_another_form_is_refused() -> None:
    image = Image.new("L", (WIDTH, HEIGHT), 255)
    draw = ImageDraw.Draw(image)
    for row in range(5):
        for column in range(4):
            draw.rectangle(
                (70 + 280 * column, 90 + 140 * row, 270 + 280 * column, 150 + 140 * row),
                outline=0,
                width=3,
            )
    assert reason(np.asarray(image)) == "other-form"
