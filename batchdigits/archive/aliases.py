"""Aliases of bundles: a small JSON file each that keeps what it pointed at, and since when."""

from __future__ import annotations

import getpass
import json
import os
import re
import socket
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from batchdigits.errors import BundleError
from batchdigits.files.atomic import replace_file

_ALIAS = re.compile(r"[a-z][a-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class AliasChange:
    """One line of an alias's history: the version it was set to, when (UTC), and by whom."""

    version: int
    at: str
    by: str


def is_alias(text: str) -> bool:
    """Whether an alias may be called so; `latest` may not, the name alone means the newest."""
    return _ALIAS.fullmatch(text) is not None and text != "latest"


def read_history(path: Path) -> list[AliasChange]:
    """The changes that an alias's file holds, newest last; none if there is no file.

    Raises BundleError for a file that is damaged or can't be read.
    """
    try:
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise BundleError(f"{path}: can't be read: {error.strerror}") from error
    return _parse_history(path, text)


def append_change(path: Path, version: int) -> None:
    """Add to an alias's file that it points at `version` from now on. The caller holds the lock."""
    changes = [*read_history(path), _change_now(version)]
    document = {"history": [asdict(change) for change in changes]}
    replace_file(path, f"{json.dumps(document, indent=2)}\n".encode())


def _parse_history(path: Path, text: bytes) -> list[AliasChange]:
    try:
        changes = [
            AliasChange(change["version"], str(change["at"]), str(change["by"]))
            for change in json.loads(text)["history"]
        ]
        valid = all(type(change.version) is int and change.version > 0 for change in changes)
    except (ValueError, TypeError, KeyError) as error:
        raise _damaged_alias(path) from error
    if not changes or not valid:
        raise _damaged_alias(path)
    return changes


def _damaged_alias(path: Path) -> BundleError:
    return BundleError(
        f"{path}: is damaged, expected the history of an alias: remove it and promote anew"
    )


def _change_now(version: int) -> AliasChange:
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's user id without a name
        user = str(os.getuid())
    return AliasChange(version, now, f"{user}@{socket.gethostname()}")
