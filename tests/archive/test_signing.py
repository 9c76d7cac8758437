from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from batchdigits.archive.bundle_file import read_bundle
from batchdigits.archive.keys import create_keys, read_private_key
from batchdigits.archive.signing import (
    MAX_SIGNATURE_FILE_BYTES,
    Trust,
    check_signature,
    open_trust,
    signature_path,
    write_signature,
)
from batchdigits.errors import BundleError, OutputError, UsageError


class Signer:
    """A key that is in the folder of trusted ones, or is not."""

    def __init__(self, folder: Path, name: str, trusted: Path | None) -> None:
        made = create_keys(folder, name)
        self.key_id, self.public = made.key_id, made.public
        self.key = read_private_key(made.private)
        if trusted is not None:
            self.public = made.public.rename(trusted / made.public.name)

    def sign(self, path: Path, **options: Any) -> Path:
        return write_signature(path, path.read_bytes(), self.key, **options)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "trusted"
    folder.mkdir(mode=0o755)
    return folder


@pytest.fixture
def ops(tmp_path: Path, folder: Path) -> Signer:
    return Signer(tmp_path, "ops", folder)


@pytest.fixture
def stranger(tmp_path: Path) -> Signer:
    return Signer(tmp_path, "stranger", None)


@pytest.fixture
def path(tmp_path: Path, packed: bytes) -> Path:
    path = tmp_path / "digits-1.bundle"
    path.write_bytes(packed)
    return path


def test_a_signed_bundle_names_its_signer(path: Path, folder: Path, ops: Signer) -> None:
    """Whether it has to be signed or not; and without keys nothing is looked at."""
    assert ops.sign(path) == path.with_name("digits-1.bundle.sig")
    for required in (False, True):
        assert read_bundle(path, trust=Trust(required, folder)).signed_by == ops.key_id
    assert read_bundle(path).signed_by is None


def test_signing_leaves_the_bundle_alone(path: Path, packed: bytes, ops: Signer) -> None:
    ops.sign(path, comment="good")
    assert path.read_bytes() == packed


def test_an_unsigned_bundle_passes_until_a_signature_is_required(
    path: Path, folder: Path, ops: Signer
) -> None:
    assert read_bundle(path, trust=Trust(False, folder)).signed_by is None
    with pytest.raises(BundleError, match=r"is not signed, there is no digits-1\.bundle\.sig"):
        read_bundle(path, trust=Trust(True, folder))


def test_a_required_signature_needs_keys(path: Path, ops: Signer) -> None:
    """Told before anything is read into the bundle."""
    ops.sign(path)
    with pytest.raises(BundleError, match=r"no trusted keys are known: name .* --trusted-keys"):
        read_bundle(path, trust=Trust(True, None))


def test_a_strangers_signature_is_refused(
    path: Path, folder: Path, ops: Signer, stranger: Signer
) -> None:
    """Even where none is required; both ids are told."""
    stranger.sign(path)
    told = rf"signed by key {stranger.key_id[:23]}, .*\({ops.key_id[:23]}\)"
    for required in (False, True):
        with pytest.raises(BundleError, match=told):
            read_bundle(path, trust=Trust(required, folder))


def test_a_strangers_signature_under_a_trusted_id_is_refused(
    path: Path, folder: Path, ops: Signer, stranger: Signer
) -> None:
    """The id is a claim; the signature is what counts."""
    source = stranger.sign(path)
    document = json.loads(source.read_text()) | {"key": ops.key_id}
    source.write_text(json.dumps(document))
    with pytest.raises(BundleError, match="other content than key"):
        read_bundle(path, trust=Trust(True, folder))


