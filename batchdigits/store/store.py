"""The store: a folder of bundles, with a subfolder for each name and aliases for its versions.

- `STORE/NAME/NAME-1.bundle`
- `STORE/NAME/aliases/production.json`
- `STORE/NAME/.highest`: the highest version ever published, so that no version is used twice
- `STORE/.NAME.lock`: held while something is written
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from batchdigits.archive.manifest import is_bundle_name
from batchdigits.errors import BundleError, OutputError, TryAgainError, UsageError
from batchdigits.files.atomic import (
    create_file,
    explained,
    fsync_folder,
    remove_file,
    replace_under_lock,
)
from batchdigits.files.lock import hold_lock
from batchdigits.files.objects.path import ObjectPath, as_path
from batchdigits.files.plain import read_small
from batchdigits.store.aliases import PROMOTION, AliasHistory, Move, is_alias, move_alias
from batchdigits.text import listing

LOCK_SECONDS = 60.0

_REFERENCE = re.compile(r"([a-z0-9][a-z0-9._-]*)(?:@(.*))?", re.DOTALL)

_VERSION = re.compile(r"[1-9][0-9]{0,8}")
_HIGHEST_BYTES = 1000


class Store:
    """A folder of bundles. Nothing is created before the first `publish`."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = as_path(folder)

    def names(self) -> list[str]:
        """Return every name that has a bundle, sorted."""
        names = [name for name in _entries(self.folder) if is_bundle_name(name)]
        return sorted(name for name in names if self.versions(name))

    def contents(self) -> str:
        """Return the names as messages show them: "it has digits, letters", or "it is empty"."""
        names = self.names()
        return f"it has {listing(names)}" if names else "it is empty"

    def versions(self, name: str) -> list[int]:
        """Return the versions of `name`, ascending; none for one that is unknown or not a name."""
        if not is_bundle_name(name):  # such as a path, from a forged receipt
            return []
        pattern = re.compile(rf"{re.escape(name)}-({_VERSION.pattern})\.bundle")
        matches = map(pattern.fullmatch, _entries(self.folder / name))
        return sorted(int(match.group(1)) for match in matches if match)

    def path(self, name: str, version: int) -> Path:
        """Return the path of that version, whether it exists or not."""
        return self.folder / name / f"{name}-{version}.bundle"

    def publish(self, name: str, build: Callable[[int], bytes]) -> Path:
        """Write `build(version)` as the next version of `name`; return its path.

        The version is one more than the highest there ever was. The file appears whole or not at
        all, and never replaces another. Raises UsageError for a name that can't be one,
        TryAgainError if another publisher holds the name for a minute, OutputError if the store
        can't be written.
        """
        if not is_bundle_name(name):
            raise UsageError(
                f"bundle name {name!r}: use lower-case letters, digits, '.', '_' and '-'"
            )
        folder = self.folder / name
        with explained(folder):
            if not folder.is_dir():
                folder.mkdir(parents=True, exist_ok=True)
                fsync_folder(self.folder)
        with self.locked(name):
            self._remove_leftovers(name)
            version = max([self._highest(name), *self.versions(name)]) + 1
            while True:
                try:
                    create_file(self.path(name, version), build(version))
                    break
                except FileExistsError:
                    # Someone wrote without the lock, as a copy into the store does.
                    version += 1
            self._note_highest(name, version)
        return self.path(name, version)

    @contextlib.contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """Hold the lock that every writer of `name` holds, after waiting up to a minute for it.

        To train again would take longer.

        Raises TryAgainError if another writer holds it for longer, OutputError if the store does
        not exist or can't be written.
        """
        if isinstance(self.folder, ObjectPath):  # there each write has its own condition
            yield
            return
        deadline = time.monotonic() + LOCK_SECONDS
        with contextlib.ExitStack() as stack:
            while True:
                try:
                    stack.enter_context(hold_lock(self.folder / name))
                    break
                except TryAgainError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.05)
            yield

    def aliases(self, name: str) -> dict[str, int]:
        """Return each alias's version, sorted by alias. Raises BundleError for a damaged alias."""
        entries = _entries(self.folder / name / "aliases")
        known = sorted(entry.removesuffix(".json") for entry in entries if entry.endswith(".json"))
        return {alias: self._select(name, alias) for alias in known if is_alias(alias)}

    def history(self, name: str, alias: str) -> AliasHistory:
        """Return an alias's history, empty without a file. Raises BundleError if it is damaged."""
        return AliasHistory.read(self._alias_path(name, alias))

    def set_alias(self, name: str, alias: str, version: int, move: Move = PROMOTION) -> None:
        """Point `alias` at a version that exists, and keep what it pointed at before.

        Raises UsageError for a word that can't be an alias, BundleError for an unknown version,
        TryAgainError if the alias has moved since the move was decided, OutputError if the store
        can't be written.
        """
        if not is_alias(alias):
            raise UsageError(
                f"alias {alias!r}: use lower-case letters, digits, '.', '_' and '-', a letter "
                "first, and not 'latest': the name alone means the newest"
            )
        path = self._alias_path(name, alias)
        self._require(name, version)
        with self.locked(name):
            self._require(name, version)  # a prune may just have removed it
            with explained(path.parent):
                path.parent.mkdir(exist_ok=True)
            move_alias(path, version, move)
            fsync_folder(path.parent.parent)

    def resolve(self, reference: str) -> Path:
        """Return the file that `NAME@VERSION`, `NAME@ALIAS` or `NAME` (its newest) means.

        Raises BundleError that lists what the store has.
        """
        name, selector = split_reference(reference)
        versions = self.versions(name)
        if not versions:
            raise BundleError(
                f"{reference}: no bundle named {name!r} in {self.folder} "
                f"({self.contents()}); train one, or give another --store"
            )
        if selector is None:
            return self.path(name, versions[-1])
        version = self._select(name, selector)
        if version not in versions:
            raise self._unknown(name, selector)
        return self.path(name, version)

    def _select(self, name: str, selector: str) -> int:
        """Return the version that the text of a version or an alias means; 0 for none."""
        if _VERSION.fullmatch(selector):
            return int(selector)
        return (self.history(name, selector).version or 0) if is_alias(selector) else 0

    def _require(self, name: str, version: int) -> None:
        if version not in self.versions(name):
            raise self._unknown(name, str(version))

    def _unknown(self, name: str, selector: str) -> BundleError:
        versions = [str(version) for version in self.versions(name)]
        aliases = [f"{alias} ({version})" for alias, version in self.aliases(name).items()]
        return BundleError(
            f"{name}@{selector}: no such version or alias in {self.folder}; versions: "
            f"{listing(versions) or 'none'}; aliases: {listing(aliases) or 'none'}; "
            f"{name} alone means the newest"
        )

    def _alias_path(self, name: str, alias: str) -> Path:
        return self.folder / name / "aliases" / f"{alias}.json"

    def _remove_leftovers(self, name: str) -> None:
        """Remove the temporary files of publishers that were killed. The caller holds the lock."""
        # Those of bundles only: a signature's may belong to somebody who signs right now, unlocked.
        pattern = re.compile(rf"\.{re.escape(name)}-{_VERSION.pattern}\.bundle\.[^.]+\.tmp")
        for entry in _entries(self.folder / name):
            if pattern.fullmatch(entry):
                remove_file(self.folder / name / entry)

    def _note_highest(self, name: str, version: int) -> None:
        path = self.folder / name / ".highest"
        if not isinstance(path, ObjectPath):
            replace_under_lock(path, f"{version}\n".encode())
            return
        while not path.exchange(lambda _: f"{max(self._highest(name), version)}\n".encode()):
            pass  # another publisher was faster, and there is a next time

    def _highest(self, name: str) -> int:
        """Return the highest version ever published, as noted in `.highest`; 0 for none."""
        path = self.folder / name / ".highest"
        try:
            text = read_small(path, _HIGHEST_BYTES).decode("ascii", "replace").strip()
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise OutputError(
                f"{path}: can't be read: {error.strerror}, expected the highest version published "
                "so far: write that number into it"
            ) from error
        if not _VERSION.fullmatch(text):
            raise OutputError(
                f"{path}: holds {text[:20]!r}, expected the highest version published so far: "
                "write that number into it"
            )
        return int(text)


def _entries(folder: Path) -> list[str]:
    """Return the names in a folder; none if there is no such folder."""
    try:
        return [entry.name for entry in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise BundleError(f"{folder}: can't be listed: {error.strerror}") from error


def split_reference(reference: str) -> tuple[str, str | None]:
    """Split NAME or NAME@SELECTOR into its parts. Raises BundleError for anything else."""
    match = _REFERENCE.fullmatch(reference)
    if match is None or not is_bundle_name(match.group(1)):
        raise BundleError(
            f"{reference!r} is not the name of a bundle: give NAME, NAME@VERSION, NAME@ALIAS, or "
            f"the path of a .bundle file (./{reference} for a file in this folder)"
        )
    return match.group(1), match.group(2)
