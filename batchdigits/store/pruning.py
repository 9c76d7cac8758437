"""Removing old versions from a store, but never one that an alias needs."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass

from batchdigits.archive.signing import signature_path
from batchdigits.errors import UsageError
from batchdigits.files.atomic import fsync_folder, remove_file
from batchdigits.store.store import Store


@dataclass(frozen=True, slots=True)
class Pruning:
    """The versions of one name that go and that stay, ascending.

    removed  the versions that go
    kept     the versions that stay, each with the reasons
    """

    removed: tuple[int, ...]
    kept: dict[int, tuple[str, ...]]


def prune(store: Store, name: str, keep: int, *, dry_run: bool = False) -> Pruning:
    """Remove every version of `name` that nothing needs, with its signature.

    The newest `keep` stay, and so do the version that an alias points at and the one that a
    rollback of the alias would bring back. Waits for publishers; with `dry_run` it waits for nobody
    and removes nothing. Raises UsageError for a `keep` below 1, BundleError for an unknown name or
    a damaged alias, since what that alias needs can't be known.
    """
    if keep < 1:
        raise UsageError(f"--keep {keep}: expected 1 or more versions")
    store.resolve(name)
    with nullcontext() if dry_run else store.locked(name):
        versions = store.versions(name)
        reasons = _reasons(store, name, versions[-keep:])
        removed = tuple(version for version in versions if version not in reasons)
        if not dry_run:
            _remove(store, name, removed)
    return Pruning(
        removed, {version: reasons[version] for version in versions if version in reasons}
    )


def _reasons(store: Store, name: str, newest: list[int]) -> dict[int, tuple[str, ...]]:
    """Return, for each version that stays, why it does."""
    reasons: dict[int, tuple[str, ...]] = dict.fromkeys(newest, ("among the newest",))
    for alias in store.aliases(name):
        needed = reversed(store.history(name, alias).stack[-2:])
        for version, reason in zip(needed, (alias, f"before {alias}"), strict=False):
            reasons[version] = (*reasons.get(version, ()), reason)
    return reasons


def _remove(store: Store, name: str, versions: tuple[int, ...]) -> None:
    for version in versions:
        path = store.path(name, version)
        # The signature first: after a kill in between, the next prune still finds the bundle.
        remove_file(signature_path(path))
        remove_file(path)
    if versions:
        fsync_folder(store.folder / name)
