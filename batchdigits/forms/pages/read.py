"""`forms read`: documents, page by page, to one file of rows with rejects and a receipt."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from batchdigits.errors import UnusableInputError
from batchdigits.files.digest import digest_bytes, refuse_changes
from batchdigits.files.places.contract import Place
from batchdigits.files.streams import Snapshot
from batchdigits.forms.pages.documents import (
    PAGE_SUFFIXES,
    count_pages,
    document_bytes,
    read_scan,
)
from batchdigits.forms.pages.known import (
    known_form,
    open_templates,
    template_facts,
    template_files,
    templates_for,
)
from batchdigits.forms.pages.page import read_page
from batchdigits.forms.pages.page_counts import PageCounts
from batchdigits.forms.pages.page_rows import REJECTS, batch_of, rows_of, schema_of
from batchdigits.forms.pictures import Picture, PictureError, expand_pictures, pillow
from batchdigits.forms.publish import (
    InputsDigest,
    RowsFiles,
    Work,
    finished,
    plan_rows,
    receipt_of,
    refuse_foreign,
    told,
)
from batchdigits.forms.workers import in_processes
from batchdigits.rows.rejects import written_name
from batchdigits.rows.template import Template
from batchdigits.scoring.options import TOO_MANY_REJECTS, Limit
from batchdigits.text import count_of

AT_A_TIME = 8
"""The most pages that a worker takes at once: finding a page of a TIFF passes all before it."""

OnProgress = Callable[[int, float | None, str], None]
"""Called with the pages done, the share of the documents done, 0..1, and the last one's name."""


@dataclass(frozen=True, slots=True)
class PagesPolicy:
    """How a run reads and publishes.

    blank_cells  make rows of blank cells and fields too
    max_rejects  the most pages that may be refused
    overwrite    replace files of other work
    workers      processes
    """

    blank_cells: bool = False
    max_rejects: Limit = field(default_factory=Limit)
    overwrite: bool = False
    workers: int = 1


@dataclass(frozen=True, slots=True)
class PagesResult:
    """The result of a run: its files, its counts, whether it was `made` or `unchanged`."""

    place: Place
    status: str
    exit_code: int
    counts: PageCounts
    seconds: float

    def facts(self) -> dict[str, Any]:
        """Return the summary that the command prints."""
        targets, counts = self.place.targets, self.counts
        refused = counts.pages_refused + counts.fields_refused
        return {
            "exit_code": self.exit_code,
            "seconds": self.seconds,
            "output": str(targets.predictions),
            "rejects": str(targets.rejects) if refused else None,
            "receipt": str(targets.receipt),
            "status": self.status,
            **counts.facts(),
        }

    def text(self) -> str:
        """Return the result for people at a terminal."""
        counts, targets = self.counts, self.place.targets
        return (
            f"{self.status} {targets.predictions}: {count_of(counts.pages_in, 'page')}, "
            f"{counts.pages_refused} refused; {count_of(counts.fields_in, 'field')}, "
            f"{counts.fields_blank} blank, {counts.fields_refused} refused; "
            f"{count_of(counts.rows, 'row')}; {self.seconds:.1f} s, exit code {self.exit_code}"
        )


def read_pages(
    arguments: Sequence[str],
    templates: Sequence[str],
    output: str,
    policy: PagesPolicy,
    on_progress: OnProgress = lambda *_: None,
) -> PagesResult:
    """Make a Parquet file of rows from pages of forms, with rejects and a receipt.

    arguments  files, folders, ZIPs and globs of PDFs and pictures of pages
    templates  JSON files, or folders of them
    output     the file of rows, NAME.parquet

    Raises UsageError, NoInputError, OutputError, TryAgainError, MissingExtraError, and
    UnusableInputError if no page can be read; then nothing was published.
    """
    started = time.time()
    pillow()
    forms = open_templates(templates)
    facts = template_facts(forms)
    blanks = {f.blank: digest for f in forms if f.blank and (digest := facts[f.name]["blank"])}
    documents = expand_pictures(arguments, PAGE_SUFFIXES)
    place = plan_rows(output, [*(each.path for each in documents), *template_files(forms)])
    options = {"templates": facts, "blank_cells": policy.blank_cells}
    work = Work("read", arguments, len(documents), options)
    with place.held():
        receipt = finished(place, work, partial(_digest, documents), PageCounts.of_facts)
        status = "unchanged"
        if receipt is None:
            refuse_foreign(place, overwrite=policy.overwrite)
            run = _Run(documents, forms, blanks, policy, on_progress)
            receipt, status = run.publish(place, work), "made"
    counts = PageCounts.of_facts(receipt)
    seconds = round(time.time() - started, 3)
    return PagesResult(place, status, _exit_code(counts, policy), counts, seconds)


@dataclass(frozen=True, slots=True)
class _Task:
    """Pages of one document for a worker, numbers from 0; none of a document that can't be used.

    number    the document's, from 0
    snapshot  the document before its digest was taken; None if it isn't there
    digest    the sha256:… of the document; only its first task has it
    refused   why the document can't be used
    """

    document: Picture
    number: int
    pages: range
    templates: tuple[Template, ...]
    snapshot: Snapshot | None
    digest: str | None = None
    refused: tuple[str, str] | None = None

    def verify(self) -> None:
        """Raise TryAgainError unless the document is still the one that the digest is of."""
        if self.snapshot is not None:
            self.snapshot.verify(self.document.path)


@dataclass(frozen=True, slots=True)
class _Done:
    """What came of a task."""

    task: _Task
    rows: pa.RecordBatch
    rejects: list[dict[str, Any]]
    counts: PageCounts


