"""Rows to judge bundles by: one file, and the column that holds the true labels, if any does."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from batchdigits.errors import UnusableInputError, UsageError
from batchdigits.files.inputs import check_content, expand_inputs
from batchdigits.files.names import InputFile
from batchdigits.rows.csv.values import MISSING
from batchdigits.rows.formats import open_source
from batchdigits.rows.options import ONE_THREAD, Machine, ReadOptions
from batchdigits.text import listing

DEFAULT_LABEL = "label"
UNKNOWN = -1
UNLABELLED = -2

_MISSING_TEXTS = {text.decode() for text in MISSING} | {"nan", ""}
_WHOLE_FLOAT = re.compile(r"(-?[0-9]+)\.0+")


@dataclass(frozen=True, slots=True)
class Examples:
    """A file of rows: how they are read, and which pass-through column holds their labels."""

    input_file: InputFile
    rows: ReadOptions
    label: str | None
    machine: Machine = ONE_THREAD


def find_examples(
    path: str, label: str | None, options: ReadOptions, machine: Machine = ONE_THREAD
) -> Examples:
    """The rows in the file at `path`, with the other columns that `options.keep` names.

    Without `label` the column `label` is taken, where there is one. Raises UsageError for more
    than one file or standard input and for a column that can't hold labels, NoInputError, or
    UnusableInputError for a file that can't be read or has no column `label`.
    """
    found = expand_inputs([path])
    if found.several or found.inputs[0].path is None:
        raise UsageError(f"--data {path}: name one CSV or Parquet file, it may be read twice")
    input_file = found.inputs[0]
    check_content(input_file)
    examples = examples_of(input_file, label, options, read_schema(input_file, options))
    return replace(examples, machine=machine)


def read_schema(input_file: InputFile, options: ReadOptions) -> pa.Schema:
    """The columns besides the pixels of a file that `check_content` has let pass.

    Raises as `open_source`.
    """
    source = open_source(input_file, replace(options, keep=None)).source
    schema = source.schema
    source.close()
    return schema


def examples_of(
    input_file: InputFile, label: str | None, options: ReadOptions, schema: pa.Schema
) -> Examples:
    """The rows in a file with that schema, as `find_examples` gives and refuses them."""
    column = _label_column(schema.names, label, input_file.name)
    if column is not None and not _may_be_label(schema.field(column).type):
        raise UsageError(
            f"{input_file.name}: the label column {column!r} is {schema.field(column).type}: "
            "name one of whole numbers, booleans or text with --label"
        )
    if options.keep is not None and column is not None:
        options = replace(options, keep=(column, *(n for n in options.keep if n != column)))
    return Examples(input_file, options, column)


def label_keys(values: Iterable[Any]) -> dict[str, int]:
    """The place of each class by every text that may stand for it in a file.

    A label means the same as text in a CSV and typed in Parquet: 3, 3.0 and "3"; true and "True".
    """
    places = {_as_text(value): place for place, value in enumerate(values)}
    for text, place in list(places.items()):
        places.setdefault(_normalised(text), place)
    return places


def label_places(column: pa.Array, keys: Mapping[str, int]) -> NDArray[np.int64]:
    """The class of each row, int64 (n,): its place by `keys`, else UNKNOWN or UNLABELLED."""
    kind = column.type
    if pa.types.is_dictionary(kind) or pa.types.is_string_view(kind):
        column = column.cast(kind.value_type if pa.types.is_dictionary(kind) else pa.string())
    encoded = column.dictionary_encode()
    known = [_place(value, keys) for value in encoded.dictionary.to_pylist()]
    indices = encoded.indices.fill_null(len(known)).to_numpy(zero_copy_only=False)
    places: NDArray[np.int64] = np.array([*known, UNLABELLED], np.int64)[indices]
    return places


def _label_column(names: Sequence[str], asked: str | None, where: str) -> str | None:
    if asked is None:
        return DEFAULT_LABEL if DEFAULT_LABEL in names else None
    if asked not in names:
        raise UnusableInputError(
            f"{where}: no column {asked!r} with labels; the columns besides the pixels are "
            f"{listing(map(repr, names)) or 'none'}; name the labels' with --label"
        )
    return asked


def _may_be_label(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_string_view(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_null(kind)
    )


def _place(value: Any, keys: Mapping[str, int]) -> int:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return UNLABELLED
    text = _as_text(value)
    place = keys.get(text, keys.get(_normalised(text)))
    if place is not None:
        return place
    return UNLABELLED if text.strip().lower() in _MISSING_TEXTS else UNKNOWN


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _normalised(text: str) -> str:
    text = text.strip()
    whole = _WHOLE_FLOAT.fullmatch(text)
    if whole:
        return whole[1]
    return text.lower() if text.lower() in ("true", "false") else text
