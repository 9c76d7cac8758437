"""A folder in object storage: outputs are reserved, uploaded and committed by one small object.

The receipt's own name is the lock and the commit. A run that is ready to publish first puts a
reservation there, on the condition that what it saw at its start is unchanged; then it uploads the
outputs, each on the condition of what it saw after that; last it replaces its own reservation by
the receipt. Whoever finds another object than its own at that name has lost, and ends with
TryAgainError. A reservation that a killed run left is replaced by the next run, and with it the
objects that it names, and no others.

S3 has no conditional DELETE. An object is looked at, and only then removed.
"""

from __future__ import annotations

import mmap
import secrets
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from batchdigits.clock import utc_text
from batchdigits.errors import OutputError, TryAgainError, UsageError
from batchdigits.files.atomic import temporary_name
from batchdigits.files.commit import (
    MAX_RECEIPT_BYTES,
    appeared,
    as_json,
    described,
    is_of_stem,
    named_outputs,
)
from batchdigits.files.digest import digest_file
from batchdigits.files.objects import client
from batchdigits.files.objects.client import ConflictError, Version
from batchdigits.files.objects.download import explained_scratch
from batchdigits.files.objects.path import ObjectPath
from batchdigits.files.plain import read_small
from batchdigits.files.streams import OutputStream, open_output
from batchdigits.files.strict_json import parse_strict
from batchdigits.files.targets import Targets
from batchdigits.files.written import (
    WrittenFile,
    entry_of,
    from_entries,
    is_file_of,
    verify_written,
)

RESERVATION = "reservation"
"""The kind of the document that stands for a receipt while the outputs are uploaded."""

TRIES = 5
"""How often an output is tried to be put over what somebody else puts there at the same time."""