@dataclass(frozen=True, slots=True)
class _Run:
    """The documents and the templates of a run, digests of their blank forms, and how it goes."""

    documents: Sequence[Picture]
    templates: Sequence[Template]
    blanks: Mapping[Path, str]
    policy: PagesPolicy
    on_progress: OnProgress

    def publish(self, place: Place, work: Work) -> dict[str, Any]:
        """Read all pages, publish rows and rejects, and return the receipt."""
        started = time.time()
        several = len(self.templates) > 1
        schema = schema_of(several=several)
        read = partial(_read, schema=schema, blank_cells=self.policy.blank_cells)
        digest, counts = InputsDigest(), PageCounts()
        first: dict[str, Mapping[str, Any]] = {}
        results = in_processes(self._tasks(), read, self.policy.workers)
        with (
            RowsFiles(place, schema, REJECTS) as files,
            closing(results),
            refuse_changes(self.blanks),
        ):
            for done in results:
                done.task.verify()
                files.write(done.rows)
                files.reject(done.rejects)
                for reject in done.rejects:
                    first.setdefault(reject["reason"], reject)
                if done.task.digest is not None:
                    digest.add(done.task.document.name, done.task.digest)
                counts += done.counts
                share = (done.task.number + 1) / len(self.documents)
                self.on_progress(counts.pages_in, share, done.task.document.name)
            where = " ".join(work.arguments)
            counts.check(where)
            _refuse_hopeless(counts, where, first)
            written = files.close()
        code = _exit_code(counts, self.policy)
        receipt = receipt_of(work, digest.text(), counts.facts(), exit_code=code, started=started)
        place.publish(written, receipt, overwrite=self.policy.overwrite)
        return receipt

    def _tasks(self) -> Iterator[_Task]:
        """Yield the pages of all documents, some at a time, in their order."""
        for number, document in enumerate(self.documents):
            templates = tuple(templates_for(document, self.templates))
            snapshot = digest = None
            try:
                snapshot = document.snapshot()
                digest = digest_bytes(document_bytes(document))
                pages = count_pages(document)
            except PictureError as error:
                refused = error.reason, error.detail
                yield _Task(document, number, range(0), templates, snapshot, digest, refused)
                continue
            # Not by the number of workers: how rows come decides the bytes of a row group.
            size = max(1, min(AT_A_TIME, pages // 32))
            for first in range(0, pages, size):
                part = range(first, min(first + size, pages))
                own = None if first else digest
                yield _Task(document, number, part, templates, snapshot, own)


def _read(task: _Task, *, schema: pa.Schema, blank_cells: bool) -> _Done:
    """Read the pages of a task, in a worker."""
    name = written_name(task.document.name)
    if task.refused is not None:
        reject = _reject(name, None, None, *task.refused)
        return _Done(task, batch_of([], schema), [reject], _refused_page(task.refused[0]))
    counts, rows, rejects = PageCounts(), [], []
    for number in task.pages:
        try:
            scan = read_scan(task.document, number, *_size(task.templates))
            result = read_page(scan.page, [known_form(t) for t in task.templates], scan.dpi)
        except PictureError as error:
            rejects.append(_reject(name, number + 1, None, error.reason, error.detail))
            counts += _refused_page(error.reason)
            continue
        own = list(rows_of(name, number + 1, result, blank_cells=blank_cells))
        reasons: Counter[str] = Counter()
        for each in result.fields:
            if each.reason is not None:
                where = name, number + 1, each.printed.field.name
                rejects.append(_reject(*where, each.reason, each.detail or ""))
                reasons[each.reason] += 1
        rows += own
        cut = [each for each in result.fields if each.cells]
        counts += PageCounts(
            pages_in=1,
            pages_read=1,
            fields_in=len(result.fields),
            fields_cut=len(cut),
            fields_blank=len(result.fields) - len(cut) - reasons.total(),
            fields_refused=reasons.total(),
            field_reasons=dict(reasons),
            rows=len(own),
            cells_blank=sum(cell.ink == 0 for each in cut for cell in each.cells),
        )
    return _Done(task, batch_of(rows, schema), rejects, counts)


def _size(templates: Sequence[Template]) -> tuple[int, int]:
    """Return the dpi and the pixels of the longer side of the largest form."""
    largest = max(templates, key=lambda template: max(template.width, template.height))
    return largest.dpi, max(largest.width, largest.height)


def _refused_page(reason: str) -> PageCounts:
    return PageCounts(pages_in=1, pages_refused=1, page_reasons={reason: 1})


def _reject(
    file: str, page: int | None, field: str | None, reason: str, detail: str
) -> dict[str, Any]:
    return {"file": file, "page": page, "field": field, "reason": reason, "detail": detail}


def _digest(documents: Sequence[Picture]) -> str:
    digest = InputsDigest()
    for document in documents:
        try:
            digest.add(document.name, digest_bytes(document_bytes(document)))
        except PictureError:
            continue
    return digest.text()


def _refuse_hopeless(
    counts: PageCounts, where: str, first: Mapping[str, Mapping[str, Any]]
) -> None:
    """Raise UnusableInputError if no page could be read; `first` has a reject for each reason."""
    if counts.pages_in and not counts.pages_read:
        reason = max(counts.page_reasons, key=lambda reason: counts.page_reasons[reason])
        raise UnusableInputError(
            f"{where}: none of the {counts.pages_in} pages can be read, "
            f"{counts.page_reasons[reason]} are {reason}; nothing was published; look at one with "
            f"forms show; the first is {told(first[reason])}"
        )


def _exit_code(counts: PageCounts, policy: PagesPolicy) -> int:
    allowed = policy.max_rejects.allows(counts.pages_refused, counts.pages_in)
    return 0 if allowed else TOO_MANY_REJECTS
