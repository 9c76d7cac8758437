"""The receipts of a page, read from files and folders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from batchdigits.archive.reference import Reference, read_reference
from batchdigits.errors import BatchdigitsError, NoInputError, UnusableInputError
from batchdigits.files.commit import read_receipt
from batchdigits.files.names import visible
from batchdigits.files.objects.path import as_path
from batchdigits.report.choice import find_digits
from batchdigits.report.digits import Digits
from batchdigits.report.night import Night, night_page
from batchdigits.report.page import write_page
from batchdigits.scoring.receipt import PREDICT, Receipt
from batchdigits.scoring.replay import find_bundle
from batchdigits.scoring.run import RunSummary
from batchdigits.store.choice import BundleChoice
from batchdigits.text import listing

_SUFFIX = ".receipt.json"


def read_night(paths: Sequence[Path], store: str | None, *, digits: bool = True) -> Night:
    """Read receipts of any kind, from files and from folders of them.

    digits  whether to look for doubtful digits in the files of the receipts, if they are there

    A receipt in a folder that can't be read is refused like one that is named: a page that left it
    out would be short of its rows. Raises NoInputError or UnusableInputError.
    """
    predicted, others, problems = [], [], []
    for path in _expand(paths):
        try:
            facts = read_receipt(path)
            if facts is not None and facts.get("kind", PREDICT) != PREDICT:
                others.append((path.name, facts))
            else:
                predicted.append(Receipt.read(path))
        except (NoInputError, UnusableInputError) as error:
            problems.append(error)
    if problems:
        raise type(problems[0])(listing(map(str, problems)))
    shown = find_digits(predicted) if digits else Digits()
    return Night(predicted, others, _references(predicted, store), digits=shown)


def write_run_page(page: Path, summary: RunSummary, store: str | None) -> None:
    """Write the page of a run that has just ended, with the inputs that it refused."""
    paths = [as_path(result.receipt) for result in summary.inputs if result.receipt is not None]
    refused = [(each.input, each.error) for each in summary.inputs if each.error is not None]
    night = replace(read_night(paths, store), refused=refused)
    write_page(page, night_page(night))


def _expand(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        inside = visible(path, f"**/*{_SUFFIX}")
        if not inside:
            raise NoInputError(
                f"{path}: no *{_SUFFIX} in this folder; name those that predict wrote"
            )
        yield from inside


def _references(receipts: Sequence[Receipt], store: str | None) -> dict[str, Reference]:
    """Return what the bundles were trained on; a bundle that is gone only costs the comparison."""
    references: dict[str, Reference] = {}
    tried = set()
    for receipt in receipts:
        digest = receipt.key.bundle["digest"]
        if digest in tried:
            continue
        tried.add(digest)
        try:
            file = BundleChoice(bundle=find_bundle(receipt, store), expect_digest=digest).load()
            references[digest] = read_reference(file)
        except BatchdigitsError:
            continue
    return references
