"""The work of `fields`: predictions in, one file of fields and its receipt out."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from batchdigits._version import __version__
from batchdigits.clock import utc_text
from batchdigits.errors import (
    InternalError,
    NoInputError,
    OutputError,
    UnusableInputError,
    UsageError,
)
from batchdigits.fields.allowed import open_allowed
from batchdigits.fields.assemble import Rules, assemble, field_schema
from batchdigits.fields.cells import Wanted, cell_schema, read_cells
from batchdigits.fields.columns import CAUSES, TEMPLATE, TEMPLATE_FIELD
from batchdigits.fields.inputs import PROBABILITY, Predictions, open_predictions
from batchdigits.fields.lengths import ANY, Length, lengths_of
from batchdigits.fields.options import FieldOptions
from batchdigits.fields.runs import Key, Runs, find_runs, gather, put_together, repeated_keys
from batchdigits.files.commit import named_outputs, outputs_match, read_receipt
from batchdigits.files.digest import digest_file, refuse_changes
from batchdigits.files.names import DATA_SUFFIXES, refuse_url, split_name
from batchdigits.files.places.local import LocalFolder
from batchdigits.files.targets import Targets, refuse_overwriting
from batchdigits.files.written import WrittenFile
from batchdigits.rows.formats import check_schema, find_format
from batchdigits.rows.template import Template, read_templates
from batchdigits.scoring.ledger import are_counts
from batchdigits.text import listing

KIND = "fields"
RECEIPT_FORMAT = 1

COUNTED = ("cells", "cells_rejected", "cells_without_field", "fields", "accepted")
"""The counts of a receipt, beside the table `to_review`."""

OnProgress = Callable[[int, float | None, str], None]


@dataclass(frozen=True, slots=True)
class FieldsResult:
    """The result of a run of `fields`; `status` is `assembled`, or `unchanged`."""

    output: Path
    receipt: Path
    status: str
    facts: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Return the summary that the command prints as JSON."""
        return {
            "exit_code": 0,
            "output": str(self.output),
            "receipt": str(self.receipt),
            "status": self.status,
            **{name: self.facts.get(name) for name in ("seconds", *COUNTED, "to_review")},
        }

    def as_text(self) -> str:
        """Return the summary for people."""
        facts = self.facts
        causes = listing(f"{count:,} {cause}" for cause, count in facts["to_review"].items())
        return (
            f"{self.output}: {self.status}\n"
            f"{facts['fields']:,} fields of {facts['cells']:,} cells\n"
            f"accepted {facts['accepted']:,}; to review: {causes or 'none'}"
        )


def assemble_fields(
    paths: Sequence[Path],
    output: Path,
    options: FieldOptions,
    *,
    overwrite: bool,
    on_progress: OnProgress,
) -> FieldsResult:
    """Make one file of fields from files of predictions, in their order.

    Raises UsageError, NoInputError, UnusableInputError, OutputError, IOFailedError or
    TryAgainError; nothing is published then.
    """
    place = LocalFolder(_targets(output))
    place.check()
    counted = options.length is not None or bool(options.templates)
    files = [open_predictions(path, counted=counted) for path in paths]
    _refuse_twice(files)
    templates = _templates(options)
    _refuse_overwriting(place.targets, files, options, templates)
    run = _Run(files, options, templates, place, on_progress)
    started = time.time()
    with place.held():
        work = _facts(files, options, templates)
        finished = _finished(place.targets, work)
        if finished is not None:
            return FieldsResult(output, place.targets.receipt, "unchanged", finished)
        present = next((path for path in place.targets.finals if os.path.lexists(path)), None)
        if present is not None and not overwrite:
            raise OutputError(
                f"{present}: exists already, from other predictions or options; move it away, or "
                "replace it with --overwrite"
            )
        with refuse_changes({path: of for file in files for path, of in file.digests.items()}):
            written, counts = run.write()
        receipt = {
            "format": RECEIPT_FORMAT,
            "kind": KIND,
            "batchdigits": __version__,
            "started": utc_text(started),
            "finished": utc_text(),
            "seconds": round(time.time() - started, 3),
            **work,
            **counts,
        }
        place.publish([written], receipt, overwrite=overwrite)
    return FieldsResult(output, place.targets.receipt, "assembled", receipt)


