"""docs/reference/limits.md and python.md against the constants and the signatures."""

from __future__ import annotations

import inspect
import pkgutil
from typing import Any

from pages import code, codes, reference, table

from batchdigits.archive.classes import MAX_CLASSES
from batchdigits.archive.container import MAX_FILE_BYTES
from batchdigits.engines.keras.model_file import LARGEST_LAYER
from batchdigits.files.strict_json import MOST_DECODED
from batchdigits.forms.pictures import MOST_BYTES, MOST_PIXELS
from batchdigits.review.choose import MOST_CELLS
from batchdigits.review.make import LARGEST_IMAGE
from batchdigits.rows.csv.layout import LINE_LIMIT, RECORD_LIMIT
from batchdigits.rows.csv.records import MOST_READINGS
from batchdigits.rows.csv.sink import MOST_TEXT
from batchdigits.rows.options import LARGEST_SCALE, LEAST_SCALE
from batchdigits.rows.parquet.chunks import LARGEST_PAGE, LONGEST_CELL, MOST_GROWTH, PIECE_BYTES
from batchdigits.rows.parquet.source import LEAST_REFUSED
from batchdigits.rows.pixels import MOST_COLUMNS
from batchdigits.rows.rejects import RAW_LIMIT
from batchdigits.text import SHOWN_PROBLEMS
from batchdigits.training.data import MAX_LABEL


def test_limits_are_those_of_the_code() -> None:
    growth = "{} bytes in memory for each byte in the file, if it is more than {} MiB"
    limits = {row[0]: row[1] for row in table(reference("limits"), "what")}
    assert list(limits.values()) == [
        f"{LINE_LIMIT >> 20} MiB",
        f"{RECORD_LIMIT >> 10} KiB",
        f"{RAW_LIMIT:,} characters",
        str(SHOWN_PROBLEMS),
        f"{LONGEST_CELL >> 20} MiB on average",
        f"{MOST_COLUMNS:,}",
        growth.format(MOST_GROWTH, PIECE_BYTES >> 20),
        f"{LEAST_REFUSED >> 30} GiB, or {MOST_GROWTH} bytes for each byte of the file",
        f"{LARGEST_PAGE >> 20} MiB",
        f"{MOST_READINGS} times the bytes of a block read in vain",
        f"{MOST_TEXT >> 20} MiB in a batch",
        f"{MAX_FILE_BYTES >> 20} MiB",
        f"2 to {MAX_CLASSES}",
        f"{MAX_LABEL} characters",
        f"{MOST_DECODED >> 20} MiB, estimated from its text",
        f"{LARGEST_LAYER:,}",
        f"{MOST_CELLS:,}",
        f"{LARGEST_IMAGE >> 10} KiB",
        f"{MOST_BYTES >> 20} MiB",
        f"{MOST_PIXELS:,}",
        f"{LEAST_SCALE:f} to {LARGEST_SCALE:,.0f}",
    ]


def test_python_calls_take_the_arguments_in_the_table() -> None:
    for call, arguments in table(reference("python"), "call"):
        target: Any = pkgutil.resolve_name(f"batchdigits.{code(call)}")
        names = [name for name in inspect.signature(target).parameters if name != "self"]
        assert codes(arguments) == names, call
