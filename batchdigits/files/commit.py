"""The commit: complete temporaries become final files and a receipt, even across a crash.

No final name is touched before the `.commit` file exists; after that every step can be repeated
from the files on the disk. The `.commit` file is named after the receipt, which all runs of one
stem share, and lists its files: a run with other outputs and the same receipt can complete it too.
The folder is synced before each step that relies on earlier ones, so that a power cut can't reorder
them.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchdigits.errors import BatchdigitsError, InternalError, InterruptedRunError, IOFailedError
from batchdigits.files.atomic import (
    fsync_folder,
    move_file,
    remove_file,
    replace_under_lock,
    temporary_name,
)
from batchdigits.files.digest import digest_file
from batchdigits.files.names import split_name
from batchdigits.files.plain import NOT_SMALL, read_small
from batchdigits.files.strict_json import parse_strict
from batchdigits.files.targets import Targets

Record = dict[str, Any]

MAX_RECEIPT_BYTES = 4 * 1024 * 1024
"""A receipt has some 20 KB; the names of its columns may be long."""

_LONGEST_NAME = 255  # bytes, on every file system of Linux


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """An output with a complete temporary: its final path, `sha256:…`, and length in bytes."""

    path: Path
    digest: str
    bytes: int


@dataclass(frozen=True, slots=True)
class _Commit:
    """The steps to do: the future receipt, its outputs, and the files to remove."""

    receipt: Record
    outputs: list[WrittenFile]
    replaced: list[WrittenFile]


def recover(targets: Targets) -> None:
    """Complete or discard the commit of an earlier run; call it first, under the lock.

    A commit whose files all exist with their digests, as temporary or final, is completed, whether
    it is of these targets or of others with the same receipt. Otherwise its temporaries and the
    `.commit` are removed. The temporaries of these targets are removed too, and nothing else.
    """
    commit = _read_commit(targets)
    if commit is not None and all(_settle(output) for output in commit.outputs):
        _finish(targets, commit)
    else:
        for output in () if commit is None else commit.outputs:
            remove_file(temporary_name(output.path))
        remove_file(targets.commit)
    _remove_leftovers(targets)


def publish(targets: Targets, written: Sequence[WrittenFile], receipt: Mapping[str, Any]) -> None:
    """Give the temporaries their final names, then write the receipt with their digests.

    `written` is the predictions and the rejects, if there are any; their temporaries are complete
    and synced. The files of an earlier receipt of that name are removed, unless they were changed
    since or are input files of this run; so are older rejects. Raises IOFailedError or OutputError;
    the next run's recover() then completes or discards the commit.
    """
    _refuse_others(targets, written)
    for output in written:
        _verify_size(output)
    outputs = sorted(written, key=lambda output: output.path != targets.predictions)
    replaced = _replaced(targets, written)
    commit = _Commit({**receipt, "outputs": _described(targets, outputs)}, outputs, replaced)
    entries = [_entry(output) for output in replaced]
    replace_under_lock(targets.commit, as_json({"receipt": commit.receipt, "replaced": entries}))
    _finish(targets, commit)
    _remove_leftovers(targets)


def discard(targets: Targets) -> None:
    """Remove our temporaries after an error or a signal; the caller holds the lock.

    A commit that has begun is completed instead, since half of it may be done. Steps that fail are
    left to the next run's recover(). Raises only InterruptedRunError, for a signal that arrived
    meanwhile; the work is done anyway.
    """
    try:
        recover(targets)
    except InterruptedRunError:
        with suppress(BatchdigitsError):
            recover(targets)  # signals are ignored from the first one on
        raise
    except BatchdigitsError:  # the error that led here is the one to report
        return


def read_receipt(path: Path) -> Record | None:
    """Read a receipt; None if it is absent or not ours. Raises IOFailedError if unreadable."""
    record = _read_json(path)
    if isinstance(record, dict) and isinstance(record.get("outputs"), dict):
        return record
    return None


def named_outputs(folder: Path, receipt: Mapping[str, Any]) -> list[WrittenFile] | None:
    """The predictions, and the rejects if there are any, that a receipt in `folder` names.

    None unless each is named as a file of that folder, with digest and size.
    """
    match receipt.get("outputs"):
        case {"predictions": dict(predictions), "rejects": (dict() | None) as rejects}:
            entries = [predictions] if rejects is None else [predictions, rejects]
            return _from_entries(folder, entries)
    return None


def outputs_match(targets: Targets, outputs: Sequence[WrittenFile]) -> bool:
    """Return whether these are all of the targets' files, and exist with their digests."""
    named = {output.path for output in outputs}
    if targets.predictions not in named or named - {targets.predictions, targets.rejects}:
        return False
    if not all(_is_file_of(output.path, output) for output in outputs):
        return False
    return targets.rejects in named or not os.path.lexists(targets.rejects)


def as_json(record: Mapping[str, Any]) -> bytes:
    """Encode a record as JSON for people: its own order, indented, UTF-8, a newline at the end."""
    text = json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    # File names that are not UTF-8 hold lone surrogates, which become JSON's own escapes.
    return text.encode("utf-8", "backslashreplace")