class _Run:
    """The passes over the predictions: repeated fields first, then the fields themselves."""

    def __init__(
        self,
        files: Sequence[Predictions],
        options: FieldOptions,
        templates: Sequence[Template],
        place: LocalFolder,
        on_progress: OnProgress,
    ) -> None:
        self._files = files
        self._options = options
        self._place = place
        self._on_progress = on_progress
        self._wanted = Wanted(options.group, options.position)
        self._check_columns()
        self._allowed = open_allowed(options)
        self._templates = templates
        self._classes, self._probabilities = self._find_classes() if options.corrects else ("", ())
        self._least = 1
        self._cells = 0

    def write(self) -> tuple[WrittenFile, dict[str, Any]]:
        """Write the fields to a temporary; return it and the counts of the receipt."""
        repeated = repeated_keys(runs.keys() for runs in self._runs(self._wanted, first=True))
        cells = self._cells
        wanted = Wanted(self._wanted.group, self._wanted.position, self._probabilities)
        rules = self._rules()
        scattered = gather(self._runs(wanted), repeated) if len(repeated) else {}
        self._cells = 0
        schema = field_schema(self._options.group, cell_schema(self._files[0], self._wanted))
        targets = self._place.targets
        check_schema(targets.kind, schema, targets.predictions.name)
        stream = self._place.open(targets.predictions)
        counts: Counter[str] = Counter()
        done: set[Key] = set()
        try:
            sink = find_format(targets.kind).open_sink(stream, schema, {"decision", "cause"})
            for runs in self._runs(wanted):
                fields = assemble(put_together(runs, scattered, done), rules, schema)
                sink.write(sink.encode(fields))
                _count(counts, runs, fields)
            sink.close()
            stream.close()
        except BaseException:
            stream.abort()
            raise
        path, digest = targets.predictions, stream.digest()
        written = WrittenFile(path, digest, stream.bytes_written, stream.inode)
        return written, self._ledger(cells, counts)

    def _runs(self, wanted: Wanted, *, first: bool = False) -> Iterator[Runs]:
        for file in self._files:
            rows, before = 0, self._cells
            cells = read_cells(file, wanted)
            for runs in find_runs(cells, str(file.path)):
                if first:
                    if file.receipt is None:
                        self._refuse_unknown_lengths(file, runs)
                    least = pc.min(runs.cells["position"]).as_py()
                    self._least = min(self._least, 1 if least is None else least)
                rows += runs.cells.num_rows
                self._cells += runs.cells.num_rows + runs.lost
                self._on_progress(rows, None, str(file.path))
                yield runs
            if first and file.expected not in (None, self._cells - before):
                raise UnusableInputError(
                    f"{file.path}: its receipt counts {file.expected} rows, predictions and "
                    f"rejects hold {self._cells - before}; run predict again"
                )

    def _refuse_unknown_lengths(self, file: Predictions, runs: Runs) -> None:
        """Refuse fields that may have lost a cell: no receipt and no exact length would tell."""
        lengths, at = lengths_of(self._templates), self._at()
        if not lengths:  # --length is exact
            return
        keys = runs.keys()
        names = dict.fromkeys(tuple(str(key[place]) for place in at) for key in keys)
        loose = [name for name in names if not lengths.get(name, ANY).is_exact]
        if loose:
            exact = [name for name, length in lengths.items() if length.is_exact]
            raise NoInputError(
                f"{file.path}: has no receipt, so the length of each field must be known, and no "
                f"template has `digits` for {listing(map('/'.join, loose))}, only for "
                f"{listing(map('/'.join, exact)) or 'none'}; keep the receipt beside it, or "
                "correct the template"
            )

    def _at(self) -> tuple[int, ...]:
        """Return the places in --group of the columns that name a field of the templates."""
        return tuple(map(self._options.group.index, _key_columns(self._templates)))

    def _rules(self) -> Rules:
        """Return what decides about a field; the first pass has seen all positions."""
        options, length = self._options, self._options.length
        return Rules(
            base=self._least,
            allowed=self._allowed,
            length=ANY if length is None else Length(length, length),
            lengths=lengths_of(self._templates),
            at=self._at(),
            classes=self._classes,
            corrects=options.corrects,
            review_below=options.review_below,
        )

    def _find_classes(self) -> tuple[str, tuple[str, ...]]:
        """Return the characters of the classes, and the columns with their probabilities."""
        names = self._files[0].classes
        for file in self._files:
            if not file.classes or file.classes != names:
                raise UnusableInputError(
                    f"{file.path}: has no {PROBABILITY}* columns, or other ones than "
                    f"{self._files[0].path}, and --pattern and --values need them; predict with "
                    "--probabilities"
                )
        if any(len(name) != 1 for name in names):
            raise UnusableInputError(
                f"{self._files[0].path}: --pattern and --values need classes of one character, "
                f"these are {listing(names)}"
            )
        return "".join(names), tuple(f"{PROBABILITY}{name}" for name in names)

    def _check_columns(self) -> None:
        """Refuse files without the columns, or with others of the same name."""
        schemas = [cell_schema(file, self._wanted) for file in self._files]
        for file, schema in zip(self._files, schemas, strict=True):
            if not schema.equals(schemas[0]):
                raise UnusableInputError(
                    f"{file.path}: the columns of --group have other types than in "
                    f"{self._files[0].path}; make fields of each file in a run of its own"
                )

    def _ledger(self, cells: int, counts: Counter[str]) -> dict[str, Any]:
        """Return the counts, which must account for every cell of the first pass."""
        if not cells == self._cells == counts["cells in fields"] + counts["lost"]:
            raise InternalError(
                f"{cells} cells were read, {counts['cells in fields']} of them are in fields and "
                f"{counts['lost']} in none"
            )
        to_review = {cause: counts[cause] for cause in CAUSES if counts[cause]}
        return {
            "cells": cells,
            "cells_rejected": counts["cells rejected"] + counts["lost"],
            "cells_without_field": counts["lost"],
            "fields": counts["fields"],
            "accepted": counts["fields"] - sum(to_review.values()),
            "to_review": to_review,
        }


