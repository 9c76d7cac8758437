"""The commit: complete temporaries become final files and a receipt, even across a crash.

No final name is touched before the `.commit` file exists; after that every step can be repeated
from the files on the disk. The `.commit` file is named after the receipt, which all runs of one
stem share, and lists its files: a run with other outputs and the same receipt can complete it too,
if it is of the same user. No file of another stem is ever touched.
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
from functools import cached_property
from pathlib import Path
from typing import Any

from batchdigits.errors import (
    BatchdigitsError,
    InternalError,
    InterruptedRunError,
    IOFailedError,
    OutputError,
)
from batchdigits.files.atomic import (
    create_under_lock,
    explained,
    fsync_folder,
    move_file,
    name_new,
    remove_file,
    replace_under_lock,
    temporary_name,
)
from batchdigits.files.digest import digest_file
from batchdigits.files.names import split_name
from batchdigits.files.objects.path import ObjectPath
from batchdigits.files.plain import NOT_SMALL, read_plain, read_small
from batchdigits.files.strict_json import parse_strict
from batchdigits.files.targets import Targets, commit_name
from batchdigits.files.written import (
    WrittenFile,
    entry_of,
    from_entries,
    is_file_of,
    is_present,
    verify_written,
)
from batchdigits.text import listing

Record = dict[str, Any]

MAX_RECEIPT_BYTES = 4 * 1024 * 1024
"""A receipt has some 20 KB; the names of its columns may be long."""


@dataclass(frozen=True)
class _Commit:
    """The steps to do: the future receipt, its outputs, and the files to remove.

    With `overwrite` the final names may be taken; without it, nothing may be there.
    """

    receipt: Record
    outputs: list[WrittenFile]
    replaced: list[WrittenFile]
    overwrite: bool

    @cached_property
    def receipt_text(self) -> bytes:
        """The bytes of the receipt's file."""
        return as_json(self.receipt)

    def facts(self) -> Record:
        """The commit as its file holds it; the outputs are those of the receipt."""
        replaced = [entry_of(output) for output in self.replaced]
        return {"receipt": self.receipt, "replaced": replaced, "overwrite": self.overwrite}


def recover(targets: Targets) -> None:
    """Complete or discard the commit of an earlier run; call it first, under the lock.

    A commit whose files all exist with their digests, as temporary or final, is completed, whether
    it is of these targets or of others with the same receipt, unless a name is taken that it may
    not overwrite. Otherwise its temporaries and the `.commit` are removed. The temporaries of these
    targets are removed too, and nothing else. Raises OutputError, and touches nothing, for a
    `.commit` that another user or no run of this stem can have written.
    """
    commit = _read_commit(targets)
    pending = None if commit is None else _pending(targets, commit)
    if commit is not None and pending is not None:
        _finish(targets, commit, pending)
    else:
        for output in () if commit is None else commit.outputs:
            remove_file(temporary_name(output.path))
        remove_file(targets.commit)
    _remove_leftovers(targets)


def publish(
    targets: Targets,
    written: Sequence[WrittenFile],
    receipt: Mapping[str, Any],
    *,
    overwrite: bool = True,
) -> None:
    """Give the temporaries their final names, then write the receipt with their digests.

    `written` is the predictions and the rejects, if there are any; their temporaries are complete
    and synced. With `overwrite`, the files of an earlier receipt of that name are removed, unless
    they were changed since or are input files of this run; so are older rejects. Without it,
    nothing that has appeared at a final name is replaced. Raises IOFailedError or OutputError; the
    next run's recover() then completes or discards the commit.
    """
    _refuse_others(targets, written)
    replaced = _replaced(targets, written) if overwrite else []
    for path in (*targets.finals, *(output.path for output in replaced)):
        _refuse_taken(path, overwrite=overwrite)
    outputs = sorted(written, key=lambda output: output.path != targets.predictions)
    record = {**receipt, "outputs": described(targets, outputs)}
    commit = _Commit(record, outputs, replaced, overwrite)
    if len(commit.receipt_text) > MAX_RECEIPT_BYTES:
        raise OutputError(
            f"{targets.receipt}: would have more than the {MAX_RECEIPT_BYTES} bytes that are read; "
            "nothing was published; name fewer columns (--keep, --pixels)"
        )
    replace_under_lock(targets.commit, as_json(commit.facts(), indent=None))
    try:
        for output in outputs:  # only now: the less time until it is renamed, the better
            verify_written(output)
    except IOFailedError:
        remove_file(targets.commit)  # nothing was done yet
        raise
    _finish(targets, commit, outputs)
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


