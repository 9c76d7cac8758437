"""Runs of cells become fields: text, probability, decision and cause.

Cells count as independent: the probability of a text is the product of those of its digits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from batchdigits.errors import UnusableInputError
from batchdigits.fields.allowed import Allowed
from batchdigits.fields.columns import ADDED_COLUMNS, CAUSES, UNKNOWN
from batchdigits.fields.lengths import ANY, Key, Length
from batchdigits.fields.options import LONGEST_FIELD
from batchdigits.fields.runs import Runs
from batchdigits.rows.arrow import take

_NAMES = tuple(CAUSES)
_RANK = {name: rank for rank, name in enumerate(_NAMES)}
_FINE = len(_NAMES)
_ADDED_TYPES = (
    pa.string(),
    pa.int32(),
    pa.float64(),
    pa.float64(),
    pa.int64(),
    pa.string(),
    pa.string(),
    pa.string(),
)


@dataclass(frozen=True, slots=True)
class Rules:
    """What decides about a field.

    base          the number of the first position, 0 or 1
    length        the number of cells of a field
    lengths       the number of cells by the values of the group columns `at`, in place of `length`
    classes       the characters of the classes, in the order of the cells' probabilities
    allowed       the texts that a field may hold; `corrects`: another text may become one of them
    review_below  the least probability of an accepted field; None: its cells decide
    """

    base: int
    allowed: Allowed
    length: Length = ANY
    lengths: Mapping[Key, Length] = field(default_factory=dict)
    at: tuple[int, ...] = ()
    classes: str = ""
    corrects: bool = False
    review_below: float | None = None


def field_schema(group: Sequence[str], cells: pa.Schema) -> pa.Schema:
    """Return the schema of fields: the columns of the group, then `ADDED_COLUMNS`."""
    kinds = [cells.field(f"group_{at}").type for at in range(len(group))]
    return pa.schema(
        [*zip(group, kinds, strict=True), *zip(ADDED_COLUMNS, _ADDED_TYPES, strict=True)]
    )


def assemble(runs: Runs, rules: Rules, schema: pa.Schema) -> pa.RecordBatch:
    """Make the fields of some runs, in their order, with the columns of `schema`.

    Raises UnusableInputError for labels of more than one character.
    """
    if not len(runs.starts):  # its cells are with others of their fields
        return pa.RecordBatch.from_pylist([], schema=schema)
    fields = _Fields(runs, rules)
    fields.read_regular()
    fields.read_irregular()
    fields.judge()
    return fields.as_batch(schema)


class _Fields:
    """The fields of some runs while they are read: arrays of one value a run, r of them.

    The cells, n of them, are sorted by run and position; `run_of` int64 (n,) is the run of each.
    """

    def __init__(self, runs: Runs, rules: Rules) -> None:
        self._rules = rules
        self._starts = runs.starts
        self._counts = np.diff(np.append(runs.starts, runs.cells.num_rows))
        self._run_of = np.repeat(np.arange(len(runs.starts)), self._counts)
        self._cells, self._position = self._sorted(runs.cells)
        self._letters = _letters(self._cells["label"])
        self._confidence = _floats(self._cells["confidence"])
        self._rank = np.full(len(runs.starts), _FINE)
        self._lengths = self._lengths_of_runs()
        self._texts: list[str | None] = []
        self._read: dict[int, str] = {}
        self._mark("scattered", runs.scattered)
        self._doubtful = runs.doubtful

    def read_regular(self) -> None:
        """Read every field as if its cells had the positions 1, 2, 3, …, each a digit."""
        with np.errstate(invalid="ignore"):
            self._probability = np.multiply.reduceat(self._confidence, self._starts)
        self._weakest = np.fmin.reduceat(self._confidence, self._starts)
        is_weakest = self._confidence == self._weakest[self._run_of]
        far = np.iinfo(np.int64).max
        self._weakest_position = np.minimum.reduceat(
            np.where(is_weakest, self._position, far), self._starts
        )
        text = self._letters
        ends = self._starts + self._counts
        self._texts = [text[a:b] for a, b in zip(self._starts.tolist(), ends.tolist(), strict=True)]
        self._mark("cell", self._any(self._flags("review")))

    def read_irregular(self) -> None:
        """Read the fields with gaps, doubled positions, rejected cells or another length."""
        expected = self._rules.base + np.arange(len(self._position)) - self._starts[self._run_of]
        wrong = self._position != expected
        rejected = self._flags("rejected")
        unread = np.asarray(self._cells["label"].is_null().to_numpy(zero_copy_only=False), np.bool_)
        least, most = self._lengths
        short = (self._counts < least) | (self._counts > most)
        # A field that is complete misses no cell that a lost line could be.
        complete = ~self._any(wrong) & (least == most) & ~short
        self._mark("rejected", self._any(rejected) | (self._doubtful & ~complete))
        self._mark("unreadable", self._any(unread & ~rejected))
        self._mark("length", short)
        for run in np.flatnonzero(self._any(wrong | unread) | short).tolist():
            self._read_run(run)

    def judge(self) -> None:
        """Test the texts that were read in full, and correct them if that was asked for."""
        rules = self._rules
        allowed = rules.allowed
        if allowed.asked:
            for run in np.flatnonzero(
                (self._rank == _FINE) | (self._rank == _RANK["cell"])
            ).tolist():
                text = self._texts[run] or ""
                cause = allowed.cause(text)
                if cause is not None:
                    self._correct(run, text, cause)
        if rules.review_below is not None:
            with np.errstate(invalid="ignore"):
                self._mark("probability", ~(self._probability >= rules.review_below))

    def as_batch(self, schema: pa.Schema) -> pa.RecordBatch:
        firsts = pa.array(self._starts)
        count = len(schema) - len(ADDED_COLUMNS)
        group = [self._cells[f"group_{at}"].take(firsts) for at in range(count)]
        causes = pa.array([*_NAMES, None], pa.string()).take(pa.array(self._rank))
        decisions = pa.array(["review"] * _FINE + ["accept"]).take(pa.array(self._rank))
        none = np.isnan(self._weakest)
        added = [
            pa.array(self._texts, pa.string()),
            pa.array(self._counts.astype(np.int32)),
            pa.array(self._probability, from_pandas=True),
            pa.array(self._weakest, from_pandas=True),
            pa.array(self._weakest_position, mask=none | (self._weakest_position < 0)),
            pa.array([self._read.get(run) for run in range(len(self._texts))], pa.string()),
            decisions,
            causes,
        ]
        return pa.RecordBatch.from_arrays([*group, *added], schema=schema)

    def _sorted(self, cells: pa.RecordBatch) -> tuple[pa.RecordBatch, NDArray[np.int64]]:
        """Sort the cells of each run by position; an unknown one, -1, comes first."""
        position = pc.fill_null(cells["position"], -1).to_numpy(zero_copy_only=False)
        steps = np.diff(position) < 0
        if (steps & (np.diff(self._run_of) == 0)).any():
            order = np.lexsort((position, self._run_of))
            cells, position = take(cells, order), position[order]
        return cells, position

    def _lengths_of_runs(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the least and the largest number of cells of each run."""
        rules, runs = self._rules, len(self._starts)
        if not rules.lengths:
            lengths = [rules.length] * runs
        else:
            firsts = pa.array(self._starts)
            columns = [self._cells[f"group_{at}"].take(firsts).to_pylist() for at in rules.at]
            keys = [tuple(map(str, values)) for values in zip(*columns, strict=True)]
            lengths = [rules.lengths.get(key, rules.length) for key in keys]
        least = [length.least for length in lengths]
        most = [LONGEST_FIELD if length.most is None else length.most for length in lengths]
        return np.array(least, np.int64), np.array(most, np.int64)

    def _read_run(self, run: int) -> None:
        """Read a field in which cells are missing, doubled or unread: `?` stands for these."""
        first = int(self._starts[run])
        cells = slice(first, first + int(self._counts[run]))
        positions = (self._position[cells] - self._rules.base).tolist()
        known = [at for at in positions if at >= 0]
        least, most = (int(limit[run]) for limit in self._lengths)
        places = max([*known, -1]) + 1
        self._probability[run] = np.nan
        if places > LONGEST_FIELD:
            self._texts[run] = None
            self._mark_one("gap", run)
            return
        text = [UNKNOWN] * max(places, least if least == most else 0, 1)
        seen: set[int] = set()
        for at, letter in zip(positions, self._letters[cells], strict=True):
            if at < 0:
                continue
            text[at] = UNKNOWN if at in seen else letter
            seen.add(at)
        self._texts[run] = "".join(text)
        if len(seen) < len(known):
            self._mark_one("doubled", run)
        if len(seen) < places:
            self._mark_one("gap", run)
        if not most >= len(seen) >= least:
            self._mark_one("length", run)

    def _correct(self, run: int, text: str, cause: str) -> None:
        """Replace a text that is not allowed by the most probable one that is."""
        rules = self._rules
        best = None
        if rules.corrects and cause != "check":  # a wrong check digit is evidence of an error
            table = self._probabilities(run)
            best = rules.allowed.most_probable(rules.classes, table)
        if best is None:
            self._mark_one(cause, run)
            return
        chosen = [table[at, rules.classes.index(letter)] for at, letter in enumerate(best)]
        self._texts[run], self._read[run] = best, text
        self._probability[run] = np.prod(chosen)
        self._weakest[run] = min(chosen)
        first = int(self._starts[run])
        self._weakest_position[run] = self._position[first + int(np.argmin(chosen))]
        if rules.review_below is None:
            self._mark_one("corrected", run)
        else:
            self._rank[run] = _FINE  # its probability decides, whatever was read in its cells

    def _probabilities(self, run: int) -> NDArray[np.float64]:
        """Return the probabilities of the run's cells by class, float64 (cells, k)."""
        first, count = int(self._starts[run]), int(self._counts[run])
        part = self._cells.slice(first, count)
        names = [f"probability_{at}" for at in range(len(self._rules.classes))]
        table = np.stack([_floats(part[name]) for name in names], axis=1)
        for at, (letter, confidence) in enumerate(
            zip(self._letters[first : first + count], part["confidence"].to_pylist(), strict=True)
        ):
            if confidence == 1 and letter in self._rules.classes:  # a reviewer decided
                table[at] = np.eye(len(names))[self._rules.classes.index(letter)]
        return np.nan_to_num(table)

    def _flags(self, name: str) -> NDArray[np.bool_]:
        return np.asarray(self._cells[name].to_numpy(zero_copy_only=False), np.bool_)

    def _any(self, cells: NDArray[np.bool_]) -> NDArray[np.bool_]:
        result: NDArray[np.bool_] = np.logical_or.reduceat(cells, self._starts)
        return result

    def _mark(self, cause: str, runs: NDArray[np.bool_]) -> None:
        self._rank[runs] = np.minimum(self._rank[runs], _RANK[cause])

    def _mark_one(self, cause: str, run: int) -> None:
        self._rank[run] = min(int(self._rank[run]), _RANK[cause])


def _letters(labels: pa.Array) -> str:
    """Return the labels, each one character, as one text; `?` for none.

    Raises UnusableInputError for longer ones, whose texts could be read in two ways.
    """
    text = "".join(label or UNKNOWN for label in labels.to_pylist())
    if len(text) != len(labels):
        long = next(label for label in labels.to_pylist() if label and len(label) > 1)
        raise UnusableInputError(
            f"the prediction {long[:50]!r}: fields are made of labels of one character, such as "
            "digits; map the labels to characters first"
        )
    return text


def _floats(values: pa.Array) -> NDArray[np.float64]:
    return np.array(values.to_numpy(zero_copy_only=False), np.float64)
