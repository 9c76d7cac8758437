"""A folder on a local disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from batchdigits.errors import OutputError
from batchdigits.files.atomic import fsync_folder, name_new, remove_file, temporary_name
from batchdigits.files.commit import check_commit, discard, publish, recover
from batchdigits.files.lock import hold_lock, refuse_held
from batchdigits.files.streams import OutputStream, open_output
from batchdigits.files.targets import Targets, check_targets, make_folder
from batchdigits.files.written import WrittenFile, verify_written


class LocalFolder:
    """The place of one input file's outputs in a folder, which `held` creates, as `Place` promises.

    Without `lock` it keeps nobody away: the caller promises that no other run is there. Raises
    OutputError or IOFailedError where the folder can't be written, TryAgainError where another run
    holds the lock.
    """

    def __init__(self, targets: Targets, *, lock: bool = True) -> None:
        self.targets = targets
        self._lock = lock

    @property
    def scratch(self) -> Path:
        return self.targets.folder

    def check(self) -> None:
        check_targets(self.targets)

    @contextmanager
    def held(self) -> Iterator[None]:
        make_folder(self.targets)
        with hold_lock(self.targets.receipt) if self._lock else nullcontext():
            try:
                recover(self.targets)
                yield
            except BaseException:
                discard(self.targets)
                raise

    def present(self) -> list[Path]:
        targets = self.targets
        return [p for p in (targets.predictions, targets.rejects, targets.receipt) if p.exists()]

    def open(self, path: Path) -> OutputStream:
        return open_output(temporary_name(path), self.targets.compression)

    def publish(
        self, written: Sequence[WrittenFile], receipt: Mapping[str, Any], *, overwrite: bool = True
    ) -> None:
        publish(self.targets, written, receipt, overwrite=overwrite)

    def keep(self, output: WrittenFile) -> bool:
        if any(path.exists() for path in self.targets.finals):
            return False
        verify_written(output)
        try:
            name_new(temporary_name(output.path), output.path)
        except FileExistsError as error:
            raise OutputError(f"{output.path}: appeared while the run was scoring") from error
        fsync_folder(output.path.parent)
        return True

    def drop(self, path: Path) -> None:
        remove_file(path)

    def is_settled(self) -> bool:
        if self._lock:
            refuse_held(self.targets.receipt)
        return not check_commit(self.targets)
