"""A folder on a local disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from batchdigits.files.atomic import temporary_name
from batchdigits.files.commit import WrittenFile, discard, publish, recover
from batchdigits.files.lock import hold_lock, refuse_held
from batchdigits.files.streams import OutputStream, open_output
from batchdigits.files.targets import Targets, check_targets, make_folder


class LocalFolder:
    """The place of one input file's outputs in a folder, as `Place` promises."""

    def __init__(self, targets: Targets) -> None:
        self.targets = targets

    def check(self) -> None:
        """Raise OutputError for names that can't be written. Creates nothing."""
        check_targets(self.targets)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock, settle what an earlier run left, and clean up after an exception.

        Creates the folder. Raises OutputError or IOFailedError where it can't be written,
        TryAgainError where another run holds the lock.
        """
        make_folder(self.targets)
        with hold_lock(self.targets.receipt):
            try:
                recover(self.targets)
                yield
            except BaseException:
                discard(self.targets)
                raise

    def open(self, path: Path) -> OutputStream:
        """Open the temporary of a final name. Raises OutputError or IOFailedError."""
        return open_output(temporary_name(path), self.targets.compression)

    def publish(self, written: Sequence[WrittenFile], receipt: Mapping[str, Any]) -> None:
        """Give the temporaries their final names and write the receipt."""
        publish(self.targets, written, receipt)

    def is_settled(self) -> bool:
        """Whether no commit was cut off here. Raises TryAgainError where another run is at it."""
        refuse_held(self.targets.receipt)
        return not self.targets.commit.exists()
