"""Signatures: `FILE.sig` beside a bundle, over the file's exact bytes, by a trusted key.

Signing never changes the bundle. Everything in `FILE.sig` but the signature itself is a claim, and
nothing is decided by it: only keys that the operator owns tell whose signature it is.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

from batchdigits.archive.strict_json import parse_json
from batchdigits.clock import utc_text
from batchdigits.errors import BundleError, UsageError
from batchdigits.files.atomic import write_output
from batchdigits.files.plain import read_plain
from batchdigits.files.written import is_present
from batchdigits.text import listing

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SUFFIX = ".sig"
FORMAT = 1
ALGORITHM = "ed25519"
SIGNATURE_BYTES = 64
MAX_SIGNATURE_FILE_BYTES = 16 * 1024
MAX_COMMENT = 1000

_SWITCHES = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


@dataclass(frozen=True, slots=True)
class Trust:
    """The proof that a bundle has to show before anything in it is parsed.

    required  it must be signed by a trusted key
    folder    the folder of trusted keys; None: there are none, and no signature is read
    """

    required: bool = False
    folder: Path | None = None


ANY_BUNDLE = Trust()


@dataclass(frozen=True, slots=True)
class Signature:
    """The document in a `.sig` file.

    key            the id of the key that signed
    signature      64 bytes, over the bundle's bytes
    when, comment  a UTC time and a text, or None; they are not signed themselves
    """

    key: str
    signature: bytes
    when: str | None = None
    comment: str | None = None

    @classmethod
    def sign(cls, data: bytes, key: Ed25519PrivateKey, comment: str | None = None) -> Self:
        """Sign `data`. Raises UsageError for a comment of more than a thousand characters."""
        if comment is not None and len(comment) > MAX_COMMENT:
            raise UsageError(
                f"--comment has {len(comment)} characters, at most {MAX_COMMENT} are allowed"
            )
        from batchdigits.archive.keys import key_id

        return cls(key_id(key.public_key()), key.sign(data), utc_text(), comment)

    @classmethod
    def parse(cls, text: bytes) -> Self:
        """Parse a `.sig` file, unknown keys ignored. Raises BundleError for anything else."""
        document = parse_json(text, "the signature", MAX_SIGNATURE_FILE_BYTES)
        if not isinstance(document, dict):
            raise BundleError("is not a JSON object, expected a signature")
        version, algorithm = document.get("format"), document.get("algorithm")
        if (version, algorithm) != (FORMAT, ALGORITHM):
            raise BundleError(
                f"is of format {str(version)[:40]} and algorithm {str(algorithm)[:40]}, this "
                f"batchdigits reads format {FORMAT} and {ALGORITHM}"
            )
        key, encoded = document.get("key"), document.get("signature")
        try:
            signature = base64.b64decode(str(encoded), validate=True)
        except (binascii.Error, ValueError) as error:
            raise BundleError("its signature is not in base64") from error
        if not isinstance(key, str) or len(signature) != SIGNATURE_BYTES:
            raise BundleError(f"lacks a key's id or a signature of {SIGNATURE_BYTES} bytes")
        when, comment = (
            value if isinstance(value, str) else None
            for value in (document.get("when"), document.get("comment"))
        )
        return cls(key, signature, when, comment)

    def to_json(self) -> bytes:
        """Return the bytes of a `.sig` file."""
        document = {
            "format": FORMAT,
            "algorithm": ALGORITHM,
            "key": self.key,
            "signature": base64.b64encode(self.signature).decode("ascii"),
            "when": self.when,
            **({} if self.comment is None else {"comment": self.comment}),
        }
        return f"{json.dumps(document, indent=2)}\n".encode()


def open_trust(
    require_signature: bool | None = None, trusted_keys: str | os.PathLike[str] | None = None
) -> Trust:
    """Return the trust that `--require-signature` and `--trusted-keys` mean.

    None stands for $BATCHDIGITS_REQUIRE_SIGNATURE and $BATCHDIGITS_TRUSTED_KEYS. Raises UsageError
    for an empty folder name and for a variable that is neither yes nor no.
    """
    if require_signature is None:
        require_signature = _switch(os.environ.get("BATCHDIGITS_REQUIRE_SIGNATURE") or "0")
    if trusted_keys is None:
        trusted_keys = os.environ.get("BATCHDIGITS_TRUSTED_KEYS") or None
    elif not os.fspath(trusted_keys):
        raise UsageError("--trusted-keys is empty: name the folder of public keys")
    return Trust(require_signature, None if trusted_keys is None else Path(trusted_keys))


def signature_path(path: Path) -> Path:
    """Return the path of the signature of the file at `path`, whether it exists or not."""
    return path.with_name(f"{path.name}{SUFFIX}")


def is_signed(path: Path) -> bool:
    """Return whether there is a signature of the file, by any key."""
    return is_present(signature_path(path))


def write_signature(
    path: Path,
    data: bytes,
    key: Ed25519PrivateKey,
    *,
    comment: str | None = None,
    overwrite: bool = False,
) -> Path:
    """Sign `data`, the bytes of the file at `path`, and write the signature beside that file.

    Returns the path of the signature. Raises OutputError if one is there already and `overwrite`
    is false, or if it can't be written; UsageError for a comment that is too long.
    """
    text = Signature.sign(data, key, comment).to_json()
    target = signature_path(path)
    fix = "the bundle is signed: give --overwrite to put this key's signature in its place"
    write_output(target, text, overwrite=overwrite, fix=fix)
    return target


def read_signature(path: Path) -> bytes | None:
    """Read the bytes of a `.sig` file, unchecked; None if there is no file.

    Raises BundleError for a link, for anything that is not a regular file, and for a large file.
    """
    try:
        return read_plain(path, MAX_SIGNATURE_FILE_BYTES)[0]
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BundleError(
            f"{path}: can't be read as a signature: {error.strerror}; put the file itself there"
        ) from error


def check_signature(path: Path, data: bytes, trust: Trust) -> str | None:
    """Return the id of the trusted key that signed `data`, the bytes of the file at `path`.

    Return None if no signature is required and there is none, or no keys to check it with. Raises
    BundleError if it is required and missing, and for one that is damaged, by a key that is not
    trusted, or over other bytes; MissingExtraError without `cryptography`.
    """
    if trust.folder is None:
        if trust.required:
            raise BundleError(
                f"{path}: a signature is required, and no trusted keys are known: name their "
                "folder with --trusted-keys or $BATCHDIGITS_TRUSTED_KEYS"
            )
        return None
    source = signature_path(path)
    text = read_signature(source)
    if text is None:
        if trust.required:
            raise BundleError(
                f"{path}: is not signed, there is no {source.name} beside it, and a signature is "
                "required: copy its .sig too, or sign it with bundles sign"
            )
        return None
    try:
        signature = Signature.parse(text)
    except BundleError as error:
        raise BundleError(f"{source}: {error}: copy it again, or sign again") from error
    _verify(path, data, signature, trust.folder)
    return signature.key


def _verify(path: Path, data: bytes, signature: Signature, folder: Path) -> None:
    from batchdigits.archive.keys import read_trusted_keys, short_id

    keys = read_trusted_keys(folder)
    if signature.key not in keys:
        raise BundleError(
            f"{path}: is signed by key {short_id(signature.key)}, which is none of those trusted "
            f"in {folder} ({listing(map(short_id, sorted(keys)))}): put its .pub there if you "
            "trust it, or sign the bundle with a trusted key"
        )
    from cryptography.exceptions import InvalidSignature

    try:
        keys[signature.key].verify(signature.signature, data)
    except InvalidSignature as error:
        raise BundleError(
            f"{path}: has other content than key {short_id(signature.key)} signed: don't use it, "
            "copy the bundle and its .sig again"
        ) from error


def _switch(text: str) -> bool:
    if text.lower() not in _SWITCHES:
        raise UsageError(f"BATCHDIGITS_REQUIRE_SIGNATURE is {text!r}, expected 1 or 0")
    return _SWITCHES[text.lower()]