class ObjectFolder:
    """The place of one input file's outputs in object storage, as `Place` promises.

    The outputs are written and verified in a folder of their own in `scratch`; None: that of
    temporary files. `checked` are the folders that were found to be in a bucket; the places of a
    run share them, since a listing for each input would cost more the more of them there are.
    Raises OutputError or IOFailedError where objects can't be written, TryAgainError where another
    run publishes the same outputs.
    """

    def __init__(
        self, targets: Targets, scratch: str | None = None, checked: set[Path] | None = None
    ) -> None:
        self.targets = targets
        self._checked = set() if checked is None else checked
        self._parent = None if scratch is None else Path(scratch)
        self._folder: Path | None = None
        self._seen: Version | None = None
        self._old: Mapping[str, Any] = {}
        self._dropped: Version | None = None

    @property
    def scratch(self) -> Path:
        return self._parent or Path(tempfile.gettempdir())

    def check(self) -> None:
        if self.targets.problem:
            raise UsageError(self.targets.problem)
        folder = _object(self.targets.folder)
        if folder not in self._checked:
            folder.refuse_absent_bucket()
            self._checked.add(folder)
        with explained_scratch(self._parent), tempfile.TemporaryFile(dir=self._parent):
            pass

    @contextmanager
    def held(self) -> Iterator[None]:
        self._look()
        with explained_scratch(self._parent):
            folder = tempfile.TemporaryDirectory(prefix="batchdigits-", dir=self._parent)
        with folder as name:
            self._folder = Path(name)
            yield

    def present(self) -> list[Path]:
        if self._is_reserved():  # by a run that was killed, or will find that it has lost
            outputs = (self.targets.predictions, self.targets.rejects)
            return [path for path in outputs if path.exists() and not self._is_left(path)]
        present = [path for path in self.targets.finals if path.exists()]
        if present and not self._is_unchanged():  # what is there has appeared just now
            raise self._lost()
        return present

    def open(self, path: Path) -> OutputStream:
        return open_output(temporary_name(self._local(path)), self.targets.compression)

    def publish(
        self, written: Sequence[WrittenFile], receipt: Mapping[str, Any], *, overwrite: bool = True
    ) -> None:
        outputs = sorted(written, key=lambda output: output.path != self.targets.predictions)
        for output in outputs:
            verify_written(replace(output, path=self._local(output.path)))
        if not overwrite:
            self._refuse_appeared(outputs)
        others = self._replaced(outputs, overwrite=overwrite)
        reservation = self._reserve(outputs)
        uploaded: list[WrittenFile] = []
        try:
            for output in reversed(outputs):
                done = self._upload(output, reservation, overwrite=overwrite)
                uploaded.append(done)  # at once: a failure of the next must know it
            for path in others:
                self._refuse_lost(reservation)
                client.delete(_object(path).address)
            record = {**receipt, "outputs": described(self.targets, uploaded)}
            self._commit(record, reservation)
        except TryAgainError:
            self._withdraw(uploaded)
            raise

    def keep(self, output: WrittenFile) -> bool:
        verify_written(replace(output, path=self._local(output.path)))
        there = _object(output.path).version()
        others = (self.targets.predictions, self.targets.receipt)
        if there != self._dropped or any(path.exists() for path in others):
            return False
        try:
            self._put(output, there or "create")
        except ConflictError as error:
            raise OutputError(f"{output.path}: appeared while the run was scoring") from error
        return True

    def drop(self, path: Path) -> None:
        # Only what holds the reservation may remove it: another run may publish there by now.
        self._dropped = _object(path).version()

    def is_settled(self) -> bool:
        self._look()
        return not self._is_reserved()

    def _look(self) -> None:
        """Remember the receipt, or the reservation, that is there now."""
        receipt = _object(self.targets.receipt)
        self._seen, self._old = receipt.version(), {}
        if self._seen is None or self._seen.size > MAX_RECEIPT_BYTES:
            return
        data = client.read_range(receipt.address, 0, self._seen.size, self._seen)
        try:
            document = parse_strict(bytes(data))
        except ValueError:
            return
        self._old = document if isinstance(document, dict) else {}

    def _is_reserved(self) -> bool:
        return self._old.get("kind") == RESERVATION

    def _named(self) -> list[WrittenFile]:
        """The outputs that the receipt, or the reservation, that was there names."""
        folder = self.targets.folder
        if not self._is_reserved():
            return named_outputs(folder, self._old) or []
        entries = self._old.get("outputs")
        return (from_entries(folder, entries) if isinstance(entries, list) else None) or []

    def _is_left(self, path: Path) -> bool:
        """Whether the object is one that this run may replace without being told to overwrite.

        It was dropped, or is that of a run which left its reservation.
        """
        if path == self.targets.rejects and self._dropped is not None:
            return _object(path).version() == self._dropped
        left = self._named() if self._is_reserved() else []
        return any(output.path == path and is_file_of(path, output) for output in left)

    def _refuse_appeared(self, outputs: Sequence[WrittenFile]) -> None:
        for output in outputs:
            if output.path.exists() and not self._is_left(output.path):
                # A run puts its reservation there before its outputs.
                raise appeared(output.path) if self._is_unchanged() else self._lost()

    def _local(self, path: Path) -> Path:
        assert self._folder is not None, "a place must be held"  # noqa: S101  # a bug of the caller
        return self._folder / path.name

    def _is_unchanged(self) -> bool:
        return _object(self.targets.receipt).version() == self._seen

    def _reserve(self, outputs: Sequence[WrittenFile]) -> Version:
        """Put a reservation in the receipt's place, unless another run was faster."""
        address = _object(self.targets.receipt).address
        # With what is there of earlier runs: the next run may replace it, too, after a kill.
        named = dict.fromkeys([*self._named(), *outputs])
        document = as_json(
            {
                "format": 1,
                "kind": RESERVATION,
                "run": secrets.token_hex(16),
                "started": utc_text(),
                "outputs": [entry_of(output) for output in named],
            }
        )
        try:
            return client.put(address, document, self._seen or "create")
        except ConflictError as error:
            mine = _version_of(self.targets.receipt, document)  # an answer that was lost
            if mine is None:
                raise self._lost() from error
            return mine

    def _refuse_lost(self, reservation: Version) -> None:
        if _object(self.targets.receipt).version() != reservation:
            raise self._lost()

    def _upload(self, output: WrittenFile, reservation: Version, *, overwrite: bool) -> WrittenFile:
        """Put an output in its place; only whoever holds the reservation may."""
        path = _object(output.path)
        for _ in range(TRIES):
            # In this order: what is put after another run took the reservation meets its condition
            # only if that run has put nothing.
            there = path.version()
            self._refuse_lost(reservation)
            if there is not None and not overwrite and not self._is_left(path):
                raise appeared(path)  # the reservation stays, and names what was uploaded
            try:
                return replace(output, version=self._put(output, there or "create"))
            except ConflictError:
                there = path.version()
                # After a lost answer it is ours; a run of the same work puts the same bytes.
                same = there is not None and there.size == output.bytes
                if same and digest_file(path) == output.digest and path.version() == there:
                    return replace(output, version=there)
        raise self._lost()

    def _put(self, output: WrittenFile, condition: client.Condition) -> Version:
        address = _object(output.path).address
        with temporary_name(self._local(output.path)).open("rb") as file:
            # The file itself, not a copy of it in memory. It is not closed here: a request that was
            # refused early, or that a signal left behind, may still hold it.
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return client.put(address, data, condition)

    def _replaced(self, outputs: Sequence[WrittenFile], *, overwrite: bool) -> list[Path]:
        """The objects to remove: those that an older document names, and older rejects."""
        rejects = self.targets.rejects
        found = [
            output.path
            for output in self._named()
            if is_of_stem(output.path, self.targets.receipt)
            and is_file_of(output.path, output, trust_etag=True)
        ]
        if rejects.exists() and (overwrite or self._is_left(rejects)):
            found.append(rejects)
        kept = {output.path for output in outputs}
        return [
            path
            for path in dict.fromkeys(found)
            if path not in kept and not self.targets.reads(path)
        ]

    def _withdraw(self, uploaded: Sequence[WrittenFile]) -> None:
        """Remove what this run put after another had published, if the receipt names none of it."""
        self._look()
        named = named_outputs(self.targets.folder, self._old)
        if named is None:  # that run is not done, and may take what is there as its own
            return
        kept = {output.path for output in named}
        for output in uploaded:
            path = _object(output.path)
            if path not in kept and path.version() == output.version:
                client.delete(path.address)

    def _commit(self, record: Mapping[str, Any], reservation: Version) -> None:
        """Put the receipt in place of the reservation: from then on the outputs are published."""
        receipt = as_json(record)
        if len(receipt) > MAX_RECEIPT_BYTES:
            raise OutputError(
                f"{self.targets.receipt}: would have more than the {MAX_RECEIPT_BYTES} bytes that "
                "are read; nothing was published; name fewer columns (--keep, --pixels)"
            )
        try:
            client.put(_object(self.targets.receipt).address, receipt, reservation)
        except ConflictError as error:
            if _version_of(self.targets.receipt, receipt) is None:
                raise self._lost() from error

    def _lost(self) -> TryAgainError:
        return TryAgainError(
            f"{self.targets.receipt}: another run is publishing it; try again when that run has "
            "ended"
        )


def _version_of(path: Path, data: bytes) -> Version | None:
    """The version of the object at a path if it holds these bytes, else None."""
    try:
        found = _object(path).version()
        same = found is not None and read_small(path, len(data)) == data
    except OSError:  # absent or larger
        return None
    return found if same else None


def _object(path: Path) -> ObjectPath:
    assert isinstance(path, ObjectPath), path  # noqa: S101  # whoever chose this place checked it
    return path