def _finish(targets: Targets, commit: _Commit) -> None:
    """Do every step from the `.commit` to the receipt. Each may have been done before."""
    if os.path.lexists(targets.receipt):
        remove_file(targets.receipt)
        fsync_folder(targets.folder)  # an old receipt must not reappear beside new files
    for old in commit.replaced:
        if _is_file_of(old.path, old):
            remove_file(old.path)
    for output in reversed(commit.outputs):
        _promote(output.path)
    fsync_folder(targets.folder)  # a new receipt must not appear before its files
    replace_under_lock(targets.receipt, as_json(commit.receipt))
    remove_file(targets.commit)
    fsync_folder(targets.folder)


def _promote(path: Path) -> None:
    temporary = temporary_name(path)
    if os.path.lexists(temporary):
        move_file(temporary, path)


def _remove_leftovers(targets: Targets) -> None:
    for path in targets.leftovers:
        remove_file(path)


def _settle(output: WrittenFile) -> bool:
    """Return whether the output exists and is complete; of two copies the final one is kept."""
    temporary = temporary_name(output.path)
    if _is_file_of(output.path, output):
        remove_file(temporary)
        return True
    return _is_file_of(temporary, output)


def _is_file_of(path: Path, output: WrittenFile) -> bool:
    try:
        status = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    if not stat.S_ISREG(status.st_mode) or status.st_size != output.bytes:
        return False
    return digest_file(path) == output.digest


def _verify_size(output: WrittenFile) -> None:
    temporary = temporary_name(output.path)
    size = temporary.stat().st_size if temporary.is_file() else 0
    if size != output.bytes:
        raise IOFailedError(
            f"{temporary}: {output.bytes} bytes were written, but the file has {size}; nothing was "
            "published; check that the folder and its mount still exist, then run again"
        )


def _refuse_others(targets: Targets, written: Sequence[WrittenFile]) -> None:
    paths = {output.path for output in written}
    if targets.predictions not in paths or paths - {targets.predictions, targets.rejects}:
        raise InternalError(f"{targets.predictions}: published with {sorted(map(str, paths))}")


def _replaced(targets: Targets, written: Sequence[WrittenFile]) -> list[WrittenFile]:
    """The files to remove with the old receipt: those that it names and no new file replaces."""
    receipt = read_receipt(targets.receipt)
    old = (None if receipt is None else named_outputs(targets.folder, receipt)) or []
    ours = (targets.predictions, targets.rejects)
    result = [
        output
        for output in old
        if output.path not in ours
        and _is_of_stem(output.path, targets.receipt)
        and _is_file_of(output.path, output)
        and not targets.reads(output.path)
    ]
    if targets.rejects not in {output.path for output in written} and targets.rejects.is_file():
        size = targets.rejects.stat().st_size
        result.append(WrittenFile(targets.rejects, digest_file(targets.rejects), size))
    return result


def _is_of_stem(output: Path, receipt: Path) -> bool:
    """Return whether a run with this receipt can have written a file of that name."""
    stem = receipt.name.removesuffix(".receipt.json")
    return split_name(output.name)[0] in (stem, f"{stem}.predictions", f"{stem}.rejects")


def _described(targets: Targets, outputs: Sequence[WrittenFile]) -> Record:
    """The outputs as a receipt describes them: file names without folders, which may be moved."""
    by_path = {output.path: output for output in outputs}
    return {
        "predictions": _entry(by_path[targets.predictions]),
        "rejects": _entry(by_path[targets.rejects]) if targets.rejects in by_path else None,
    }


def _entry(output: WrittenFile) -> Record:
    return {"path": output.path.name, "sha256": output.digest, "bytes": output.bytes}


def _read_json(path: Path) -> object:
    """The value of a JSON file; None when it is absent, not strict JSON, or no small file."""
    try:
        return parse_strict(read_small(path, MAX_RECEIPT_BYTES))
    except (FileNotFoundError, ValueError):
        return None
    except OSError as error:
        if error.errno in NOT_SMALL:
            return None
        raise IOFailedError(f"{path}: can't be read: {error.strerror or error}") from error


def _read_commit(targets: Targets) -> _Commit | None:
    """The commit in progress of this receipt; None when there is none or it is damaged."""
    match _read_json(targets.commit):
        case {"receipt": dict(receipt), "replaced": list(entries)}:
            outputs = named_outputs(targets.folder, receipt)
            replaced = _from_entries(targets.folder, entries)
            if outputs is not None and replaced is not None:
                return _Commit(receipt, outputs, replaced)
    return None


def _from_entries(folder: Path, entries: Sequence[object]) -> list[WrittenFile] | None:
    files = []
    for entry in entries:
        match entry:
            case {"path": str(name), "sha256": str(digest), "bytes": int(size)} if _is_name(name):
                files.append(WrittenFile(folder / name, digest, size))
            case _:
                return None
    return files


def _is_name(name: str) -> bool:
    """Return whether this can be the name of a file in its own folder."""
    try:
        encoded = os.fsencode(name)
    except UnicodeEncodeError:
        return False
    plain = b"/" not in encoded and b"\0" not in encoded and encoded not in (b"", b".", b"..")
    return plain and len(encoded) <= _LONGEST_NAME
