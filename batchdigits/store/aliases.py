"""Aliases of bundles: a small JSON file each that keeps what it pointed at, since when, and why."""

from __future__ import annotations

import getpass
import json
import os
import re
import socket
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from batchdigits.clock import utc_text
from batchdigits.errors import BundleError, TryAgainError
from batchdigits.files.atomic import replace_under_lock

_ALIAS = re.compile(r"[a-z][a-z0-9._-]{0,99}")

Action: TypeAlias = Literal["promote", "rollback"]


@dataclass(frozen=True, slots=True)
class AliasChange:
    """One line of an alias's history.

    version  what it points at since then
    was      what it pointed at before; None for nothing
    at, by   when (UTC), and which user on which machine
    action   how it came to move
    reason   why, in the words of who did it; may be empty
    """

    version: int
    was: int | None
    at: str
    by: str
    action: Action
    reason: str


@dataclass(frozen=True, slots=True)
class Move:
    """Why and upon what an alias moves.

    action  promote, or rollback to what `standing` has before the last
    reason  in the words of who does it; may be empty
    seen    the history that the decision rests on; None: any
    """

    action: Action = "promote"
    reason: str = ""
    seen: Sequence[AliasChange] | None = None


PROMOTION = Move()


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


def standing(history: Sequence[AliasChange]) -> list[int]:
    """What the alias points at, last, and before it what each rollback would bring back in turn.

    A promotion adds a version and a rollback takes one away, so that rolling back twice goes
    further back and never returns to what was rolled back from.
    """
    versions: list[int] = []
    for change in history:
        if change.action == "rollback":
            versions.pop()
        else:
            versions.append(change.version)
    return versions


def previous(history: Sequence[AliasChange]) -> int | None:
    """The version that a rollback brings back; None where nothing stood before."""
    return next(iter(standing(history)[-2:-1]), None)


def append_change(path: Path, version: int, move: Move) -> None:
    """Add to an alias's file that it points at `version` from now on. The caller holds the lock.

    Raises TryAgainError if the history is another than the move rests on.
    """
    history = read_history(path)
    if move.seen is not None and history != list(move.seen):
        raise TryAgainError(
            f"{path}: the alias was moved by someone else meanwhile: look at its history, then try "
            "again"
        )
    changes = [*history, _change_now(version, history, move)]
    document = {"history": [_as_entry(change) for change in changes]}
    replace_under_lock(path, f"{json.dumps(document, indent=2)}\n".encode())


def _as_entry(change: AliasChange) -> dict[str, Any]:
    """What the file holds of a change: what the alias meant before, the entry before it says."""
    entry = asdict(change)
    del entry["was"]
    return entry


def _parse_history(path: Path, text: bytes) -> list[AliasChange]:
    changes: list[AliasChange] = []
    try:
        for change in json.loads(text)["history"]:
            changes.append(_parse_change(change, changes))
    except (ValueError, TypeError, KeyError) as error:
        raise _damaged_alias(path) from error
    if not changes:
        raise _damaged_alias(path)
    return changes


def _parse_change(change: Any, before: list[AliasChange]) -> AliasChange:
    """One entry, checked against those before it. Raises ValueError, TypeError or KeyError."""
    version, action = change["version"], change.get("action", "promote")
    stand = standing(before)
    if type(version) is not int or version < 1 or action not in ("promote", "rollback"):
        raise ValueError("no change of an alias")
    if action == "rollback" and stand[-2:-1] != [version]:
        raise ValueError("a rollback to what did not stand before")
    return AliasChange(
        version,
        stand[-1] if stand else None,
        str(change["at"]),
        str(change["by"]),
        action,
        str(change.get("reason", "")),
    )


def _damaged_alias(path: Path) -> BundleError:
    return BundleError(
        f"{path}: is damaged, expected the history of an alias: remove it and promote anew"
    )


def _change_now(version: int, history: Sequence[AliasChange], move: Move) -> AliasChange:
    now = utc_text()
    was = history[-1].version if history else None
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's user id without a name
        user = str(os.getuid())
    return AliasChange(
        version, was, now, f"{user}@{socket.gethostname()}", move.action, move.reason
    )
