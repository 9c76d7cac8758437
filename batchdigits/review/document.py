"""The document of a review, `review.json`: the cells to show, and how they were chosen."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from batchdigits.errors import IOFailedError, NoInputError, UnusableInputError
from batchdigits.files.digest import digest_bytes
from batchdigits.files.plain import read_small
from batchdigits.files.strict_json import MOST_DECODED, parse_strict
from batchdigits.images import PIXELS

FORMAT = 1
MOST_BYTES = 1 << 30
"""A cell takes some 250 bytes, one with a picture a few thousand."""

_MOST_SWELLING = 16
"""Bytes of memory for a byte of the file: a true one takes about 8, a hostile one 50."""

DOCUMENT = "review.json"
PAGE = "index.html"

DOUBTFUL = "doubtful"
SAMPLE = "sample"
PLANTED = "planted"
KINDS = {
    DOUBTFUL: "a row with the decision review",
    SAMPLE: "an accepted row, chosen by chance",
    PLANTED: "an accepted row, shown with a wrong reading",
}
"""Why a cell is shown, with the meaning."""


@dataclass(frozen=True, slots=True)
class ReviewedFile:
    """A file of predictions in a review.

    path      relative to the review's folder
    digest    its sha256:…
    rows      its predictions: those that are accepted, and those with the decision review
    bundle    name, version and digest of the bundle that made them
    """

    path: str
    digest: str
    rows: int
    accepted: int
    bundle: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell to show.

    file        the number of its file in the review, from 0
    place       its place among the predictions of the file, from 0
    row         the number of its row in the input, from 1; None if that is not known
    kind        a key of KINDS
    shown       the class that the page shows as its reading; `read` is the one that predict wrote
    confidence  of `read`
    others      the most probable other classes, the likeliest first
    pixels      (64,) uint8, or float32 if they are not whole
    image       the bytes of its picture, PNG or JPEG; None without one
    field       the number of its field among the review's, and its place there; None without fields
    """

    file: int
    place: int
    row: int | None
    kind: str
    shown: int
    read: int
    confidence: float
    others: tuple[int, ...]
    pixels: NDArray[Any]
    image: bytes | None = None
    field: tuple[int, int] | None = None

    def facts(self) -> dict[str, Any]:
        """Return the cell as the document holds it."""
        facts: dict[str, Any] = {
            "file": self.file,
            "place": self.place,
            "row": self.row,
            "kind": self.kind,
            "shown": self.shown,
            "read": self.read,
            "confidence": round(self.confidence, 6),
            "others": list(self.others),
            "pixels": encode_pixels(self.pixels),
        }
        if self.image is not None:
            facts["image"] = base64.b64encode(self.image).decode()
        if self.field is not None:
            facts["field"] = list(self.field)
        return facts

    @classmethod
    def parse(cls, facts: Mapping[str, Any]) -> Self:
        image, place = facts.get("image"), facts.get("field")
        return cls(
            file=facts["file"],
            place=facts["place"],
            row=facts["row"],
            kind=facts["kind"],
            shown=facts["shown"],
            read=facts["read"],
            confidence=facts["confidence"],
            others=tuple(facts["others"]),
            pixels=decode_pixels(facts["pixels"]),
            image=None if image is None else base64.b64decode(image),
            field=None if place is None else (place[0], place[1]),
        )


