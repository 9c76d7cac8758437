"""The file of a sweep's finished trials, an Optuna journal: a killed sweep continues from it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchdigits.errors import OutputError
from batchdigits.files.atomic import explained, replace_file
from batchdigits.files.lock import hold_lock
from batchdigits.text import listing

if TYPE_CHECKING:
    import optuna

_NAME = "batchdigits sweep"
_IDENTITY = "batchdigits"
_LINE_BEGINS = b'{"op_code":'


@contextmanager
def open_study(path: Path, identity: Mapping[str, Any]) -> Iterator[optuna.Study]:
    """Open the study in the file, or create it; the file is locked until the block ends.

    `identity` holds all that decides the result of a trial, as JSON values by name. Raises
    TryAgainError if another run has the file open, OutputError for a file that is not a study, has
    a study of another identity, or can't be written.
    """
    with hold_lock(path):
        _mend(path)
        yield _open(path, identity)


def _mend(path: Path) -> None:
    """Drop a last line that a power failure cut off; refuse a file that is not a study."""
    if not path.exists():
        return
    with explained(path):
        data = path.read_bytes()
    *whole, last = data.split(b"\n")
    begins_right = last.startswith(_LINE_BEGINS) or _LINE_BEGINS.startswith(last)
    if not begins_right or not all(map(_is_entry, whole)):
        raise _not_a_study(path)
    if last:
        replace_file(path, data[: -len(last)])


def _is_entry(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return line.startswith(_LINE_BEGINS)


def _not_a_study(path: Path) -> OutputError:
    return OutputError(
        f"{path}: exists and is not a sound study of a sweep; name another file with --study"
    )


def _open(path: Path, identity: Mapping[str, Any]) -> optuna.Study:
    import optuna
    from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

    class AlreadyHeld(JournalFileSymlinkLock):
        """A lock of nothing: `hold_lock` keeps others out, and a kill leaves no lock behind."""

        def acquire(self) -> bool:
            return True

        def release(self) -> None:
            return

    backend = JournalFileBackend(str(path), AlreadyHeld(str(path)))
    with explained(path):
        try:
            storage = optuna.storages.JournalStorage(backend)
            names = optuna.get_all_study_names(storage)
        except (ValueError, KeyError, TypeError) as error:
            raise _not_a_study(path) from error
    if names not in ([], [_NAME]):
        raise _not_a_study(path)
    if names:
        study = optuna.load_study(storage=storage, study_name=_NAME)
    else:
        study = optuna.create_study(storage=storage, study_name=_NAME, direction="maximize")
    _claim(study, path, identity)
    return study


def _claim(study: optuna.Study, path: Path, identity: Mapping[str, Any]) -> None:
    """Write the identity into a new study; refuse the study of another sweep."""
    known = study.user_attrs.get(_IDENTITY)
    if known is None and not study.trials:
        study.set_user_attr(_IDENTITY, dict(identity))
        return
    known = known if isinstance(known, dict) else {}
    differing = [name for name in identity if known.get(name) != identity[name]]
    if differing:
        raise OutputError(
            f"{path}: holds the trials of another sweep, with other {listing(differing)}; name "
            "another file with --study, or remove this one to start again"
        )
