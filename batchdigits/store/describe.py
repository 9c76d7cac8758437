"""A description of every bundle in a store, damaged ones included."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path

from batchdigits.archive.bundle_file import read_bundle
from batchdigits.errors import BundleError
from batchdigits.store.store import Store

_LOGGER = logging.getLogger("batchdigits")


@dataclass(frozen=True, slots=True)
class StoredBundle:
    """One version of one name; created, accuracy and digest are None for a damaged bundle.

    aliases  the aliases that point at it, sorted
    error    why the bundle, or an alias of its name, can't be read; None if all is sound
    """

    name: str
    version: int
    aliases: tuple[str, ...]
    path: Path
    created: str | None = None
    accuracy: float | None = None
    digest: str | None = None
    error: str | None = None


def describe_bundles(store: Store, name: str) -> list[StoredBundle]:
    """Describe every version of `name`, ascending; each problem is also logged, once."""
    try:
        aliases, error = store.aliases(name), None
    except BundleError as damage:
        aliases, error = {}, _logged(damage)
    bundles = []
    for version in store.versions(name):
        own = tuple(alias for alias, target in aliases.items() if target == version)
        bundle = StoredBundle(name, version, own, store.path(name, version), error=error)
        try:
            file = read_bundle(bundle.path)
        except BundleError as damage:
            bundles.append(replace(bundle, error=_logged(damage)))
            continue
        created, accuracy = file.manifest.created, file.manifest.accuracy
        bundles.append(replace(bundle, created=created, accuracy=accuracy, digest=file.digest))
    return bundles


def _logged(error: BundleError) -> str:
    _LOGGER.error("%s", error)
    return str(error)
