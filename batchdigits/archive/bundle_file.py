"""A bundle as checked bytes: read once, checked whole, and only then parsed."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from batchdigits.archive.container import MAX_FILE_BYTES, pack, unpack
from batchdigits.archive.manifest import Manifest, MemberFact
from batchdigits.archive.signing import ANY_BUNDLE, Trust, check_signature
from batchdigits.errors import BundleError, naming, unsound_bundle
from batchdigits.files.digest import digest_bytes, parse_digest
from batchdigits.files.objects.path import as_path
from batchdigits.files.plain import read_plain
from batchdigits.text import listing

MANIFEST = "manifest.json"
REQUIRED_MEMBERS = frozenset(
    {
        MANIFEST,
        "model.keras",
        "scaler.joblib",
        "label_binarizer.joblib",
        "model.onnx",
        "golden.parquet",
        "reference.json",
        "card.md",
    }
)
# Members that format 1 allows but does not require. None so far: every older batchdigits refuses
# a bundle with a member that is added here.
OPTIONAL_MEMBERS: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class BundleFile:
    """A bundle whose every byte was checked.

    path       where it was read from
    digest     "sha256:…" of the whole file
    manifest   its facts
    members    every member's bytes by name, the manifest's included; read-only
    signed_by  the id of the trusted key that signed it; None if no signature was checked
    """

    path: Path
    digest: str
    manifest: Manifest
    members: Mapping[str, bytes]
    signed_by: str | None = None

    @property
    def facts(self) -> dict[str, str]:
        """Name, version and digest, as summaries, receipts and exports show them."""
        return {
            "name": self.manifest.name,
            "version": str(self.manifest.version),
            "digest": self.digest,
        }

    def __repr__(self) -> str:
        facts = self.manifest
        return f"<BundleFile {facts.name}@{facts.version}, {self.digest}, from {str(self.path)!r}>"

    def to_bytes(self) -> bytes:
        """Return the very bytes that were read: a bundle is the packing of its members."""
        return pack(self.members)

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (self.path, self.to_bytes(), self.digest, self.signed_by)


def _unpickled(path: Path, data: bytes, digest: str, signed_by: str | None) -> BundleFile:
    """The bundle file that another process checked; its bytes are checked again."""
    if digest_bytes(data) != digest:
        raise BundleError(f"{path}: its bytes changed on the way from another process")
    return _checked(path, data, digest, signed_by)


def _checked(path: Path, data: bytes, digest: str, signed_by: str | None) -> BundleFile:
    with naming(path):
        manifest, members = check_bundle(data)
    return BundleFile(path, digest, manifest, MappingProxyType(members), signed_by)


def read_bundle(
    path: str | os.PathLike[str], *, expect_digest: str | None = None, trust: Trust = ANY_BUNDLE
) -> BundleFile:
    """Read the bundle file at `path` once, and check it whole before anything is parsed.

    expect_digest  the digest that the file must have ("sha256:…"); None: any
    trust          whether the bundle must be signed, and by whom

    Raises BundleError for a file that is absent, a link, unreadable, damaged, not the expected one
    or not signed as it must be, UsageError for an `expect_digest` that is not a digest,
    MissingExtraError where a signature can't be checked.
    """
    where = as_path(path)
    if expect_digest is not None:
        parse_digest(expect_digest)
    data = _read_bytes(where)
    digest = digest_bytes(data)
    if expect_digest not in (None, digest):
        raise BundleError(
            f"{where}: digest {digest}, expected {expect_digest}: "
            "this is not the bundle that you trust"
        )
    return _checked(where, data, digest, check_signature(where, data, trust))


def check_bundle(data: bytes) -> tuple[Manifest, dict[str, bytes]]:
    """Return manifest and members of a bundle, every member's size and sha256 checked.

    Raises BundleError that names the members that are missing, extra or changed.
    """
    members = unpack(data)
    if MANIFEST not in members:
        raise unsound_bundle(f"has no member {MANIFEST}")
    # Before the names: only a manifest of a known format says which names to expect.
    manifest = Manifest.parse(members[MANIFEST])
    _check_names(set(members), "has")
    _check_names({*manifest.members, MANIFEST}, "has a manifest with")
    changed = [
        name
        for name, fact in sorted(manifest.members.items())
        if name not in members or member_fact(members[name]) != fact
    ]
    changed += sorted(set(members) - set(manifest.members) - {MANIFEST})
    if MANIFEST in manifest.members or changed:
        raise BundleError(
            f"{listing(changed) or MANIFEST} differs from the manifest "
            "(sha256 or size): copy the bundle again"
        )
    return manifest, members


def build_bundle(manifest: Manifest, members: Mapping[str, bytes]) -> bytes:
    """Pack `manifest` and `members` (all but the manifest) into the bytes of a bundle file.

    `manifest.members` is filled here. The same arguments give the same bytes. Raises BundleError
    if the result could not be read.
    """
    facts = {name: member_fact(data) for name, data in members.items()}
    text = replace(manifest, members=facts).to_json()
    data = pack({**members, MANIFEST: text})
    check_bundle(data)
    return data


def member_fact(data: bytes) -> MemberFact:
    """Return sha256 and size of a member, as the manifest lists them."""
    return MemberFact(hashlib.sha256(data).hexdigest(), len(data))


def _check_names(names: set[str], verb: str) -> None:
    missing = sorted(REQUIRED_MEMBERS - names)
    extra = sorted(names - REQUIRED_MEMBERS - OPTIONAL_MEMBERS)
    if missing:
        raise unsound_bundle(f"{verb} no member {listing(missing)}")
    if extra:
        raise BundleError(
            f"{verb} members that format 1 does not know: {listing(extra)}: "
            "read it with the batchdigits that wrote it"
        )


def _read_bytes(path: Path) -> bytes:
    try:
        return read_plain(path, MAX_FILE_BYTES)[0]
    except OSError as error:
        problems = {
            errno.ENOENT: "no such bundle; `bundles list` shows those of a store",
            errno.EISDIR: "is a folder, expected a bundle file",
            errno.ELOOP: "is a symbolic link, and bundles are opened without following one: "
            f"give {os.path.realpath(str(path))}",
            errno.EINVAL: f"{error.strerror}, expected a bundle file",
            errno.EFBIG: f"{error.strerror}, expected a bundle file",
        }
        unread = f"can't be read: {error.strerror}, expected a bundle file"
        raise BundleError(f"{path}: {problems.get(error.errno or 0, unread)}") from error
    except ValueError as error:
        raise BundleError(f"{str(path)!r} is not a path: {error}") from error
