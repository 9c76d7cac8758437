"""The commit: finished temporaries become final files and a receipt, whatever happens between.

Up to the `.commit` file no final name is touched; from it on every step can be done again from
what is on the disk. The folder is synced before each step that relies on the ones before it, so
that a power cut can't put them into another order.
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

from batchdigits.errors import BatchdigitsError, InternalError, IOFailedError
from batchdigits.files.atomic import (
    fsync_folder,
    move_file,
    remove_file,
    replace_file,
    temporary_name,
)
from batchdigits.files.digest import digest_file
from batchdigits.files.targets import Targets

Receipt = dict[str, Any]


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """An output whose temporary is complete: its final path, `sha256:…`, and length in bytes."""

    path: Path
    digest: str
    bytes: int


def recover(targets: Targets) -> None:
    """Ends what an earlier run left, and is called first of all under the lock.

    A commit whose files all exist, as temporary or final, with their digests is completed; else
    the temporaries and the `.commit` are removed, and nothing else is touched.
    """
    receipt = read_receipt(targets.commit)
    promised = None if receipt is None else _promised(targets, receipt)
    if promised is not None and all(_settle(output) for output in promised):
        _finish(targets, promised)
    else:
        remove_file(targets.commit)
        _remove_leftovers(targets)


def publish(targets: Targets, written: Sequence[WrittenFile], receipt: Mapping[str, Any]) -> None:
    """Makes the temporaries the final files, and the receipt with their digests say so.

    `written` holds the predictions and, where there are any, the rejects; their temporaries are
    complete and synced. Raises IOFailedError or OutputError; the next run's recover() then
    completes or discards what is there.
    """
    outputs = _described(targets, written)
    for output in written:
        _verify_size(output)
    replace_file(targets.commit, as_json({**receipt, "outputs": outputs}))
    _finish(targets, written)


def discard(targets: Targets) -> None:
    """Removes our temporaries after an error or a signal; only for who holds the lock.

    A commit that has begun is completed instead: half of it may be done. Never raises; what is
    left is the next run's to recover.
    """
    with suppress(BatchdigitsError):
        recover(targets)


def read_receipt(path: Path) -> Receipt | None:
    """A receipt (or `.commit`), None when it is absent or none of ours.

    Raises IOFailedError when it is there and can't be read.
    """
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise IOFailedError(f"{path}: can't be read: {error.strerror or error}") from error
    except (ValueError, RecursionError):  # no JSON, no UTF-8, or nested to no end
        return None
    ours = isinstance(found, dict) and isinstance(found.get("outputs"), dict)
    return found if ours else None


def outputs_match(targets: Targets, receipt: Mapping[str, Any]) -> bool:
    """Whether every output that the receipt names is there with its digest, and no other is."""
    promised = _promised(targets, receipt)
    if promised is None or not all(_is_file_of(output.path, output) for output in promised):
        return False
    named = {output.path for output in promised}
    return targets.rejects in named or not os.path.lexists(targets.rejects)


def as_json(record: Mapping[str, Any]) -> bytes:
    """A record as JSON for people: in the order given, indented, UTF-8, a newline at the end."""
    text = json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    # File names that are no UTF-8 come as lone surrogates: those become JSON's own escapes.
    return text.encode("utf-8", "backslashreplace")


def _finish(targets: Targets, outputs: Sequence[WrittenFile]) -> None:
    """Every step from the `.commit` to the receipt. Each may have been done before."""
    if os.path.lexists(targets.receipt):
        remove_file(targets.receipt)
        fsync_folder(targets.folder)  # an old receipt must not come back beside new files
    if any(output.path == targets.rejects for output in outputs):
        _promote(targets.rejects)
    else:
        remove_file(targets.rejects)
    _promote(targets.predictions)
    fsync_folder(targets.folder)  # a new receipt must not come before its files
    move_file(targets.commit, targets.receipt)
    fsync_folder(targets.folder)
    _remove_leftovers(targets)


def _promote(path: Path) -> None:
    temporary = temporary_name(path)
    if os.path.lexists(temporary):
        move_file(temporary, path)


def _remove_leftovers(targets: Targets) -> None:
    for path in targets.leftovers:
        remove_file(path)


def _settle(output: WrittenFile) -> bool:
    """Whether the output exists whole; of two copies the final one is kept."""
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
        message = f"{temporary}: holds {size} bytes, expected the {output.bytes} written; run again"
        raise InternalError(message)


def _described(targets: Targets, written: Sequence[WrittenFile]) -> Receipt:
    """What a receipt says of its outputs: the file's own name, since folders get moved."""
    by_path = {output.path: output for output in written}
    if targets.predictions not in by_path or by_path.keys() - {*targets.finals[:2]}:
        raise InternalError(f"{targets.predictions}: published with {sorted(map(str, by_path))}")
    return {
        "predictions": _entry(by_path[targets.predictions]),
        "rejects": _entry(by_path[targets.rejects]) if targets.rejects in by_path else None,
    }


def _entry(output: WrittenFile) -> Receipt:
    return {"path": output.path.name, "sha256": output.digest, "bytes": output.bytes}


def _promised(targets: Targets, receipt: Mapping[str, Any]) -> list[WrittenFile] | None:
    """The outputs that a receipt names, None unless they are just these targets' files."""
    outputs = receipt.get("outputs")
    if not isinstance(outputs, dict) or not isinstance(outputs.get("predictions"), dict):
        return None
    paths = {"predictions": targets.predictions, "rejects": targets.rejects}
    entries = {role: outputs.get(role) for role in paths if outputs.get(role) is not None}
    found = [_from_entry(paths[role], entry) for role, entry in entries.items()]
    return None if None in found else [output for output in found if output is not None]


def _from_entry(path: Path, entry: object) -> WrittenFile | None:
    match entry:
        case {"path": path.name, "sha256": str(digest), "bytes": int(size)}:
            return WrittenFile(path, digest, size)
    return None
