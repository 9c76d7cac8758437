"""Which bundle a command means: a path, a name in the store, or the one inside the package."""

from __future__ import annotations

import os
from pathlib import Path

from batchdigits.archive.bundle_file import BundleFile, read_bundle
from batchdigits.archive.signing import ANY_BUNDLE, Trust
from batchdigits.errors import BundleError, UsageError
from batchdigits.store.store import Store
from batchdigits.text import listing

DEFAULT_STORE = "bundles"


def open_reference(reference: str | None, store: str | None) -> Path:
    """The bundle file that a command's `--bundle` and `--store` mean, the environment included.

    reference  a path, NAME@VERSION, NAME@ALIAS or NAME (its newest); None: $BATCHDIGITS_BUNDLE,
               else the bundle inside the package
    store      a folder; None: $BATCHDIGITS_STORE, else ./bundles

    What has a '/' or ends in '.bundle' is a path, everything else a name. Raises UsageError if a
    store is given without a bundle, BundleError, listing the known, for what is not there.
    """
    _refuse_empty(store)
    given_store = store or os.environ.get("BATCHDIGITS_STORE") or None
    given = reference if reference is not None else os.environ.get("BATCHDIGITS_BUNDLE") or None
    if given is None:
        if given_store is not None:
            raise UsageError(
                f"the store {given_store} is given but no bundle of it: name one (predict: with "
                f"--bundle), known are {listing(Store(given_store).names()) or 'none'}"
            )
        return packaged_bundle()
    folder = open_store(store)
    if not is_path(given):
        return folder.resolve(given)
    path = Path(given)
    if not os.path.lexists(path):
        raise BundleError(
            f"{given}: no such file; the store {folder.folder} has "
            f"{listing(folder.names()) or 'none'}"
        )
    return path


def load_bundle(
    reference: str | None,
    store: str | None,
    expect_digest: str | None = None,
    trust: Trust = ANY_BUNDLE,
) -> BundleFile:
    """The checked bundle that `open_reference` finds, and that it is the one its name says.

    Raises what `open_reference` and `read_bundle` raise, and BundleError for a file of the store
    that holds another name or version.
    """
    path = open_reference(reference, store)
    bundle = read_bundle(path, expect_digest=expect_digest, trust=trust)
    facts = bundle.manifest
    in_store = path.parent.parent == open_store(store).folder
    if in_store and path.name != f"{facts.name}-{facts.version}.bundle":
        raise BundleError(
            f"{path}: holds {facts.name}@{facts.version}: give the file back its name, "
            "or publish it anew with train"
        )
    return bundle


def open_store(store: str | None) -> Store:
    """The store that `--store` means: else $BATCHDIGITS_STORE, else ./bundles."""
    _refuse_empty(store)
    return Store(store or os.environ.get("BATCHDIGITS_STORE") or DEFAULT_STORE)


def _refuse_empty(store: str | None) -> None:
    if store == "":  # an unset variable in a crontab must not mean another store
        raise UsageError("--store is empty: name the folder of bundles, or leave the flag out")


def packaged_bundle() -> Path:
    """The bundle that ships inside the package."""
    # An installer may have linked the file into place; that link is ours, not an attacker's.
    return (Path(__file__).parents[1] / "data" / "digits-2.bundle").resolve()


def is_path(reference: str) -> bool:
    """Whether a reference is a path to a file, not a name in the store."""
    return "/" in reference or reference.endswith(".bundle")
