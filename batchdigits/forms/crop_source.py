"""Crops as files: the pictures that arguments name, one character each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from batchdigits.files.digest import digest_bytes
from batchdigits.forms.arrays import crops_batch
from batchdigits.forms.columns import CELLS, DETAIL, FILE, REASON
from batchdigits.forms.crop import MOST_SIDE, Crop, read_crop
from batchdigits.forms.grey import grey_of
from batchdigits.forms.pictures import Picture, PictureError, check_name, expand_pictures, opened
from batchdigits.forms.publish import InputsDigest
from batchdigits.rows.rejects import written_name

AT_A_TIME = 64
"""Crops that a worker takes at once."""

UNREADABLE = "unreadable"
"""What stands for the digest of a file that can't be read."""

_WHOLE_NUMBER = re.compile(r"0|-?[1-9][0-9]{0,17}")


@dataclass(frozen=True, slots=True)
class Judged:
    """A block of crops after judging.

    rows     a row of each crop that can be used
    rejects  the others, each by the names of the columns of the rejects
    digests  name and digest of each file that the block has read
    """

    rows: pa.RecordBatch
    rejects: list[dict[str, Any]]
    digests: list[tuple[str, str]]


class CropSource(Protocol):
    """Where crops come from.

    files     the number of files
    total     the number of crops, None where it isn't known
    options   the options that change a row
    schema    the columns of the rows; `rejects` those of the rejects
    blocks()  the crops in their order, some at a time; may be called once
    judge     makes rows and rejects of a block; may be called in another process
    digest()  reads all files once more and returns one digest of them, as an InputsDigest of
              the digests of all blocks does
    """

    files: int
    total: int | None
    options: dict[str, Any]
    schema: pa.Schema
    rejects: pa.Schema
    judge: Any

    def blocks(self) -> Iterator[Any]: ...

    def digest(self) -> str: ...


class CropFiles:
    """Pictures. Where all are in folders below the arguments, the folder's name is the `label`."""

    rejects = pa.schema([FILE, REASON, DETAIL])

    def __init__(self, arguments: Sequence[str], light_ink: bool | None = None) -> None:
        self._pictures = expand_pictures(arguments)
        self.files = len(self._pictures)
        self.total: int | None = self.files
        self.options: dict[str, Any] = {"light_ink": light_ink}
        self.schema = _with_label(CELLS, {picture.folder for picture in self._pictures})
        self.judge = JudgeFiles(self.schema, light_ink)

    def blocks(self) -> Iterator[list[Picture]]:
        for start in range(0, self.files, AT_A_TIME):
            yield self._pictures[start : start + AT_A_TIME]

    def digest(self) -> str:
        result = InputsDigest()
        for picture in self._pictures:
            try:
                result.add(picture.name, digest_bytes(picture.read()))
            except PictureError:
                result.add(picture.name, UNREADABLE)
        return result.text()


@dataclass(frozen=True, slots=True)
class JudgeFiles:
    """Reads, decodes and judges a block of pictures."""

    schema: pa.Schema
    light_ink: bool | None

    def __call__(self, block: list[Picture]) -> Judged:
        good: list[tuple[Picture, Crop]] = []
        rejects: list[dict[str, Any]] = []
        digests: list[tuple[str, str]] = []
        for picture in block:
            digest = UNREADABLE
            try:
                data = picture.read()
                digest = digest_bytes(data)
                good.append((picture, _read(picture.name, data, self.light_ink)))
            except PictureError as error:
                name = written_name(picture.name)
                rejects.append({"file": name, "reason": error.reason, "detail": error.detail})
            digests.append((picture.name, digest))
        return Judged(self._rows(good), rejects, digests)

    def _rows(self, good: Sequence[tuple[Picture, Crop]]) -> pa.RecordBatch:
        columns = [pa.array([written_name(picture.name) for picture, _ in good], pa.string())]
        if "label" in self.schema.names:
            kind = self.schema.field("label").type
            labels: list[Any] = [written_name(picture.folder) for picture, _ in good]
            columns.append(pa.array(map(int, labels) if kind == pa.int64() else labels, kind))
        columns += crops_batch([crop for _, crop in good]).columns
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)


def _read(name: str, data: bytes, light_ink: bool | None) -> Crop:
    with opened(data, check_name(name, data)) as image:
        frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
        if frames > 1:  # a phone's MPO has a preview as its second
            raise PictureError(
                "several-pictures", f"holds {frames} pictures, expected one; split it"
            )
        image.draft("L", (MOST_SIDE, MOST_SIDE))  # a JPEG is decoded smaller
        grey = grey_of(image)
    return read_crop(grey, light_ink=light_ink)


def _with_label(schema: pa.Schema, folders: set[str]) -> pa.Schema:
    if "" in folders:
        return schema
    whole = all(map(_WHOLE_NUMBER.fullmatch, folders))
    return schema.insert(1, pa.field("label", pa.int64() if whole else pa.string()))