def _count(counts: Counter[str], runs: Runs, fields: pa.RecordBatch) -> None:
    counts["fields"] += fields.num_rows
    counts["cells in fields"] += pc.sum(fields["cells"]).as_py() or 0
    counts["cells rejected"] += pc.sum(runs.cells["rejected"]).as_py() or 0
    counts["lost"] += runs.lost
    for pair in fields["cause"].drop_null().value_counts().to_pylist():
        counts[pair["values"]] += pair["counts"]


def _refuse_overwriting(
    targets: Targets,
    files: Sequence[Predictions],
    options: FieldOptions,
    templates: Sequence[Template],
) -> None:
    rejects = [file.rejects for file in files if file.rejects is not None]
    lists = [template.path for template in templates]
    if options.values is not None:
        lists.append(Path(options.values))
    refuse_overwriting(targets, [*(file.path for file in files), *rejects, *lists])


def _templates(options: FieldOptions) -> list[Template]:
    """Read the templates. Raises as `read_templates`, or UsageError for --group without theirs."""
    templates = read_templates(options.templates)
    if not set(_key_columns(templates)) <= set(options.group):
        raise UsageError(
            f"--template: {len(templates)} templates, and the column {TEMPLATE!r} tells which of "
            "them a page is of; add it to --group"
        )
    return templates


def _key_columns(templates: Sequence[Template]) -> list[str]:
    """Return the columns that name a field of the templates."""
    columns = [TEMPLATE, TEMPLATE_FIELD] if len(templates) > 1 else [TEMPLATE_FIELD]
    return columns if templates else []


def _targets(output: Path) -> Targets:
    refuse_url(output, "--output")
    stem, kind, compression = split_name(output.name)
    suffix = output.name[len(stem) :]
    if kind is None or suffix.lower() not in DATA_SUFFIXES:
        raise UsageError(
            f"--output {output}: expected a name that ends in one of {' '.join(DATA_SUFFIXES)}"
        )
    stem = stem.removesuffix(f".{KIND}")
    return Targets(
        predictions=output,
        rejects=output.with_name(f"{stem}.{KIND}.rejects{suffix}"),
        receipt=output.with_name(f"{stem}.{KIND}.receipt.json"),
        kind=kind,
        compression=compression,
        product=KIND,
    )


def _refuse_twice(files: Sequence[Predictions]) -> None:
    counts = Counter(os.path.realpath(file.path) for file in files)
    twice = [path for path, count in counts.items() if count > 1]
    if twice:
        raise UsageError(f"named more than once: {listing(twice)}; name each file once")


def _facts(
    files: Sequence[Predictions], options: FieldOptions, templates: Sequence[Template]
) -> dict[str, Any]:
    """Return what decides the bytes of the fields, as the receipt holds it."""
    facts: dict[str, Any] = {
        "group": list(options.group),
        "position": options.position,
        "length": options.length,
        "check": options.check,
        "pattern": options.pattern,
        "review_below": options.review_below,
    }
    digests = {template.name: template.digest for template in templates}
    facts["lengths"] = digests if len(digests) > 1 else next(iter(digests.values()), None)
    facts["values"] = None if options.values is None else digest_file(Path(options.values))
    return {"predictions": [file.facts() for file in files], "options": facts}


def _finished(targets: Targets, work: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the receipt of the same work if its output is complete, else None."""
    receipt = read_receipt(targets.receipt)
    if receipt is None or (receipt.get("kind"), receipt.get("format")) != (KIND, RECEIPT_FORMAT):
        return None
    if any(receipt.get(name) != value for name, value in work.items()):
        return None
    if not _is_ledger(receipt):
        return None
    outputs = named_outputs(targets.folder, receipt)
    return receipt if outputs is not None and outputs_match(targets, outputs) else None


def _is_ledger(receipt: Mapping[str, Any]) -> bool:
    """Return whether a receipt has the counts of fields, and they add up."""
    numbers, to_review = {name: receipt.get(name) for name in COUNTED}, receipt.get("to_review")
    if not are_counts(numbers) or not are_counts(to_review):
        return False
    return bool(receipt["fields"] == receipt["accepted"] + sum(receipt["to_review"].values()))
