"""The columns of a file of predictions: those of the input, those of scoring, row and pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa

from batchdigits.files.places.contract import Place
from batchdigits.images import PIXELS
from batchdigits.rows.arrow import numbers
from batchdigits.rows.contract import Pixels, Source
from batchdigits.rows.formats import check_schema, find_format
from batchdigits.rows.pixels import LIST_COLUMN, SPELLINGS, refuse_reserved
from batchdigits.rows.rejects import REJECT_COLUMNS
from batchdigits.scoring.options import ScoreOptions
from batchdigits.scoring.scorer import Scored, Scorer

ROW = pa.field("row", pa.int64())
"""The number of a row in the input, from 1, as the rejects count it."""


@dataclass(frozen=True, slots=True)
class PredictionColumns:
    """The columns of the predictions of one source.

    schema       all of them, in order
    few_values   the names of those whose values repeat a lot
    passthrough  how many pass through from the input; they come first
    numbered     whether `row` follows them
    pixels       the columns of pixels at the end: 64, or one of lists; none if they are not kept
    """

    schema: pa.Schema
    few_values: frozenset[str]
    passthrough: int
    numbered: bool
    pixels: tuple[pa.Field, ...]

    @classmethod
    def of(
        cls, source: Source[Any], scorer: Scorer, options: ScoreOptions, place: Place, name: str
    ) -> Self:
        """Lay out the predictions of a source.

        Raises UnusableInputError for a pass-through column that has the name of an output column,
        or that the output's format can't hold.
        """
        kind = place.targets.kind
        pixels = _pixel_fields(as_list=not find_format(kind).is_text) if options.keep_pixels else ()
        numbered = options.row_number or not len(source.schema)
        names = {*scorer.names, *REJECT_COLUMNS, *(field.name for field in pixels)}
        refuse_reserved(source.schema.names, names, name)
        added = [column.field for column in scorer.columns]
        schema = pa.schema([*source.schema, *([ROW] if numbered else []), *added, *pixels])
        check_schema(kind, schema, name)
        few_values = scorer.few_values | {field.name for field in pixels}
        return cls(schema, few_values, len(source.schema), numbered, pixels)

    def batch(self, scored: Scored, first_row: int) -> pa.RecordBatch:
        """Return the columns of a scored batch whose first row has that number in the input."""
        columns = scored.predictions.columns
        row = [numbers(scored.offsets + first_row)] if self.numbered else []
        return pa.RecordBatch.from_arrays(
            [
                *columns[: self.passthrough],
                *row,
                *columns[self.passthrough :],
                *self._pixel_arrays(scored.pixels),
            ],
            schema=self.schema,
        )

    def _pixel_arrays(self, pixels: Pixels) -> list[pa.Array]:
        if not self.pixels:
            return []
        if len(self.pixels) == 1:
            flat = np.ascontiguousarray(pixels, np.float32).reshape(-1)
            return [pa.FixedSizeListArray.from_arrays(numbers(flat), type=self.pixels[0].type)]
        return [numbers(pixels[:, i].astype(np.float32)) for i in range(PIXELS)]


def _pixel_fields(*, as_list: bool) -> tuple[pa.Field, ...]:
    if as_list:
        return (pa.field(LIST_COLUMN, pa.list_(pa.float32(), PIXELS)),)
    return tuple(pa.field(name, pa.float32()) for name in SPELLINGS[0].names)