def read_planned(path: Path) -> Record | None:
    """Read the receipt that a commit which was cut off will write at `path`; None for none."""
    if isinstance(path, ObjectPath):  # a commit there has no file of its own
        return None
    match _read_json(commit_name(path)):
        case {"receipt": dict(receipt)}:
            return receipt
    return None


def named_outputs(folder: Path, receipt: Mapping[str, Any]) -> list[WrittenFile] | None:
    """The predictions or other product, and the rejects if any, that a receipt in `folder` names.

    None unless each is named as a file of that folder, with digest and size.
    """
    match receipt.get("outputs"):
        case {"rejects": (dict() | None) as rejects, **products} if len(products) == 1:
            (product,) = products.values()
            return from_entries(folder, [product] if rejects is None else [product, rejects])
    return None


def outputs_match(
    targets: Targets, outputs: Sequence[WrittenFile], *, trust_etag: bool = False
) -> bool:
    """Return whether these are all of the targets' files, and exist with their digests.

    With `trust_etag` an object of the same version counts without being read.
    """
    named = {output.path for output in outputs}
    if targets.predictions not in named or named - {targets.predictions, targets.rejects}:
        return False
    if not all(is_file_of(output.path, output, trust_etag=trust_etag) for output in outputs):
        return False
    return targets.rejects in named or not is_present(targets.rejects)


def as_json(record: Mapping[str, Any], *, indent: int | None = 2) -> bytes:
    """Encode a record as JSON for people: its own order, indented, UTF-8, a newline at the end.

    Without an indent it is one line, which takes a tenth of the time.
    """
    text = json.dumps(record, indent=indent, ensure_ascii=False, allow_nan=False) + "\n"
    # File names that are not UTF-8 hold lone surrogates, which become JSON's own escapes.
    return text.encode("utf-8", "backslashreplace")


def _finish(targets: Targets, commit: _Commit, pending: Sequence[WrittenFile]) -> None:
    """Do every step from the `.commit` to the receipt. Each may have been done before.

    `pending` are the outputs that still have the name of their temporary.
    """
    if commit.overwrite:
        _replace_old(targets, commit, pending)
    else:
        _place_new(targets, commit, pending)
    for output in commit.outputs:
        remove_file(temporary_name(output.path))
    remove_file(targets.commit)
    fsync_folder(targets.folder)


def _replace_old(targets: Targets, commit: _Commit, pending: Sequence[WrittenFile]) -> None:
    if os.path.lexists(targets.receipt):
        remove_file(targets.receipt)
        fsync_folder(targets.folder)  # an old receipt must not reappear beside new files
    for old in commit.replaced:
        if is_file_of(old.path, old):
            remove_file(old.path)
    for output in reversed(pending):
        move_file(temporary_name(output.path), output.path)
    fsync_folder(targets.folder)  # a new receipt must not appear before its files
    replace_under_lock(targets.receipt, commit.receipt_text)


def _place_new(targets: Targets, commit: _Commit, pending: Sequence[WrittenFile]) -> None:
    """Take names that nothing has; if one was taken meanwhile, give back those taken so far."""
    placed: list[WrittenFile] = []
    path = targets.receipt
    try:
        for output in reversed(pending):
            path = output.path
            name_new(temporary_name(path), path)
            placed.append(output)
        fsync_folder(targets.folder)  # no name must go, and no receipt appear, before the new names
        for output in placed:
            remove_file(temporary_name(output.path))
        path = targets.receipt
        if not _is_receipt_of(path, commit):
            create_under_lock(path, commit.receipt_text)
    except FileExistsError as error:
        for output in placed:
            if is_file_of(output.path, output):
                remove_file(output.path)
        raise appeared(path) from error


def _remove_leftovers(targets: Targets) -> None:
    for path in targets.leftovers:
        remove_file(path)


