"""The files that `forms` writes, committed together: rows, rejects, and their receipt."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

import pyarrow as pa

from batchdigits._version import __version__
from batchdigits.clock import utc_text
from batchdigits.errors import OutputError, UsageError
from batchdigits.files.commit import named_outputs, outputs_match, read_receipt
from batchdigits.files.digest import digest_text
from batchdigits.files.names import refuse_url
from batchdigits.files.places.contract import Place
from batchdigits.files.places.local import LocalFolder
from batchdigits.files.streams import OutputStream
from batchdigits.files.targets import Targets, refuse_overwriting
from batchdigits.files.written import WrittenFile
from batchdigits.rows.contract import Sink
from batchdigits.rows.parquet.sink import ParquetSink
from batchdigits.scoring.ledger import are_counts

RECEIPT_FORMAT = 1
KIND = "forms"

GROUP_BYTES = 4 << 20
"""Bytes of rows that are gathered for a row group: some 33 pages."""

_SUFFIX = ".parquet"

LedgerT = TypeVar("LedgerT", bound="Ledger")


@dataclass(frozen=True, slots=True)
class Work:
    """What decides the bytes of the rows, but for the bytes of the inputs.

    command    the subcommand
    arguments  the inputs as the user named them
    files      the number of files behind them
    options    the options that change a row
    """

    command: str
    arguments: Sequence[str]
    files: int
    options: Mapping[str, Any]

    def facts(self, digest: str) -> dict[str, Any]:
        """Return the work as a receipt holds it; `digest` is that of all inputs."""
        inputs = {"arguments": list(self.arguments), "files": self.files, "sha256": digest}
        return {"command": self.command, "inputs": inputs, "options": dict(self.options)}


class InputsDigest:
    """One digest of many files: of a line `sha256:… NAME` for each, in their order."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, name: str, digest: str) -> None:
        self._hash.update(os.fsencode(f"{digest} {name}\n"))

    def text(self) -> str:
        return digest_text(self._hash.hexdigest())


def plan_rows(output: str, inputs: Sequence[str | Path]) -> Place:
    """Plan the files of `--output NAME.parquet`: the rows, their rejects and their receipt.

    Raises UsageError for another ending and for a name of one of the `inputs`, OutputError for
    names that can't be written.
    """
    refuse_url(output, "--output")
    path = Path(output)
    if not output.lower().endswith(_SUFFIX) or path.name.lower() == _SUFFIX:
        raise UsageError(f"--output {output}: expected the name of a file that ends in {_SUFFIX}")
    stem = path.name[: -len(_SUFFIX)]
    targets = Targets(
        predictions=path,
        rejects=path.with_name(f"{stem}.{KIND}.rejects{_SUFFIX}"),
        receipt=path.with_name(f"{stem}.{KIND}.receipt.json"),
        kind="parquet",
        product="rows",
    )
    refuse_overwriting(targets, inputs)
    place = LocalFolder(targets)
    place.check()
    return place


class RowsFiles:
    """The temporaries of the rows, and of the rejects once there is one.

    Leaving the context without `close()` discards what was written.
    """

    def __init__(self, place: Place, rows: pa.Schema, rejects: pa.Schema) -> None:
        self._place = place
        self._rejects = rejects
        self._files: dict[Path, tuple[OutputStream, Sink]] = {}
        self._open(place.targets.predictions, rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        for stream, _ in self._files.values():
            stream.abort()

    def write(self, rows: pa.RecordBatch) -> None:
        """Append rows."""
        self._append(self._place.targets.predictions, rows)

    def reject(self, rejects: Sequence[Mapping[str, Any]]) -> None:
        """Append rejects, each by the names of its columns."""
        if not rejects:
            return
        path = self._place.targets.rejects
        if path not in self._files:
            self._open(path, self._rejects)
        self._append(path, pa.RecordBatch.from_pylist(list(rejects), schema=self._rejects))

    def close(self) -> list[WrittenFile]:
        """Complete and fsync every temporary."""
        written = []
        for path, (stream, sink) in self._files.items():
            sink.close()
            stream.close()
            written.append(WrittenFile(path, stream.digest(), stream.bytes_written, stream.inode))
        return written

    def _open(self, path: Path, schema: pa.Schema) -> None:
        stream = self._place.open(path)
        self._files[path] = stream, ParquetSink(stream, schema, group_bytes=GROUP_BYTES)

    def _append(self, path: Path, batch: pa.RecordBatch) -> None:
        sink = self._files[path][1]
        sink.write(sink.encode(batch))


def told(reject: Mapping[str, Any]) -> str:
    """Return a reject in words: its file, its row or page, and the details."""
    names = {"file_row": "row", "page": "page"}
    where = [f", {names[key]} {reject[key]}" for key in names if reject.get(key) is not None]
    return f"{reject['file']}{''.join(where)}: {reject['detail']}"


class Ledger(Protocol):
    """The counts of a run."""

    @property
    def add_up(self) -> bool: ...


def read_ledger(
    kind: Callable[..., LedgerT], names: Sequence[str], facts: Mapping[str, Any]
) -> LedgerT:
    """Make a ledger of the counts of these names in a receipt; `…reasons` are tables of counts.

    Raises ValueError for counts that are missing, of another type, or don't add up.
    """
    counts = {name: facts.get(name) for name in names}
    tables = [count for name, count in counts.items() if name.endswith("reasons")]
    numbers = {name: count for name, count in counts.items() if not name.endswith("reasons")}
    if not all(map(are_counts, [numbers, *tables])):
        raise ValueError("a count is missing or of another type")
    ledger = kind(**counts)
    if not ledger.add_up:
        raise ValueError("its counts don't add up")
    return ledger


def finished(
    place: Place,
    work: Work,
    digest: Callable[[], str],
    counts_of: Callable[[Mapping[str, Any]], object],
) -> Mapping[str, Any] | None:
    """Return the receipt of the same work if its files are complete, else None.

    `digest` reads all inputs; it is called only if nothing else differs. `counts_of` reads the
    counts, and raises ValueError for those of a damaged receipt.
    """
    receipt = read_receipt(place.targets.receipt)
    if receipt is None or (receipt.get("kind"), receipt.get("format")) != (KIND, RECEIPT_FORMAT):
        return None
    inputs = receipt.get("inputs")
    known = str(inputs.get("sha256")) if isinstance(inputs, dict) else ""
    if any(receipt.get(name) != fact for name, fact in work.facts(known).items()):
        return None
    outputs = named_outputs(place.targets.folder, receipt)
    if outputs is None or not outputs_match(place.targets, outputs):
        return None
    try:
        counts_of(receipt)
    except ValueError:
        return None
    return receipt if digest() == known else None


def refuse_foreign(place: Place, *, overwrite: bool) -> None:
    """Raise OutputError for files of other work at the outputs' names, without `overwrite`."""
    present = next((path for path in place.targets.finals if os.path.lexists(path)), None)
    if present is not None and not overwrite:
        raise OutputError(
            f"{present}: exists already, from other pictures or options; move it away, or replace "
            "it with --overwrite"
        )


def receipt_of(
    work: Work, digest: str, counts: Mapping[str, Any], *, exit_code: int, started: float
) -> dict[str, Any]:
    """Make the receipt of finished work, whose counts add up; `started` is a time in seconds."""
    return {
        "format": RECEIPT_FORMAT,
        "kind": KIND,
        "batchdigits": __version__,
        "exit_code": exit_code,
        "started": utc_text(started),
        "finished": utc_text(),
        "seconds": round(time.time() - started, 3),
        **work.facts(digest),
        **counts,
    }