@dataclass(frozen=True, slots=True)
class Review:
    """The cells of a review in the order in which they are shown, and where they come from.

    labels   the classes as text, in the bundle's order
    options  the options that chose the cells, by the names of their flags
    fields   the fields that cells are part of: the values of the group columns, and all cells of
             the field as (pixels, class that was read)
    digest   of the document's bytes; it names the review in journals
    """

    labels: tuple[str, ...]
    files: tuple[ReviewedFile, ...]
    cells: tuple[Cell, ...]
    options: Mapping[str, Any]
    fields: tuple[tuple[Mapping[str, str], tuple[tuple[NDArray[Any], int], ...]], ...] = ()
    digest: str = field(default="", compare=False)

    def encode(self) -> bytes:
        """Return the document's bytes: the same for the same predictions and options."""
        facts = {
            "format": FORMAT,
            "labels": self.labels,
            "options": dict(self.options),
            "files": [
                {
                    "path": file.path,
                    "sha256": file.digest,
                    "rows": file.rows,
                    "accepted": file.accepted,
                    "bundle": dict(file.bundle),
                }
                for file in self.files
            ],
            "fields": [
                {"of": dict(of), "cells": [[encode_pixels(p), read] for p, read in cells]}
                for of, cells in self.fields
            ],
            "cells": [cell.facts() for cell in self.cells],
        }
        return json.dumps(facts, separators=(",", ":"), ensure_ascii=True).encode() + b"\n"

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the document in a review's folder.

        Raises NoInputError if it is absent, UnusableInputError if it is damaged or of another
        format, IOFailedError if it can't be read.
        """
        path = folder / DOCUMENT
        try:
            data = read_small(path, MOST_BYTES)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NoInputError(
                f"{path}: no such file; give the folder that `review make` wrote, or keep journals "
                "in it"
            ) from error
        except OSError as error:
            raise IOFailedError(f"{path}: can't be read: {error.strerror or error}") from error
        try:
            facts = parse_strict(data, max(MOST_DECODED, _MOST_SWELLING * len(data)))
            if facts["format"] != FORMAT:
                raise UnusableInputError(
                    f"{path}: a review of format {facts['format']!r}, this batchdigits reads "
                    f"{FORMAT}; use the version that made it"
                )
            return cls._parse(facts, digest_bytes(data))
        except (ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
            raise UnusableInputError(
                f"{path}: not a review, or damaged ({type(error).__name__}); make it again with "
                "`review make`"
            ) from error

    @classmethod
    def _parse(cls, facts: Mapping[str, Any], digest: str) -> Self:
        files = tuple(
            ReviewedFile(f["path"], f["sha256"], f["rows"], f["accepted"], f["bundle"])
            for f in facts["files"]
        )
        for file in files:
            if type(file.path) is not str or not 0 <= _whole(file.accepted) <= _whole(file.rows):
                raise ValueError("a file has no path or no counts")
        labels = tuple(map(str, facts["labels"]))
        cells = tuple(map(Cell.parse, facts["cells"]))
        for cell in cells:
            inside = 0 <= _whole(cell.file) < len(files)
            if not (inside and 0 <= _whole(cell.place) < files[cell.file].rows):
                raise ValueError("a cell is outside its file")
            if cell.kind not in KINDS:
                raise ValueError("a cell is of an unknown kind")
            if not all(0 <= _whole(c) < len(labels) for c in (cell.shown, cell.read, *cell.others)):
                raise ValueError("a cell has a class that the bundle has not")
        return cls(
            labels=labels,
            files=files,
            cells=cells,
            options=facts["options"],
            fields=tuple(
                (f["of"], tuple((decode_pixels(p), read) for p, read in f["cells"]))
                for f in facts["fields"]
            ),
            digest=digest,
        )


def _whole(value: object) -> int:
    if type(value) is not int:
        raise TypeError("expected a whole number")
    return value


def encode_pixels(pixels: NDArray[Any]) -> str:
    """Encode 64 pixels as base64: of 64 bytes if they are whole, else of 64 float32."""
    whole = pixels.astype(np.uint8)
    exact = whole if (whole == pixels).all() else pixels.astype("<f4")
    return base64.b64encode(exact.tobytes()).decode()


def decode_pixels(text: str) -> NDArray[Any]:
    """Decode what `encode_pixels` wrote. Raises ValueError for anything else."""
    data = base64.b64decode(text, validate=True)
    return np.frombuffer(data, np.uint8 if len(data) == PIXELS else "<f4").reshape(PIXELS)