def _pending(targets: Targets, commit: _Commit) -> list[WrittenFile] | None:
    """The outputs that are complete without their final name; None if one is not complete.

    None also if a name is taken that the commit may not overwrite.
    """
    pending = [output for output in commit.outputs if not is_file_of(output.path, output)]
    if not all(is_file_of(temporary_name(output.path), output) for output in pending):
        return None
    taken = [output.path for output in pending if os.path.lexists(output.path)]
    if os.path.lexists(targets.receipt) and not _is_receipt_of(targets.receipt, commit):
        taken.append(targets.receipt)
    return pending if commit.overwrite or not taken else None


def _is_receipt_of(path: Path, commit: _Commit) -> bool:
    return _read_json(path) == commit.receipt


def _refuse_taken(path: Path, *, overwrite: bool) -> None:
    """Raise OutputError for a file that has appeared, or that only another user may replace."""
    with explained(path):
        try:
            status, folder = path.lstat(), path.parent.stat()
        except FileNotFoundError:
            return
    if not overwrite:
        raise appeared(path)
    if folder.st_mode & stat.S_ISVTX and os.geteuid() not in (0, status.st_uid, folder.st_uid):
        raise OutputError(
            f"{path}: belongs to user {status.st_uid}, and in {path.parent} only its owner may "
            "replace it (sticky bit); nothing was published; choose another --output"
        )


def appeared(path: Path) -> OutputError:
    """Return the error for what was not there when the run began."""
    return OutputError(
        f"{path}: appeared while the run was scoring; nothing was published; move it away, or "
        "replace it with --overwrite"
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
        and is_of_stem(output.path, targets.receipt)
        and is_file_of(output.path, output)
        and not targets.reads(output.path)
    ]
    if targets.rejects not in {output.path for output in written} and targets.rejects.is_file():
        size = targets.rejects.stat().st_size
        result.append(WrittenFile(targets.rejects, digest_file(targets.rejects), size))
    return result


def is_of_stem(output: Path, receipt: Path) -> bool:
    """Return whether a run with this receipt can have written a file of that name."""
    stem = receipt.name.removesuffix(".receipt.json")
    of_kind = stem.removesuffix(".forms").removesuffix(".fields")
    return split_name(output.name)[0] in (stem, of_kind, f"{stem}.predictions", f"{stem}.rejects")


def described(targets: Targets, outputs: Sequence[WrittenFile]) -> Record:
    """The outputs as a receipt describes them: file names without folders, which may be moved."""
    by_path = {output.path: output for output in outputs}
    return {
        targets.product: entry_of(by_path[targets.predictions]),
        "rejects": entry_of(by_path[targets.rejects]) if targets.rejects in by_path else None,
    }


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


def check_commit(targets: Targets) -> bool:
    """Return whether a commit is in progress. Raises OutputError for one that is not ours."""
    _read_commit(targets)
    return os.path.lexists(targets.commit)


def _read_commit(targets: Targets) -> _Commit | None:
    """The commit in progress of this receipt; None when there is none or it is damaged.

    Raises OutputError for one that another user or no run of this stem can have written: whoever
    may write in the folder could have planted it.
    """
    path = targets.commit
    try:
        data, facts = read_plain(path, 2 * MAX_RECEIPT_BYTES)  # it holds the receipt, and more
        if facts.st_uid != os.geteuid():
            raise _not_ours(path, f"belongs to user {facts.st_uid}, this is {os.geteuid()}")
        document = parse_strict(data)
    except (FileNotFoundError, ValueError):
        return None
    except OSError as error:
        raise _not_ours(path, f"can't be read: {error.strerror or error}") from error
    match document:
        case {"receipt": dict(receipt), "replaced": list(entries)}:
            outputs = named_outputs(targets.folder, receipt)
            replaced = from_entries(targets.folder, entries)
            if outputs is None or replaced is None:
                return None
            strange = [
                output.path.name
                for output in (*outputs, *replaced)
                if not is_of_stem(output.path, targets.receipt)
            ]
            if strange:
                raise _not_ours(path, f"names {listing(strange)}, which no run of it writes")
            # Older versions asked before they scored, and never again.
            return _Commit(receipt, outputs, replaced, document.get("overwrite") is not False)
    return None


def _not_ours(path: Path, problem: str) -> OutputError:
    return OutputError(
        f"{path}: {problem}; nothing was touched; it is the rest of a run that was killed while it "
        "published: let the user of that run run it again, or remove the file"
    )
