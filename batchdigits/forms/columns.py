"""The columns of rows that are made from pictures: of crops, and of cells cut from pages."""

from __future__ import annotations

import pyarrow as pa

from batchdigits.images import PIXELS

FILE = pa.field("file", pa.string())
"""The name of the picture, as its messages name it."""

PIXEL_COUNTS = pa.field("pixels", pa.list_(pa.uint8(), PIXELS))
"""The row: 64 ink counts 0..16."""

IMAGE = pa.field("image", pa.binary())
"""The cell's picture, as the bytes of a PNG."""

INK = pa.field("ink", pa.int32())
"""The pixels of ink in the cell's picture, before normalising."""

BLANK = pa.field("blank", pa.bool_())
"""Whether there is no ink, or only dust; the pixels are then 0."""

REASON = pa.field("reason", pa.string())
"""Why a picture is a reject: a key of a table of reasons."""

DETAIL = pa.field("detail", pa.string())
"""What was found, and the fix."""

CELLS = pa.schema(
    [
        FILE,
        PIXEL_COUNTS,
        IMAGE,
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        INK,
        BLANK,
    ]
)
"""The rows of `forms cells`. Where folders name labels, `label` comes after `file`."""

PAGES = pa.schema(
    [
        FILE,
        pa.field("page", pa.int32()),
        pa.field("field", pa.string()),
        pa.field("position", pa.int32()),
        PIXEL_COUNTS,
        IMAGE,
        pa.field("box", pa.list_(pa.int32(), 4)),
        INK,
        pa.field("registration", pa.float32()),
    ]
)
"""The rows of `forms read`. Pages and positions count from 1; a box is left, top, right, bottom in
pixels of the blank form, right and bottom exclusive; registration is 0..1."""
