"""Labelled rows: an input file, its column of true labels, and the class that a label means."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from batchdigits.errors import UnusableInputError, UsageError
from batchdigits.evaluation.groups import may_group
from batchdigits.evaluation.options import LabelledOptions
from batchdigits.files.inputs import check_content, expand_inputs
from batchdigits.files.names import InputFile
from batchdigits.rows.arrow import is_any
from batchdigits.rows.contract import Rows, Source
from batchdigits.rows.csv.values import MISSING
from batchdigits.rows.formats import open_source
from batchdigits.rows.options import ONE_THREAD, Machine

UNKNOWN = -1
UNLABELLED = -2

_MISSING_TEXTS = {text.decode() for text in MISSING} | {"nan", ""}
_WHOLE_FLOAT = re.compile(r"(-?[0-9]+)\.0+")


@dataclass(frozen=True, slots=True)
class LabelledRows:
    """An open input file of rows to judge bundles by.

    name   the file's name in messages
    label  its column of labels; None if it has none
    """

    name: str
    source: Source[Any]
    label: str | None

    def labels_of(self, rows: Rows) -> pa.Array | None:
        """Return the labels of a batch's scorable rows; None if the file has no labels."""
        return None if self.label is None else named_column(rows, self.label, f"{self.name}: ")


@contextmanager
def open_labelled(
    input_file: InputFile, options: LabelledOptions, machine: Machine = ONE_THREAD
) -> Iterator[LabelledRows]:
    """Open an input file whose content `check_content` has let pass; close it when the block ends.

    Raises as `open_source`, and UsageError for a column whose type can't hold labels or groups.
    """
    source = open_source(input_file, options, machine)
    try:
        schema = source.schema
        label = options.label_among(schema.names)
        for name in options.keep or ():
            if not may_group(schema.field(name).type):
                raise UsageError(
                    f"--by {name}: {input_file.name} holds {schema.field(name).type} there; group "
                    "by a column of numbers, text, dates or booleans"
                )
        if label is not None and not _may_be_label(schema.field(label).type):
            raise UsageError(
                f"{input_file.name}: the label column {label!r} is {schema.field(label).type}: "
                "name a column of whole numbers, booleans or text with --label"
            )
        yield LabelledRows(input_file.name, source, label)
    finally:
        source.close()


def find_file(path: str) -> InputFile:
    """Return the one input file that `--data` names, its content checked.

    Raises UsageError for several files or `-`, and as `check_content`.
    """
    expanded = expand_inputs([path])
    if expanded.several or expanded.inputs[0].path is None:
        raise UsageError(f"--data {path}: name one CSV or Parquet file")
    check_content(expanded.inputs[0])
    return expanded.inputs[0]


def find_files(names: Sequence[str]) -> list[InputFile]:
    """Return the input files that `--data` names, each content checked.

    Raises UsageError for `-` and for a file that is named twice, and as `check_content`.
    """
    files = list(expand_inputs(names).inputs)
    seen: dict[tuple[int, int], str] = {}
    for file in files:
        if file.path is None:
            raise UsageError("--data -: name CSV or Parquet files, not standard input")
        check_content(file)
        facts = file.path.stat()
        first = seen.setdefault((facts.st_dev, facts.st_ino), file.name)
        if first is not file.name:
            raise UsageError(f"{file.name}: is the same file as {first}; name it once")
    return files


def named_column(rows: Rows, name: str, where: str = "") -> pa.Array:
    """Return a pass-through column of a batch's scorable rows.

    Raises UnusableInputError, beginning with `where`, for text that is not UTF-8.
    """
    # By the name `a.b` pyarrow may look for the field b of a struct a.
    column = rows.passthrough.column(rows.passthrough.schema.names.index(name))
    check_utf8(column, f"{where}column {name!r}")
    return column


def check_utf8(column: pa.Array | pa.ChunkedArray, where: str) -> None:
    """Raise UnusableInputError for text that is not UTF-8: Parquet and its readers don't check."""
    try:
        column.validate(full=True)
    except pa.ArrowInvalid as error:
        raise UnusableInputError(
            f"{where} holds text that is not UTF-8; write the file again in UTF-8"
        ) from error


def label_keys(values: Iterable[Any]) -> dict[str, int]:
    """Return the place of each class by every text that a file may write for it.

    A label means the same as text in a CSV and typed in Parquet: 3, 3.0 and "3"; true and "True".
    """
    places = {label_text(value): place for place, value in enumerate(values)}
    for text, place in list(places.items()):
        places.setdefault(_normalised(text), place)
    return places


def label_places(column: pa.Array, keys: Mapping[str, int]) -> NDArray[np.int64]:
    """Return the class of each row, int64 (n,): its place by `keys`, or UNKNOWN or UNLABELLED."""
    kind = column.type
    if pa.types.is_dictionary(kind) or pa.types.is_string_view(kind):
        column = column.cast(kind.value_type if pa.types.is_dictionary(kind) else pa.string())
    encoded = column.dictionary_encode()
    known = [_place(value, keys) for value in encoded.dictionary.to_pylist()]
    indices = encoded.indices.fill_null(len(known)).to_numpy(zero_copy_only=False)
    places: NDArray[np.int64] = np.array([*known, UNLABELLED], np.int64)[indices]
    return places


def _may_be_label(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    text = ("string", "string_view", "large_string")
    return is_any(kind, *text, "boolean", "integer", "floating", "null")


def _place(value: Any, keys: Mapping[str, int]) -> int:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return UNLABELLED
    text = label_text(value)
    place = keys.get(text, keys.get(_normalised(text)))
    if place is not None:
        return place
    return UNLABELLED if text.strip().lower() in _MISSING_TEXTS else UNKNOWN


def label_text(value: Any) -> str:
    """Return a label as text, as a CSV of predictions writes it: 3 for 3.0, true for True."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _normalised(text: str) -> str:
    text = text.strip()
    whole = _WHOLE_FLOAT.fullmatch(text)
    if whole:
        return whole[1]
    return text.lower() if text.lower() in ("true", "false") else text
