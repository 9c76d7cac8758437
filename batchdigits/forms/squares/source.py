"""A file of square pictures as a source of crops."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from batchdigits.errors import UnusableInputError
from batchdigits.files.content import read_head
from batchdigits.files.digest import digest_file
from batchdigits.files.inputs import check_content
from batchdigits.files.names import InputFile, split_name
from batchdigits.files.streams import Snapshot, open_input
from batchdigits.forms.arrays import crops_batch
from batchdigits.forms.columns import CELLS, DETAIL, FILE, REASON
from batchdigits.forms.crop import Crop, read_crop
from batchdigits.forms.crop_source import Judged
from batchdigits.forms.pictures import PictureError
from batchdigits.forms.publish import InputsDigest
from batchdigits.forms.squares.arrow import SquareParquet
from batchdigits.forms.squares.block import SquareBlock, SquareOptions, without_faint
from batchdigits.forms.squares.npy import SquareArray
from batchdigits.forms.squares.text import SquareText
from batchdigits.rows.arrow import take
from batchdigits.rows.parquet.stored import damage_as_unusable, open_stored
from batchdigits.rows.rejects import written_name
from batchdigits.text import listing

ROW = pa.field("file_row", pa.int64())
"""The number of the row in its file, from 1; predict reserves the name `row`."""

NPY = ".npy"
_NPY_MAGIC = b"\x93NUMPY"


class _Reader(Protocol):
    others: pa.Schema

    def blocks(self) -> Iterator[SquareBlock]: ...


def is_of_squares(argument: str) -> bool:
    """Tell whether an argument is named as a file of rows: CSV, Parquet or npy."""
    return argument.lower().endswith(NPY) or split_name(Path(argument).name)[1] is not None


class SquareFile:
    """The rows of one file, each a square picture; other columns pass through after `file_row`."""

    files = 1
    total: int | None = None
    rejects = pa.schema([FILE, ROW, REASON, DETAIL])

    def __init__(self, argument: str, options: SquareOptions, light_ink: bool | None) -> None:
        self._path = Path(argument)
        self._options = options
        self._light_ink = light_ink
        self.options = {"light_ink": light_ink, **options.facts()}
        with self._opened() as reader:
            self._snapshot = Snapshot.of(self._path)
            own = [FILE, ROW, *(f for f in CELLS if f != FILE)]
            taken = {f.name for f in own} & set(reader.others.names)
            if taken:
                raise UnusableInputError(
                    f"{argument}: the column {listing(map(repr, sorted(taken)))} has the name of "
                    "an output column; rename it"
                )
            self.schema = pa.schema([FILE, ROW, *reader.others, *own[2:]])
        self.judge = JudgeSquares(written_name(argument), self.schema, light_ink)

    def blocks(self) -> Iterator[SquareBlock | str]:
        """Yield the squares, and after the last the file's digest."""
        with self._opened() as reader:
            self._snapshot.verify(self._path)  # rows of other columns would not fit the schema
            blocks = reader.blocks()
            if self._options.scale is None:
                blocks = without_faint(blocks, str(self._path))
            yield from blocks
        yield digest_file(self._path)
        self._snapshot.verify(self._path)

    def digest(self) -> str:
        result = InputsDigest()
        result.add(self.judge.file, digest_file(self._path))
        return result.text()

    @contextmanager
    def _opened(self) -> Iterator[_Reader]:
        name = str(self._path)
        if name.lower().endswith(NPY):
            yield SquareArray(_array(self._path), self._options, name)
            return
        _, kind, compression = split_name(self._path.name)
        input_file = InputFile(self._path, kind or "csv", compression)
        check_content(input_file)
        if kind == "parquet":
            with closing(open_stored(self._path)) as stored:
                with damage_as_unusable(name):
                    file = pq.ParquetFile(stored, page_checksum_verification=True)
                    reader = SquareParquet(file, stored, self._options, name)
                yield reader
        else:
            with closing(open_input(input_file)) as stream:
                yield SquareText(stream, self._options, name)


@dataclass(frozen=True, slots=True)
class JudgeSquares:
    """Judges the squares of a block as crops; takes the file's digest too."""

    file: str
    schema: pa.Schema
    light_ink: bool | None

    def __call__(self, block: SquareBlock | str) -> Judged:
        if isinstance(block, str):
            return Judged(
                pa.RecordBatch.from_pylist([], schema=self.schema), [], [(self.file, block)]
            )
        crops: list[Crop] = []
        kept: list[int] = []
        refused = list(block.rejects)
        for i, picture in enumerate(block.pictures):
            try:
                crops.append(read_crop(picture, light_ink=self.light_ink))
                kept.append(i)
            except PictureError as error:
                refused.append((int(block.rows[i]), error.reason, error.detail))
        rejects = [
            {"file": self.file, ROW.name: row, "reason": reason, "detail": detail}
            for row, reason, detail in sorted(refused)
        ]
        return Judged(self._rows(block, crops, kept), rejects, [])

    def _rows(
        self, block: SquareBlock, crops: Sequence[Crop], kept: Sequence[int]
    ) -> pa.RecordBatch:
        places = np.array(kept, np.int64)
        columns = [
            pa.array([self.file] * len(kept), pa.string()),
            pa.array(block.rows[places]),
            *take(block.others, places).columns,
            *crops_batch(crops).columns,
        ]
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)


def _array(path: Path) -> Any:
    if not read_head(path).startswith(_NPY_MAGIC):
        raise UnusableInputError(f"{path}: is no npy file by its content; save it with numpy.save")
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        if error.errno is not None:
            raise
        raise _no_array(path, error) from error
    except (ValueError, EOFError) as error:
        raise _no_array(path, error) from error


def _no_array(path: Path, error: Exception) -> UnusableInputError:
    cause = " ".join(str(error).split())
    return UnusableInputError(f"{path}: can't be read as an npy file ({cause}); make it again")
