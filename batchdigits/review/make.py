"""The making of a review: predictions become cells in an order, a document and a page."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from batchdigits.archive.bundle_file import BundleFile
from batchdigits.engines.open import open_checked
from batchdigits.errors import OutputError, UnusableInputError, UsageError
from batchdigits.evaluation.labels import label_keys, label_text
from batchdigits.files.atomic import replace_file
from batchdigits.review.choose import Choice, ChoiceOptions, check_decisions, choose
from batchdigits.review.document import (
    DOCUMENT,
    DOUBTFUL,
    PAGE,
    PLANTED,
    Cell,
    Review,
    ReviewedFile,
)
from batchdigits.review.fields import FieldPlaces, find_fields
from batchdigits.review.page import build_page
from batchdigits.rows.arrow import is_any
from batchdigits.scoring.published import Predictions
from batchdigits.scoring.receipt import Receipt
from batchdigits.scoring.replay import find_bundle
from batchdigits.store.choice import BundleChoice

logger = logging.getLogger("batchdigits.review")

OTHERS = 3
"""Other readings that a cell offers, the likeliest first."""

TOLERANCE = 1e-4
"""The largest difference of a confidence that another processor explains."""

IMAGE_COLUMN = "image"
LARGEST_IMAGE = 64 << 10
_MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")

_FOLDER_MODE = 0o700
_FILE_MODE = 0o600


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the bundles and the pixels of a review come from, besides the predictions.

    bundle  the bundle of the predictions; None: the one with the receipt's digest, in the `store`
            or inside the package
    input   where the input of a single file is now; None: where its receipt says it was
    """

    bundle: str | None = None
    store: str | None = None
    input: Path | None = None


def make_review(
    files: Sequence[Predictions], options: ChoiceOptions, sources: Sources, folder: Path
) -> Review:
    """Choose the cells of some predictions, and read what a reviewer needs to see.

    Raises UsageError, NoInputError, UnusableInputError or BundleError.
    """
    options.checked()
    if sources.input is not None and len(files) > 1:
        raise UsageError("--input takes a single file of predictions; name one")
    for file in files:
        check_decisions(file)
    bundles = _open_bundles(files, sources)
    labels = [tuple(map(label_text, bundle.manifest.classes.values)) for bundle in bundles]
    for file, own in zip(files, labels, strict=True):
        if own != labels[0]:
            raise UnusableInputError(
                f"{file.path}: its bundle has other labels than that of {files[0].path}; make a "
                "review of each"
            )
    keys = [label_keys(bundle.manifest.classes.values) for bundle in bundles]
    choice = choose(files, keys, options)
    fields: list[_Field] = []
    cells = [
        cell
        for number, (file, bundle) in enumerate(zip(files, bundles, strict=True))
        for cell in _FileCells(number, file, bundle, choice, sources).cells(options.group, fields)
    ]
    return Review(
        labels=labels[0],
        files=tuple(
            ReviewedFile(
                os.path.relpath(file.path.absolute(), folder.absolute()),
                file.receipt.predictions.digest,
                file.rows,
                accepted,
                {name: file.receipt.key.bundle[name] for name in ("name", "version", "digest")},
            )
            for file, accepted in zip(files, choice.accepted, strict=True)
        ),
        cells=tuple(_in_order(cells, choice)),
        options=options.facts(),
        fields=tuple((field.of, field.cells) for field in fields),
    )


def write_review(review: Review, folder: Path) -> None:
    """Write the document and the page into a folder, for the user's eyes alone.

    Writes nothing new over a review with journals: raises OutputError for a folder that holds
    another review or anything else. The same review is written again, with the page of this
    version.
    """
    data = review.encode()
    document = folder / DOCUMENT
    if folder.is_dir() and any(folder.iterdir()):
        is_same = document.is_file() and document.read_bytes() == data
        if not is_same:
            raise OutputError(
                f"{folder}: exists and holds something else than this review; name another folder, "
                "or remove it once its journals are applied"
            )
    elif os.path.lexists(folder) and not folder.is_dir():
        raise OutputError(f"{folder}: exists and is not a folder; name another")
    _make_folder(folder)
    _write_private(document, data)
    _write_private(folder / PAGE, build_page(data))


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"{folder}: can't be created: {error.strerror or error}; name another folder"
        ) from error


def _write_private(path: Path, data: bytes) -> None:
    replace_file(path, data, mode=_FILE_MODE)


def _open_bundles(files: Sequence[Predictions], sources: Sources) -> list[BundleFile]:
    opened: dict[str, BundleFile] = {}
    for file in files:
        digest = file.receipt.key.bundle["digest"]
        if digest not in opened:
            opened[digest] = _load_bundle(file.receipt, sources)
    return [opened[file.receipt.key.bundle["digest"]] for file in files]


def _load_bundle(receipt: Receipt, sources: Sources) -> BundleFile:
    given = sources.bundle
    reference = find_bundle(receipt, sources.store) if given is None else given
    return BundleChoice(
        bundle=reference, store=sources.store, expect_digest=receipt.key.bundle["digest"]
    ).load()


@dataclass(slots=True)
class _Field:
    of: Mapping[str, str]
    cells: tuple[tuple[NDArray[Any], int], ...]


