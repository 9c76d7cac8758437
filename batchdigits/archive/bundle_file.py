"""A bundle as checked bytes: read once, checked whole, and only then parsed."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from batchdigits.archive.container import MAX_FILE_BYTES, pack, unpack
from batchdigits.archive.manifest import Manifest, MemberFact, parse_manifest
from batchdigits.archive.signing import ANY_BUNDLE, Trust, check_signature
from batchdigits.errors import BundleError
from batchdigits.files.digest import digest_bytes, parse_digest
from batchdigits.files.plain import open_plain
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
# Members that format 1 allows and does not demand. None so far: what is added here is refused by
# every batchdigits that came before.
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


def read_bundle(
    path: str | os.PathLike[str], *, expect_digest: str | None = None, trust: Trust = ANY_BUNDLE
) -> BundleFile:
    """The bundle in the file at `path`, read once and checked whole before anything is parsed.

    The file itself must not be a link. With `expect_digest` ("sha256:…") the file must have that
    digest. `trust` says whether it must be signed, and by whom. Raises BundleError for a bundle
    that is absent, unreadable, damaged, another one or not signed as it must be, UsageError for an
    `expect_digest` that is no digest, MissingExtraError where a signature can't be checked.
    """
    where = Path(path)
    if expect_digest is not None:
        parse_digest(expect_digest)
    data = _read_bytes(where)
    digest = digest_bytes(data)
    if expect_digest not in (None, digest):
        raise BundleError(
            f"{where}: digest {digest}, expected {expect_digest}: "
            "this is another bundle than the one you trust"
        )
    signed_by = check_signature(where, data, trust)
    try:
        manifest, members = check_bundle(data)
    except BundleError as error:
        raise BundleError(f"{where}: {error}") from error
    return BundleFile(where, digest, manifest, MappingProxyType(members), signed_by)


def check_bundle(data: bytes) -> tuple[Manifest, dict[str, bytes]]:
    """Manifest and members of a bundle given as bytes, every member's size and sha256 checked.

    Raises BundleError that says which member is missing, extra or changed.
    """
    members = unpack(data)
    if MANIFEST not in members:
        raise BundleError(f"has no member {MANIFEST}: rebuild the bundle with train")
    # Before the names: only a manifest of a format that is known says which names to expect.
    manifest = parse_manifest(members[MANIFEST])
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
            f"{listing(changed) or MANIFEST} differs from what the manifest says of it "
            "(sha256 or size): copy the bundle anew"
        )
    return manifest, members


def build_bundle(manifest: Manifest, members: Mapping[str, bytes]) -> bytes:
    """The file of a bundle: `members` (all but the manifest) and `manifest`, packed.

    `manifest.members` is filled here. The same arguments give the same bytes. Raises BundleError
    if reading the result would.
    """
    facts = {name: member_fact(data) for name, data in members.items()}
    text = replace(manifest, members=facts).to_json()
    data = pack({**members, MANIFEST: text})
    check_bundle(data)
    return data


def member_fact(data: bytes) -> MemberFact:
    """What a manifest says of a member with these bytes."""
    return MemberFact(hashlib.sha256(data).hexdigest(), len(data))


def _check_names(names: set[str], verb: str) -> None:
    missing = sorted(REQUIRED_MEMBERS - names)
    extra = sorted(names - REQUIRED_MEMBERS - OPTIONAL_MEMBERS)
    if missing:
        raise BundleError(f"{verb} no member {listing(missing)}: rebuild the bundle with train")
    if extra:
        raise BundleError(
            f"{verb} members that format 1 does not know: {listing(extra)}: "
            "read it with the batchdigits that wrote it"
        )


def _read_bytes(path: Path) -> bytes:
    """The file's bytes, read once from one open file that is no link and not too large."""
    try:
        with open(path, "rb", opener=open_plain) as file:
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode):
                raise BundleError(f"{path}: is a FIFO or a device, expected a bundle file")
            if facts.st_size > MAX_FILE_BYTES:
                raise BundleError(
                    f"{path}: has {facts.st_size} bytes, "
                    f"the most a bundle may have is {MAX_FILE_BYTES}"
                )
            # One more than allowed, so that a file that grew meanwhile is noticed by `unpack`.
            return file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise _unreadable(path, error) from error
    except ValueError as error:
        raise BundleError(f"{str(path)!r} is no path: {error}") from error


def _unreadable(path: Path, error: OSError) -> BundleError:
    if error.errno == errno.ENOENT:
        return BundleError(f"{path}: no such bundle; `bundles list` shows those of a store")
    if error.errno == errno.EISDIR:
        return BundleError(f"{path}: is a folder, expected a bundle file")
    if error.errno == errno.ELOOP:
        return BundleError(
            f"{path}: is a symbolic link, and bundles are opened without following one: "
            f"give {os.path.realpath(path)}"
        )
    return BundleError(f"{path}: can't be read: {error.strerror}")
