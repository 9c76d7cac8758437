"""Removing old versions from a store, and never one that an alias needs."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass

from batchdigits.archive.signing import signature_path
from batchdigits.errors import UsageError
from batchdigits.files.atomic import fsync_folder, remove_file
from batchdigits.store.aliases import standing
from batchdigits.store.store import Store


@dataclass(frozen=True, slots=True)
class Pruning:
    """What goes and what stays of one name, ascending.

    removed  the versions that go
    kept     for each version that stays why it does
    """

    removed: tuple[int, ...]
    kept: dict[int, tuple[str, ...]]


def prune(store: Store, name: str, keep: int, *, dry_run: bool = False) -> Pruning:
    """Remove every version of `name`, with its signature, that nothing speaks for.

    The newest `keep` stay, what an alias points at, and what rolling it back would bring back.
    Waits for whoever publishes; with `dry_run` it waits for nobody and removes nothing. Raises
    UsageError for a `keep` below 1, BundleError for an unknown name or a damaged alias: what that
    needs is not known.
    """
    if keep < 1:
        raise UsageError(f"--keep {keep}: expected 1 or more versions")
    store.resolve(name)
    with nullcontext() if dry_run else store.locked(name):
        versions = store.versions(name)
        kept = _reasons(store, name, versions[-keep:])
        removed = tuple(version for version in versions if version not in kept)
        if not dry_run:
            _remove(store, name, removed)
    return Pruning(removed, {version: kept[version] for version in versions if version in kept})


def _reasons(store: Store, name: str, newest: list[int]) -> dict[int, tuple[str, ...]]:
    """Why each version stays."""
    kept: dict[int, tuple[str, ...]] = dict.fromkeys(newest, ("among the newest",))
    for alias in store.aliases(name):
        needed = reversed(standing(store.history(name, alias))[-2:])
        for version, why in zip(needed, (alias, f"before {alias}"), strict=False):
            kept[version] = (*kept.get(version, ()), why)
    return kept


def _remove(store: Store, name: str, versions: tuple[int, ...]) -> None:
    for version in versions:
        path = store.path(name, version)
        # The signature first: killed in between, the next prune finds the bundle still.
        remove_file(signature_path(path))
        remove_file(path)
    if versions:
        fsync_folder(store.folder / name)
