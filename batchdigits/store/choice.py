"""The choice of a bundle: a path, a name in the store, or the bundle inside the package."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Self

from batchdigits.archive.bundle_file import BundleFile, read_bundle
from batchdigits.archive.signing import Trust, open_trust
from batchdigits.engines.open import DEFAULT_ENGINE, check_engine
from batchdigits.errors import BundleError, UsageError
from batchdigits.files.digest import parse_digest
from batchdigits.files.names import path_named
from batchdigits.files.written import is_present
from batchdigits.store.store import Store

if TYPE_CHECKING:
    import argparse

DEFAULT_STORE = "bundles"


@dataclass(frozen=True, slots=True)
class BundleChoice:
    """Which bundle to use, on what conditions, and with which engine; named as the flags are.

    bundle             a path, NAME@VERSION, NAME@ALIAS or NAME (its newest); None:
                       $BATCHDIGITS_BUNDLE, else the bundle inside the package
    store              the folder of bundles; None: $BATCHDIGITS_STORE, else ./bundles
    expect_digest      the digest that the bundle file must have; None: any
    require_signature  whether a trusted key must have signed it; None:
                       $BATCHDIGITS_REQUIRE_SIGNATURE
    trusted_keys       the folder of public keys; None: $BATCHDIGITS_TRUSTED_KEYS
    engine             the engine's name
    """

    bundle: str | os.PathLike[str] | None = None
    store: str | os.PathLike[str] | None = None
    expect_digest: str | None = None
    require_signature: bool | None = None
    trusted_keys: str | os.PathLike[str] | None = None
    engine: str = DEFAULT_ENGINE

    @classmethod
    def of_flags(cls, arguments: argparse.Namespace, **others: str | None) -> Self:
        """Take the choice from a command's flags; flags that the command lacks keep defaults.

        `others` are fields that the command's flags call by another name.
        """
        given = vars(arguments) | others
        return cls(**{f.name: given[f.name] for f in fields(cls) if f.name in given})

    def checked(self) -> Self:
        """Return this choice. Raises UsageError for values that no bundle could fit."""
        open_store(self.store)
        if self.expect_digest is not None:
            parse_digest(self.expect_digest)
        open_trust(self.require_signature, self.trusted_keys)
        check_engine(self.engine)
        return self

    def load(self, trust: Trust | None = None) -> BundleFile:
        """Find the bundle file, read it and check it whole.

        `trust` takes the place of `require_signature`, `trusted_keys` and their variables. Raises
        UsageError for values that no bundle could fit and for a store without a bundle, what
        `read_bundle` raises, and BundleError for a file of the store that holds another name or
        version.
        """
        if trust is None:
            trust = open_trust(self.require_signature, self.trusted_keys)
        store = open_store(self.store)
        path = self.find(store)
        file = read_bundle(path, expect_digest=self.expect_digest, trust=trust)
        facts = file.manifest
        in_store = path.parent.parent == store.folder
        if in_store and path.name != f"{facts.name}-{facts.version}.bundle":
            raise BundleError(
                f"{path}: holds {facts.name}@{facts.version}: give the file its old name, or "
                "publish it again with train"
            )
        return file

    def find(self, store: Store) -> Path:
        """Return the path of the bundle, looking names up in `store`.

        Raises BundleError that lists what the store has if the bundle is absent, UsageError if a
        store is given without a bundle.
        """
        reference = self.bundle
        if reference is None:
            reference = os.environ.get("BATCHDIGITS_BUNDLE") or None
        if reference is None:
            if self.store is not None or os.environ.get("BATCHDIGITS_STORE"):
                raise UsageError(
                    f"the store {store.folder} is given, but no bundle ({store.contents()}): name "
                    "one (predict: with --bundle)"
                )
            return packaged_bundle()
        text = os.fspath(reference)
        path = path_named(text, "--bundle")
        if not is_path(text):
            return store.resolve(text)
        if not is_present(path):
            raise BundleError(
                f"{text}: no such file; give its path, or a name in the store {store.folder} "
                f"({store.contents()})"
            )
        return path


def open_store(store: str | os.PathLike[str] | None) -> Store:
    """Return the store that `--store` means: a folder, else $BATCHDIGITS_STORE, else ./bundles."""
    if store is not None and not os.fspath(store):
        # An unset variable in a crontab must not mean another store.
        raise UsageError("--store is empty: name the folder of bundles, or leave the flag out")
    folder = store or os.environ.get("BATCHDIGITS_STORE") or DEFAULT_STORE
    return Store(path_named(folder, "--store"))


def packaged_bundle() -> Path:
    """Return the path of the bundle that ships inside the package."""
    # An installer may have linked the file into place; that link is ours, not an attacker's.
    return (Path(__file__).parents[1] / "data" / "digits-3.bundle").resolve()


def is_path(reference: str) -> bool:
    """Return whether a reference is a path to a file, not a name in the store."""
    return "/" in reference or reference.endswith(".bundle")