def test_any_changed_byte_breaks_the_signature(
    path: Path, packed: bytes, folder: Path, ops: Signer
) -> None:
    """Told before the container is looked at; so are bytes cut off or put behind."""
    ops.sign(path)
    changes = [packed[:-1], packed + b"\0", b""]
    changes += [
        packed[:at] + bytes([packed[at] ^ 1]) + packed[at + 1 :]
        for at in (0, 14, len(packed) // 2, len(packed) - 1)
    ]
    for changed in changes:
        with pytest.raises(BundleError, match="other content than key"):
            check_signature(path, changed, Trust(True, folder))


def test_a_signature_of_another_bundle_is_no_good(
    path: Path, packed: bytes, folder: Path, ops: Signer
) -> None:
    other = path.with_name("other.bundle")
    other.write_bytes(packed + b" ")
    ops.sign(other).rename(signature_path(path))
    with pytest.raises(BundleError, match="other content than key"):
        read_bundle(path, trust=Trust(True, folder))


def test_a_second_trusted_key_may_sign_as_well(
    tmp_path: Path, path: Path, folder: Path, ops: Signer
) -> None:
    """Keys are changed by trusting two for a while; the first, once removed, is refused."""
    ops.sign(path)
    night = Signer(tmp_path, "night", folder)
    assert read_bundle(path, trust=Trust(True, folder)).signed_by == ops.key_id
    ops.public.unlink()
    with pytest.raises(BundleError, match="none of those trusted"):
        read_bundle(path, trust=Trust(True, folder))
    night.sign(path, overwrite=True)
    assert read_bundle(path, trust=Trust(True, folder)).signed_by == night.key_id


def test_a_signature_is_not_overwritten_unasked(path: Path, ops: Signer, stranger: Signer) -> None:
    source = ops.sign(path)
    before = source.read_bytes()
    with pytest.raises(OutputError, match="give --overwrite"):
        stranger.sign(path)
    assert source.read_bytes() == before


def changing(**keys: Any) -> Callable[[bytes], bytes]:
    return lambda text: json.dumps(json.loads(text) | keys).encode()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda _: b"", "not JSON"),
        (lambda text: text[:-3], "not JSON"),
        (lambda _: b"[]", "is not a JSON object"),
        (lambda _: b"\xff", "not JSON"),
        (lambda _: b"[" * 16_000, "not JSON"),
        (lambda text: text.replace(b'"format"', b'"format": 1, "format"'), "a key twice: format"),
        (lambda text: text + b" " * MAX_SIGNATURE_FILE_BYTES, "more than the 16384 allowed"),
        (changing(format=2), "of format 2"),
        (changing(algorithm="none"), "algorithm none"),
        (changing(key=None), "lacks a key's id"),
        (changing(key=["a"]), "lacks a key's id"),
        (changing(signature="no base64!"), "not in base64"),
        (changing(signature=None), "lacks"),
        (changing(signature=""), "of 64 bytes"),
        (changing(signature=base64.b64encode(b"x" * 65).decode()), "of 64 bytes"),
        (changing(signature=base64.b64encode(b"\0" * 64).decode()), "other content"),
    ],
)
def test_a_damaged_signature_is_refused(
    change: Callable[[bytes], bytes], told: str, path: Path, folder: Path, ops: Signer
) -> None:
    """With its path, and even where none is required: somebody meant it to be there."""
    source = ops.sign(path)
    source.write_bytes(change(source.read_bytes()))
    for required in (False, True):
        with pytest.raises(BundleError, match=rf"^{path}.*{told}"):
            read_bundle(path, trust=Trust(required, folder))


def test_a_signature_that_is_no_plain_file_is_refused(
    path: Path, folder: Path, ops: Signer
) -> None:
    """No link is followed and no folder taken."""
    source = ops.sign(path)
    moved = source.rename(source.with_name("moved"))
    source.symlink_to(moved)
    with pytest.raises(BundleError, match="can't be read as a signature"):
        read_bundle(path, trust=Trust(True, folder))
    source.unlink()
    source.mkdir()
    with pytest.raises(BundleError, match=r"is no regular file|can't be read as a signature"):
        read_bundle(path, trust=Trust(True, folder))


def test_facts_that_are_not_signed_decide_nothing(path: Path, folder: Path, ops: Signer) -> None:
    """A changed date, comment or unknown key changes no verdict."""
    source = ops.sign(path, comment="first")
    change = changing(when="never", comment={"a": 1}, more=[1])
    source.write_bytes(change(source.read_bytes()))
    assert read_bundle(path, trust=Trust(True, folder)).signed_by == ops.key_id


def test_a_comment_has_a_limit(path: Path, ops: Signer) -> None:
    with pytest.raises(UsageError, match="at most 1000"):
        ops.sign(path, comment="x" * 1001)
    assert not signature_path(path).exists()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here")
def test_openssl_agrees(path: Path, ops: Signer) -> None:
    """The signature is plain Ed25519 over the file, as docs/bundle-format.md says."""
    document = json.loads(ops.sign(path).read_text())
    raw = path.with_name("raw.sig")
    raw.write_bytes(base64.b64decode(document["signature"]))
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", ops.public, "-rawin"]
    done = subprocess.run(
        [*command, "-in", path, "-sigfile", raw], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("text", "required"), [("1", True), ("YES", True), ("0", False), ("", 0)])
def test_the_environment_stands_in_for_the_flags(
    text: str, required: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flag goes before its variable."""
    monkeypatch.setenv("BATCHDIGITS_REQUIRE_SIGNATURE", text)
    monkeypatch.setenv("BATCHDIGITS_TRUSTED_KEYS", "keys")
    assert open_trust() == Trust(bool(required), Path("keys"))
    assert open_trust(True, "others") == Trust(True, Path("others"))
    assert open_trust(False) == Trust(False, Path("keys"))


def test_a_variable_that_is_neither_yes_nor_no_is_a_usage_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Never taken for no: somebody wanted something."""
    monkeypatch.setenv("BATCHDIGITS_REQUIRE_SIGNATURE", "on please")
    with pytest.raises(UsageError, match="REQUIRE_SIGNATURE is 'on please'"):
        open_trust()
    with pytest.raises(UsageError, match="--trusted-keys is empty"):
        open_trust(False, "")
