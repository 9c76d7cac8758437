"""A bundle's contents to the next version in a store."""

from __future__ import annotations

import os
from pathlib import Path

from batchdigits.errors import OutputError
from batchdigits.files.digest import digest_bytes
from batchdigits.files.objects.path import ObjectPath
from batchdigits.packing.contents import Contents
from batchdigits.packing.pack import pack_bundle
from batchdigits.store.choice import open_store

StorePath = str | os.PathLike[str] | None


def check_store(store: StorePath) -> None:
    """Raise OutputError for a store that can't be written, before the work that it is for."""
    folder = open_store(store).folder
    if isinstance(folder, ObjectPath):
        folder.refuse_absent_bucket()
        return
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise OutputError(f"{existing}: is not a writable folder; give another --store")


def publish_bundle(contents: Contents, name: str, store: StorePath) -> tuple[Path, int, str]:
    """Write the next version of `name`; return the bundle's path, version and digest.

    Raises as `Store.publish`.
    """
    packed: dict[int, bytes] = {}

    def build(version: int) -> bytes:
        packed[version] = pack_bundle(contents, name, version)
        return packed[version]

    path = open_store(store).publish(name, build)
    version, data = max(packed.items())
    return path, version, digest_bytes(data)
