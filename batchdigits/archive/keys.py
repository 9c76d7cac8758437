"""Ed25519 keys as files: `NAME.key` stays with whoever signs, `NAME.pub` goes to whoever checks.

A key's id is the sha256 of the 32 bytes of the public key (RFC 8032), written as digests are.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from batchdigits.errors import BundleError, UsageError, missing_extra
from batchdigits.files.atomic import refuse_existing, write_output
from batchdigits.files.digest import digest_bytes, short_digest
from batchdigits.files.plain import read_plain

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

PRIVATE_SUFFIX = ".key"
PUBLIC_SUFFIX = ".pub"
MAX_KEY_BYTES = 16 * 1024

# The encoded y of each point of a small order (RFC 8032, section 5.1): with such a "key" one
# signature is valid for a large part of all messages, and nobody needs a private key to find it.
_PRIME = 2**255 - 19
_SMALL_ORDER = {
    *(0, 1, _PRIME - 1),
    0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
    0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,
}

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_NEVER_OVERWRITTEN = "a key is never overwritten: choose another NAME"


@dataclass(frozen=True, slots=True)
class KeyFiles:
    """A new pair of keys: its two files and its id."""

    private: Path
    public: Path
    key_id: str


def create_keys(folder: Path, name: str, passphrase: bytes | None = None) -> KeyFiles:
    """Make a pair of keys and write `NAME.key` (mode 0600) and `NAME.pub` into a folder.

    passphrase  encrypts the private key; None leaves it readable to whoever reads the file

    Raises UsageError for a name that can't be one, OutputError if one of the files exists or
    can't be written, MissingExtraError without `cryptography`.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"key name {name!r}: use letters, digits, '.', '_' and '-'")
    require_cryptography()
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private, public = folder / f"{name}{PRIVATE_SUFFIX}", folder / f"{name}{PUBLIC_SUFFIX}"
    for path in (private, public):
        refuse_existing(path, _NEVER_OVERWRITTEN)
    key = Ed25519PrivateKey.generate()
    encryption = (
        serialization.NoEncryption()
        if passphrase is None
        else serialization.BestAvailableEncryption(passphrase)
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, encryption)
    known = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    # Under the umask 002 the group could write the public key, and such a key is not trusted.
    for path, data, mode in ((private, secret, 0o600), (public, known, 0o644)):
        write_output(path, data, overwrite=False, fix=_NEVER_OVERWRITTEN, mode=mode)
    return KeyFiles(private, public, key_id(key.public_key()))


def read_private_key(path: Path, passphrase: bytes | None = None) -> Ed25519PrivateKey:
    """Read the private key in a PEM file that only its owner may read.

    Raises UsageError for anything else, and for a passphrase that is missing, wrong or not needed;
    MissingExtraError without `cryptography`.
    """
    require_cryptography()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if path.name.endswith(PUBLIC_SUFFIX):
        raise UsageError(f"{path}: is a public key: give {path.with_suffix(PRIVATE_SUFFIX).name}")
    ours = f"the {PRIVATE_SUFFIX} file that bundles keygen wrote"
    data = _read_secret(path, ours)
    try:
        key = load_pem_private_key(data, passphrase)
    except TypeError as error:
        fix = "leave --passphrase-file out" if passphrase else "give its --passphrase-file"
        problem = "has no passphrase" if passphrase else "is encrypted"
        raise UsageError(f"{path}: {problem}: {fix}") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        wrong = "or the passphrase is wrong: " if passphrase else ""
        raise UsageError(f"{path}: is not a private key in PEM, {wrong}give {ours}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(f"{path}: is not an Ed25519 key: give {ours}")
    return key


def read_passphrase(path: Path) -> bytes:
    """Read the first line of a secret file. Raises UsageError if empty or others may read it."""
    data = _read_secret(path, "the file with the passphrase")
    passphrase = data.partition(b"\n")[0].rstrip(b"\r")
    if not passphrase:
        raise UsageError(f"{path}: is empty, expected the passphrase in its first line")
    return passphrase


def read_trusted_keys(folder: Path) -> Mapping[str, Ed25519PublicKey]:
    """Read the public keys `*.pub` of a folder, by id; hidden files and other names are ignored.

    The folder and the keys in it must belong to root or to the user who runs this, and nobody else
    may write to them. Raises BundleError where that is not so, for a `*.pub` that is not an Ed25519
    key or a weak one, and for a folder without keys; MissingExtraError without `cryptography`.
    """
    require_cryptography()
    keys = {}
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
            keys[key_id(key)] = key
    finally:
        os.close(descriptor)
    if not keys:
        raise BundleError(
            f"{folder}: holds no trusted key: copy the signer's {PUBLIC_SUFFIX} file there"
        )
    return keys


def key_id(key: Ed25519PublicKey) -> str:
    """Return the sha256 of the 32 bytes of a public key: "sha256:" and 64 hexadecimal digits."""
    return digest_bytes(key.public_bytes_raw())


def short_id(full: str) -> str:
    """Return the first 16 hexadecimal digits of a key's id, as messages show it."""
    return short_digest(full, 16)


def require_cryptography() -> None:
    """Raise MissingExtraError unless the package that knows Ed25519 is installed."""
    try:
        import cryptography.hazmat.primitives.asymmetric.ed25519  # noqa: F401
    except ImportError as error:
        raise missing_extra(
            "signatures need cryptography, which is not installed", "sign"
        ) from error


def _read_secret(path: Path, expected: str) -> bytes:
    try:
        data, facts = read_plain(path, MAX_KEY_BYTES)
    except OSError as error:
        raise UsageError(f"{path}: can't be read: {error.strerror}; name {expected}") from error
    if facts.st_mode & 0o077:
        raise UsageError(
            f"{path}: users other than its owner may read or write it, and it is secret: "
            f"chmod 600 {path}"
        )
    return data


def _read_public_key(path: Path, folder: int) -> Ed25519PublicKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    fix = "take it out of the folder of trusted keys"
    try:
        data, facts = read_plain(path, MAX_KEY_BYTES, folder)
        _check_owner(path, facts)
        key = load_pem_public_key(data)
    except OSError as error:
        raise BundleError(f"{path}: can't be read: {error.strerror}; {fix}") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BundleError(f"{path}: is not a public key in PEM: {fix}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise BundleError(f"{path}: is not an Ed25519 key: {fix}")
    if is_weak(key):
        raise BundleError(
            f"{path}: is a weak Ed25519 key, which keygen never makes and with which signatures "
            f"can be forged: {fix}"
        )
    return key


def is_weak(key: Ed25519PublicKey) -> bool:
    """Return whether a key is a point of small order, or not in the only spelling of its point."""
    y = int.from_bytes(key.public_bytes_raw(), "little") & (2**255 - 1)
    return y >= _PRIME or y in _SMALL_ORDER


def _check_owner(path: Path, facts: os.stat_result) -> None:
    """Raise BundleError unless only root and this user can change a trusted file or folder."""
    if facts.st_mode & 0o022:
        raise BundleError(
            f"{path}: group or others may write to it, so they could add keys of their own: "
            f"chmod go-w {path}"
        )
    if facts.st_uid not in (0, os.geteuid()):
        raise BundleError(
            f"{path}: belongs to user {facts.st_uid}, who could change which keys are trusted: "
            f"chown it to root or to user {os.geteuid()}"
        )