class _FileCells:
    """The cells of one file: its chosen rows with their pixels, pictures and likeliest classes."""

    def __init__(
        self, number: int, file: Predictions, bundle: BundleFile, choice: Choice, sources: Sources
    ) -> None:
        self._number = number
        self._file = file
        self._input = sources.input
        self._engine = open_checked(bundle)
        self._kinds = {
            int(row["place"]): (kind, row)
            for kind, rows in choice.rows.items()
            for row in rows[rows["file"] == number]
        }

    def cells(self, group: Sequence[str], fields: list[_Field]) -> list[Cell]:
        """Return the cells; append the fields that they are part of."""
        places = np.array(sorted(self._kinds), np.int64)
        around = find_fields(self._file, group, places)
        all_places = np.unique(
            np.concatenate([places, *(np.array(f.places, np.int64) for f in around.values())])
        )
        pixels, rows = self._file.pixels(all_places, self._input)
        at = {place: index for index, place in enumerate(all_places.tolist())}
        order = self._order(pixels[[at[place] for place in places.tolist()]], places)
        images = self._images(places)
        field_of = self._fields(around, pixels, at, fields)
        cells = []
        for index, place in enumerate(places.tolist()):
            kind, row = self._kinds[place]
            read = int(row["read"])
            others = [int(each) for each in order[index] if each != read][:OTHERS]
            shown = read
            if kind == PLANTED:
                shown, others = others[0], [read, *others[1:]]
            cells.append(
                Cell(
                    file=self._number,
                    place=place,
                    row=None if rows is None else int(rows[at[place]]),
                    kind=kind,
                    shown=shown,
                    read=read,
                    confidence=float(row["sure"]),
                    others=tuple(others),
                    pixels=pixels[at[place]],
                    image=images[index],
                    field=field_of.get(place),
                )
            )
        return cells

    def _order(self, pixels: NDArray[np.float32], places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the classes of each chosen row, the likeliest first.

        Raises UnusableInputError if the pixels give another result than the file holds.
        """
        if not len(places):
            return np.zeros((0, 0), np.int64)
        probabilities = self._engine.probabilities(np.ascontiguousarray(pixels))
        for index, place in enumerate(places.tolist()):
            _, row = self._kinds[place]
            now = float(probabilities[index, row["read"]])
            if not abs(min(now, 1.0) - row["sure"]) <= TOLERANCE:
                raise UnusableInputError(
                    f"{self._file.path}: prediction {place + 1} has the confidence "
                    f"{row['sure']:.6f}, but its pixels give {now:.6f}: they are not the pixels "
                    "that were scored; run predict again"
                )
        order: NDArray[np.int64] = np.argsort(-probabilities, axis=1, kind="stable")
        return order

    def _images(self, places: NDArray[np.int64]) -> list[bytes | None]:
        """Return the picture of each row, PNG or JPEG; None where it has none."""
        schema = self._file.schema
        if IMAGE_COLUMN not in schema.names or not _is_binary(schema.field(IMAGE_COLUMN).type):
            return [None] * len(places)
        pictures = self._file.take([IMAGE_COLUMN], places)[IMAGE_COLUMN].to_pylist()
        return [
            image if image and image.startswith(_MAGIC) and len(image) <= LARGEST_IMAGE else None
            for image in pictures
        ]

    def _fields(
        self,
        around: Mapping[int, FieldPlaces],
        pixels: NDArray[np.float32],
        at: Mapping[int, int],
        fields: list[_Field],
    ) -> dict[int, tuple[int, int]]:
        """Append the fields of the chosen places; return the field of each and its place there."""
        wanted = np.array(sorted({p for f in around.values() for p in f.places}), np.int64)
        read: dict[int, int] = {}
        if len(wanted):
            probabilities = self._engine.probabilities(
                np.ascontiguousarray(pixels[[at[place] for place in wanted.tolist()]])
            )
            read = dict(zip(wanted.tolist(), probabilities.argmax(axis=1).tolist(), strict=True))
        numbers: dict[tuple[int, ...], int] = {}
        result = {}
        for place, field in around.items():
            if field.places not in numbers:
                numbers[field.places] = len(fields)
                cells = tuple((pixels[at[each]], int(read[each])) for each in field.places)
                fields.append(_Field(field.of, cells))
            result[place] = numbers[field.places], field.places.index(place)
        return result


def _is_binary(kind: pa.DataType) -> bool:
    return is_any(kind, "binary", "large_binary")


def _in_order(cells: Sequence[Cell], choice: Choice) -> list[Cell]:
    """Sort the cells by reading, those in doubt by confidence, the others mixed in by chance."""
    keys = {
        (int(row["file"]), int(row["place"])): float(row["key"])
        for kind, rows in choice.rows.items()
        if kind != DOUBTFUL
        for row in rows
    }
    result = []
    for shown in sorted({cell.shown for cell in cells}):
        group = [cell for cell in cells if cell.shown == shown]
        doubtful = sorted(
            (cell for cell in group if cell.kind == DOUBTFUL),
            key=lambda cell: (cell.confidence, cell.file, cell.place),
        )
        mixed = [((index + 0.5) / len(doubtful), cell) for index, cell in enumerate(doubtful)]
        # The hash that chose a cell is near 0 for all that were chosen: only its last digits mix.
        mixed += [
            (keys[cell.file, cell.place] * 1e9 % 1, cell) for cell in group if cell.kind != DOUBTFUL
        ]
        mixed.sort(key=lambda pair: (pair[0], pair[1].file, pair[1].place))
        result += [cell for _, cell in mixed]
    return result
