"""Without a header 64 pixels come first: what looks different is asked for or refused."""

from __future__ import annotations

import pytest
from csv_sources import refusal, scored

PIXELS = [["0", *(str((i * 5 + j) % 17) for j in range(63))] for i in range(12)]


def lines(rows):
    return "".join(",".join(row) + "\n" for row in rows)


@pytest.mark.parametrize("label", ["{}", "{}.0", '"{}"'])
@pytest.mark.parametrize("count", [1, 12])
def test_a_label_in_front_of_the_pixels_is_asked_for(label, count):
    text = lines([label.format((i + 3) % 10), *PIXELS[i]] for i in range(count))
    _, message = refusal(text, header=False)
    assert "--pixels 'column_{2..65}'" in message
    assert "--pixels 'column_{1..64}'" in message
    _, pixels, rejects = scored(text, header=False, pixels="column_{2..65}")
    assert pixels == [[int(value) for value in row] for row in PIXELS[:count]]
    assert rejects == []
    assert len(scored(text, header=False, pixels="column_{1..64}")[1]) == count


def test_labels_behind_the_pixels_are_the_usual_order():
    text = lines([*row, str(i % 10)] for i, row in enumerate(PIXELS))
    ids, pixels, _ = scored(text, header=False)
    assert ids == [str(i % 10) for i in range(12)]
    assert pixels == [[int(value) for value in row] for row in PIXELS]


@pytest.mark.parametrize("before", [["form1"], ["form1", "day"], ["zero"]])
def test_text_in_front_of_the_pixels_is_named_with_the_columns_behind_it(before):
    text = lines([*before, *row] for row in PIXELS)
    _, message = refusal(text, header=False)
    first = len(before) + 1
    assert message.endswith(f"use --pixels 'column_{{{first}..{first + 63}}}'")


@pytest.mark.parametrize(("side", "others"), [(28, 0), (28, 1), (16, 0), (16, 10), (32, 1)])
@pytest.mark.parametrize("header", [True, False])
def test_larger_images_are_named_as_what_they_are(side, others, header):
    text = lines([["7", *["0"] * (side * side + others - 1)]] * 3)
    _, message = refusal(text, header=header)
    assert f"images of {side}x{side} pixels" in message
    assert "with batchdigits forms cells" in message


def test_columns_beside_the_pixels_make_no_image():
    text = lines([*row, *["text"] * 36] for row in PIXELS)
    assert len(scored(text, header=False)[1]) == 12
