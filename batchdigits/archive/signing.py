"""Signatures: `FILE.sig` beside a bundle, over the file's exact bytes, by a key that is trusted.

Signing never changes the bundle. Everything in `FILE.sig` but the signature itself is a claim that
nothing is decided by: whose the signature is, is found out with keys that the operator owns.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from batchdigits.archive.keys import key_id, read_trusted_keys, short_id
from batchdigits.archive.strict_json import parse_json
from batchdigits.clock import utc_text
from batchdigits.errors import BundleError, OutputError, UsageError
from batchdigits.files.atomic import create_file, replace_file
from batchdigits.files.plain import open_plain
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
    """What a bundle has to show before anything in it is parsed.

    required  it must be signed by a trusted key
    folder    the trusted keys; None: there are none, and no signature is looked at
    """

    required: bool = False
    folder: Path | None = None


ANY_BUNDLE = Trust()


def open_trust(
    require_signature: bool | None = None, trusted_keys: str | os.PathLike[str] | None = None
) -> Trust:
    """What the flags `--require-signature` and `--trusted-keys` mean, the environment included.

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
    """Where the signature of the file at `path` is, or would be."""
    return path.with_name(f"{path.name}{SUFFIX}")


def write_signature(
    path: Path,
    data: bytes,
    key: Ed25519PrivateKey,
    *,
    comment: str | None = None,
    overwrite: bool = False,
) -> Path:
    """Sign `data`, the bytes of the file at `path`, and write the signature beside it.

    Raises OutputError if there is one already, `overwrite` aside, or it can't be written;
    UsageError for a comment of more than a thousand characters.
    """
    if comment is not None and len(comment) > MAX_COMMENT:
        raise UsageError(f"--comment has {len(comment)} characters, at most {MAX_COMMENT} go")
    document = {
        "format": FORMAT,
        "algorithm": ALGORITHM,
        "key": key_id(key.public_key()),
        "signature": base64.b64encode(key.sign(data)).decode("ascii"),
        "when": utc_text(),
        **({} if comment is None else {"comment": comment}),
    }
    text = f"{json.dumps(document, indent=2)}\n".encode()
    target = signature_path(path)
    if overwrite:
        replace_file(target, text)
        return target
    try:
        create_file(target, text)
    except FileExistsError as error:
        raise OutputError(
            f"{target}: exists, the bundle is signed: give --overwrite to put this key's "
            "signature in its place"
        ) from error
    return target


def check_signature(path: Path, data: bytes, trust: Trust) -> str | None:
    """The id of the trusted key that signed `data`, the bytes of the file at `path`.

    None if no signature is required and there is none, or no keys to check it with. Raises
    BundleError if it is required and missing, and for one that is damaged, by a key that is not
    trusted, or not over these bytes; MissingExtraError without `cryptography`.
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
        key, signature = _parse(text)
    except BundleError as error:
        raise BundleError(f"{source}: {error}: copy it anew, or sign again") from error
    return _check(path, data, key, signature, trust.folder)


def is_signed(path: Path) -> bool:
    """Whether there is a signature beside the file, of whomever it is."""
    return os.path.lexists(signature_path(path))


def _check(path: Path, data: bytes, key: str, signature: bytes, folder: Path) -> str:
    keys = read_trusted_keys(folder)
    if key not in keys:
        raise BundleError(
            f"{path}: is signed by key {short_id(key)}, which is none of those trusted in {folder} "
            f"({listing(map(short_id, sorted(keys)))}): put its .pub there if you trust it, or "
            "sign the bundle with a trusted key"
        )
    from cryptography.exceptions import InvalidSignature

    try:
        keys[key].verify(signature, data)
    except InvalidSignature as error:
        raise BundleError(
            f"{path}: has another content than key {short_id(key)} signed: don't use it, copy the "
            "bundle and its .sig anew"
        ) from error
    return key


def _parse(text: bytes) -> tuple[str, bytes]:
    """Key id and signature; keys of the document that are not known are not looked at."""
    document = parse_json(text, "the signature", MAX_SIGNATURE_FILE_BYTES)
    if not isinstance(document, dict):
        raise BundleError("holds no object, expected a signature")
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
    return key, signature


def read_signature(path: Path) -> bytes | None:
    """The bytes of a signature's file, unchecked and as far as they are looked at; None without.

    Raises BundleError for a link and for what is no regular file.
    """
    try:
        with open(path, "rb", opener=open_plain) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise BundleError(f"{path}: is no regular file, expected a signature")
            return file.read(MAX_SIGNATURE_FILE_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BundleError(
            f"{path}: can't be read as a signature: {error.strerror}; put the file itself there"
        ) from error


def _switch(text: str) -> bool:
    if text.lower() not in _SWITCHES:
        raise UsageError(f"BATCHDIGITS_REQUIRE_SIGNATURE is {text!r}, expected 1 or 0")
    return _SWITCHES[text.lower()]
