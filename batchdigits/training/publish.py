"""The destination of a bundle: the next version in a store, or one file."""

from __future__ import annotations

import os
from pathlib import Path

from batchdigits.archive.bundle_file import read_bundle
from batchdigits.errors import BundleError, OutputError, UsageError
from batchdigits.files.atomic import check_output, write_output
from batchdigits.files.digest import digest_bytes
from batchdigits.packing.contents import Contents
from batchdigits.packing.pack import pack_bundle
from batchdigits.store.choice import open_store
from batchdigits.training.options import TrainOptions

_FIX = "name another file, or replace the bundle with --overwrite"


def check_destination(options: TrainOptions) -> None:
    """Refuse a destination that can't be written, or must not be, before minutes of training.

    Raises OutputError or UsageError.
    """
    if options.output is None:
        _check_store(open_store(options.store).folder)
        return
    if (Path(options.output).parent / ".highest").exists():
        raise UsageError(
            f"--output {options.output}: is in a store, whose versions never change; publish with "
            "--store"
        )
    path = check_output(options.output, overwrite=options.overwrite, suffix=".bundle", fix=_FIX)
    if path.exists():
        _check_replaceable(path, options.data)


def _check_store(folder: Path) -> None:
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise OutputError(f"{existing}: is not a writable folder; give another --store")


def _check_replaceable(path: Path, data: str | None) -> None:
    """Refuse to replace anything but a bundle."""
    if data is not None and Path(data).exists() and path.samefile(data):
        raise UsageError(f"--output {path}: is the file to learn from; name another")
    try:
        read_bundle(path)
    except BundleError as error:
        raise OutputError(f"{path}: exists and is not a sound bundle; move it away") from error


def publish(contents: Contents, options: TrainOptions) -> tuple[Path, int, str]:
    """Write the bundle; return its path, version and digest."""
    if options.output is not None:
        path, data = Path(options.output), pack_bundle(contents, options.name, 1)
        write_output(path, data, overwrite=options.overwrite, fix=_FIX)
        return path, 1, digest_bytes(data)
    packed: dict[int, bytes] = {}

    def build(version: int) -> bytes:
        packed[version] = pack_bundle(contents, options.name, version)
        return packed[version]

    path = open_store(options.store).publish(options.name, build)
    version, data = max(packed.items())
    return path, version, digest_bytes(data)
