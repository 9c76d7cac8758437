"""Ed25519 keys as files: `NAME.key` stays with who signs, `NAME.pub` goes to whom it may concern.

A key's id is the sha256 of the 32 bytes of the public key (RFC 8032), written as digests are.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from batchdigits.errors import BundleError, MissingExtraError, OutputError, UsageError
from batchdigits.files.atomic import create_file
from batchdigits.files.plain import open_plain

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

PRIVATE_SUFFIX = ".key"
PUBLIC_SUFFIX = ".pub"
MAX_KEY_BYTES = 16 * 1024
SHORT_ID = len("sha256:") + 16

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class KeyFiles:
    """A new pair of keys: its two files and its id."""

    private: Path
    public: Path
    key_id: str


def create_keys(folder: Path, name: str, passphrase: bytes | None = None) -> KeyFiles:
    """Make a pair of keys and write `NAME.key` (mode 0600) and `NAME.pub` into a folder.

    passphrase  encrypts the private key; None leaves it readable to whoever reads the file

    Raises UsageError for a name that can't be one, OutputError if one of the files is there or
    can't be written, MissingExtraError without `cryptography`.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"key name {name!r}: use letters, digits, '.', '_' and '-'")
    require_cryptography()
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private, public = folder / f"{name}{PRIVATE_SUFFIX}", folder / f"{name}{PUBLIC_SUFFIX}"
    for path in (private, public):
        if os.path.lexists(path):
            raise _key_exists(path)
    key = Ed25519PrivateKey.generate()
    encryption = (
        serialization.NoEncryption()
        if passphrase is None
        else serialization.BestAvailableEncryption(passphrase)
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, encryption)
    known = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    _create(private, secret, 0o600)
    # Under the umask 002 the group could write it, and such a key is not trusted.
    _create(public, known, 0o644)
    return KeyFiles(private, public, key_id(key.public_key()))


def read_private_key(path: Path, passphrase: bytes | None = None) -> Ed25519PrivateKey:
    """The private key in a PEM file that nobody else may read.

    Raises UsageError for anything else, and for a passphrase that is missing, wrong or useless;
    MissingExtraError without `cryptography`.
    """
    require_cryptography()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if path.name.endswith(PUBLIC_SUFFIX):
        raise UsageError(f"{path}: is a public key: give {path.with_suffix(PRIVATE_SUFFIX).name}")
    data = _read_secret(path, f"the {PRIVATE_SUFFIX} file that bundles keygen wrote")
    try:
        key = load_pem_private_key(data, passphrase)
    except TypeError as error:
        fix = "leave --passphrase-file out" if passphrase else "give its --passphrase-file"
        what = "has no passphrase" if passphrase else "is encrypted"
        raise UsageError(f"{path}: {what}: {fix}") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        wrong = "or the passphrase is wrong: " if passphrase else ""
        raise UsageError(
            f"{path}: is no private key in PEM, {wrong}give the .key file that bundles keygen wrote"
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(f"{path}: is no Ed25519 key: give the .key file that bundles keygen wrote")
    return key


def read_passphrase(path: Path) -> bytes:
    """The first line of a file that nobody else may read. UsageError if it is empty or absent."""
    passphrase = (
        _read_secret(path, "the file with the passphrase").partition(b"\n")[0].rstrip(b"\r")
    )
    if not passphrase:
        raise UsageError(f"{path}: is empty, expected the passphrase in its first line")
    return passphrase


def read_trusted_keys(folder: Path) -> Mapping[str, Ed25519PublicKey]:
    """The public keys `*.pub` of a folder, by id; hidden files and other names are not looked at.

    The folder and the keys in it must belong to root or to the user who runs this, and nobody else
    may write to them. Raises BundleError if one does not hold, for a `*.pub` that is no Ed25519 key
    and for a folder without one; MissingExtraError without `cryptography`.
    """
    require_cryptography()
    found = {}
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise BundleError(
            f"{folder}: can't be read as the folder of trusted keys: {error.strerror}; name the "
            "folder that holds the .pub files with --trusted-keys"
        ) from error
    try:
        _check_owner(folder, os.fstat(descriptor))
        with os.scandir(descriptor) as entries:
            names = sorted(entry.name for entry in entries if entry.name.endswith(PUBLIC_SUFFIX))
        for name in (name for name in names if not name.startswith(".")):
            key = _read_public_key(folder / name, descriptor)
            found[key_id(key)] = key
    finally:
        os.close(descriptor)
    if not found:
        raise BundleError(
            f"{folder}: holds no trusted key: copy the {PUBLIC_SUFFIX} file of who signs there"
        )
    return found


def key_id(key: Ed25519PublicKey) -> str:
    """The sha256 of the 32 bytes of a public key: "sha256:" and 64 hexadecimal digits."""
    return f"sha256:{hashlib.sha256(key.public_bytes_raw()).hexdigest()}"


def short_id(full: str) -> str:
    """A key's id as people are shown it: its first 16 hexadecimal digits."""
    return full[:SHORT_ID]


def require_cryptography() -> None:
    """Raise MissingExtraError where the package that knows Ed25519 is not installed."""
    try:
        import cryptography.hazmat.primitives.asymmetric.ed25519  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            "signatures need cryptography, which is not installed: pip install 'batchdigits[sign]'"
        ) from error


def _create(path: Path, data: bytes, mode: int) -> None:
    try:
        create_file(path, data, mode=mode)
    except FileExistsError as error:
        raise _key_exists(path) from error


def _key_exists(path: Path) -> OutputError:
    return OutputError(f"{path}: exists, and a key is never overwritten: choose another NAME")


def _read_secret(path: Path, expected: str) -> bytes:
    try:
        with open(path, "rb", opener=open_plain) as file:
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode):
                raise UsageError(f"{path}: is no regular file: name {expected}")
            if facts.st_mode & 0o077:
                raise UsageError(
                    f"{path}: others than its owner may read or write it, and it is secret: "
                    f"chmod 600 {path}"
                )
            return file.read(MAX_KEY_BYTES)
    except OSError as error:
        fix = "" if error.errno == errno.ELOOP else f": name {expected}"
        raise UsageError(f"{path}: can't be read: {_reason(error)}{fix}") from error


def _read_public_key(path: Path, folder: int) -> Ed25519PublicKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        with open(path.name, "rb", opener=partial(open_plain, folder=folder)) as file:
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode):
                raise BundleError(f"{path}: is no regular file, expected a public key")
            _check_owner(path, facts)
            data = file.read(MAX_KEY_BYTES)
        key = load_pem_public_key(data)
    except OSError as error:
        raise BundleError(f"{path}: can't be read: {_reason(error)}") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BundleError(
            f"{path}: is no public key in PEM: take it out of the folder of trusted keys"
        ) from error
    if not isinstance(key, Ed25519PublicKey):
        raise BundleError(f"{path}: is no Ed25519 key: take it out of the folder of trusted keys")
    return key


def _check_owner(path: Path, facts: os.stat_result) -> None:
    """Raise BundleError unless only root and this user can change a trusted file or folder."""
    if facts.st_mode & 0o022:
        raise BundleError(
            f"{path}: group or others may write to it, so they could add a key of theirs to those "
            f"that are trusted: chmod go-w {path}"
        )
    if facts.st_uid not in (0, os.geteuid()):
        raise BundleError(
            f"{path}: belongs to user {facts.st_uid}, who could change which keys are trusted: "
            f"chown it to root or to user {os.geteuid()}"
        )


def _reason(error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "is a symbolic link: give the file itself"
    return error.strerror or str(error)
