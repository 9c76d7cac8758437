"""Aliases of bundles: a small JSON file each, with every version it pointed at, when and why."""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self, TypeAlias

from batchdigits.clock import utc_text
from batchdigits.errors import BundleError, TryAgainError
from batchdigits.files.atomic import replace_under_lock
from batchdigits.files.objects.path import ObjectPath
from batchdigits.files.plain import read_small
from batchdigits.files.strict_json import parse_strict

MAX_ALIAS_BYTES = 4 * 1024 * 1024
"""Some 20,000 changes of an alias."""

_ALIAS = r"[a-z][a-z0-9._-]{0,99}"

Action: TypeAlias = Literal["promote", "rollback"]


@dataclass(frozen=True, slots=True)
class AliasChange:
    """One entry of an alias's history.

    version  the version that it points at from then on
    was      the version that it pointed at before; None for none
    at, by   when (UTC), and which user on which machine
    action   how it was moved
    reason   why, in the words of whoever moved it; may be empty
    """

    version: int
    was: int | None
    at: str
    by: str
    action: Action
    reason: str


@dataclass(frozen=True, slots=True)
class AliasHistory:
    """The document in an alias's file: every change, newest last. Empty if there is no file."""

    changes: tuple[AliasChange, ...] = ()

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read an alias's file. Raises BundleError if it is damaged or can't be read."""
        try:
            text = read_small(path, MAX_ALIAS_BYTES)
        except (FileNotFoundError, NotADirectoryError):
            return cls()
        except OSError as error:
            raise BundleError(
                f"{path}: can't be read: {error.strerror}, expected the history of an alias: "
                "remove it and promote again"
            ) from error
        return cls(_history_of(path, text).changes)

    @classmethod
    def parse(cls, text: bytes) -> Self:
        """Parse the bytes of an alias's file. Raises ValueError, TypeError or KeyError."""
        entries = parse_strict(text)["history"]
        if not entries:
            raise ValueError("no change of an alias")
        changes: list[AliasChange] = []
        stack: list[int] = []
        for entry in entries:
            changes.append(_parse_change(entry, changes[-1].version if changes else None))
            _move(stack, changes[-1])
        return cls(tuple(changes))

    def to_json(self) -> bytes:
        """Return the bytes of an alias's file."""
        entries = [asdict(change) for change in self.changes]
        for entry in entries:
            del entry["was"]  # the entries before it tell
        return f"{json.dumps({'history': entries}, indent=2)}\n".encode()

    @property
    def version(self) -> int | None:
        """The version that the alias points at; None for none."""
        return self.changes[-1].version if self.changes else None

    @property
    def previous(self) -> int | None:
        """The version that a rollback brings back; None if there is none."""
        return next(iter(self.stack[-2:-1]), None)

    @property
    def stack(self) -> list[int]:
        """The version that the alias points at, last, below it what rollbacks bring back in turn.

        A promotion puts a version on top and a rollback takes the top one away, so that rolling
        back twice goes further back and never returns to what was rolled back from.
        """
        versions: list[int] = []
        for change in self.changes:
            _move(versions, change)
        return versions

    def with_move(self, version: int, action: Action, reason: str) -> Self:
        """Return the history with one more change: that the alias points at `version` from now."""
        change = AliasChange(version, self.version, utc_text(), _user(), action, reason)
        return type(self)((*self.changes, change))


def _move(stack: list[int], change: AliasChange) -> None:
    """Apply a change. Raises ValueError for a rollback to another version than the previous."""
    if change.action == "promote":
        stack.append(change.version)
    elif stack[-2:-1] == [change.version]:
        stack.pop()
    else:
        raise ValueError("a rollback to another version than the previous one")


def _parse_change(entry: Any, was: int | None) -> AliasChange:
    version, action = entry["version"], entry.get("action", "promote")
    if type(version) is not int or version < 1 or action not in ("promote", "rollback"):
        raise ValueError("not a change of an alias")
    at, by, reason = str(entry["at"]), str(entry["by"]), str(entry.get("reason", ""))
    return AliasChange(version, was, at, by, action, reason)


@dataclass(frozen=True, slots=True)
class Move:
    """Why an alias moves, and what it must point at before.

    action  promote, or rollback to the version before
    reason  in the words of whoever moves it; may be empty
    seen    the history that the decision rests on; None: any
    """

    action: Action = "promote"
    reason: str = ""
    seen: AliasHistory | None = None


PROMOTION = Move()


def is_alias(text: str) -> bool:
    """Return whether an alias may have this name. `latest` may not: NAME alone means the newest."""
    return re.fullmatch(_ALIAS, text) is not None and text != "latest"


def move_alias(path: Path, version: int, move: Move) -> None:
    """Point an alias at `version` in its file. The caller holds the lock.

    Raises TryAgainError if the history is not the one that the move rests on, BundleError if it is
    damaged or full.
    """
    if not isinstance(path, ObjectPath):
        replace_under_lock(path, _moved(path, AliasHistory.read(path), version, move))
    elif not path.exchange(lambda was: _moved(path, _history_of(path, was), version, move)):
        raise _moved_meanwhile(path)


def _history_of(path: Path, text: bytes | None) -> AliasHistory:
    """The history in an alias's bytes, empty without any. Raises BundleError if it is damaged."""
    if text is None:
        return AliasHistory()
    try:
        return AliasHistory.parse(text)
    except (ValueError, TypeError, KeyError) as error:
        raise BundleError(
            f"{path}: is damaged, expected the history of an alias: remove it and promote again"
        ) from error


def _moved_meanwhile(path: Path) -> TryAgainError:
    return TryAgainError(
        f"{path}: the alias was moved by someone else meanwhile: look at its history, then try "
        "again"
    )


def _moved(path: Path, history: AliasHistory, version: int, move: Move) -> bytes:
    """Return the bytes of the alias's file after a move."""
    if move.seen is not None and history != move.seen:
        raise _moved_meanwhile(path)
    text = history.with_move(version, move.action, move.reason).to_json()
    if len(text) > MAX_ALIAS_BYTES:
        raise BundleError(
            f"{path}: its history would have {len(text)} bytes, at most {MAX_ALIAS_BYTES} are "
            "read: move the file away and promote again, with a shorter reason"
        )
    return text


def _user() -> str:
    import getpass  # only here: no run that scores must wait for them
    import socket

    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's user id without a name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
