from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from paths import ROOT

from batchdigits.archive.keys import (
    create_keys,
    key_id,
    read_passphrase,
    read_private_key,
    read_trusted_keys,
)
from batchdigits.errors import BundleError, OutputError, UsageError


@pytest.fixture
def trusted(tmp_path: Path) -> Path:
    """A folder of two trusted keys."""
    folder = tmp_path / "trusted"
    folder.mkdir(mode=0o755)
    for name in ("ops", "night"):
        create_keys(tmp_path, name).public.rename(folder / f"{name}.pub")
    return folder


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


def rsa_key() -> bytes:
    return generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def test_a_pair_of_keys_reads_back(tmp_path: Path) -> None:
    """Both files hold the same key, and its id is the sha256 of its 32 bytes."""
    made = create_keys(tmp_path, "ops")
    assert (made.private, made.public) == (tmp_path / "ops.key", tmp_path / "ops.pub")
    private = read_private_key(made.private)
    (tmp_path / "trusted").mkdir(mode=0o755)
    made.public.rename(tmp_path / "trusted" / "ops.pub")
    assert set(read_trusted_keys(tmp_path / "trusted")) == {made.key_id}
    assert key_id(private.public_key()) == made.key_id


@pytest.mark.parametrize("umask", [0o000, 0o002, 0o022, 0o077])
def test_the_private_key_is_its_owners_alone(tmp_path: Path, umask: int) -> None:
    """Whatever the umask is; and the public one is never writable for others."""
    before = os.umask(umask)
    try:
        made = create_keys(tmp_path, "ops")
    finally:
        os.umask(before)
    assert mode_of(made.private) == 0o600
    assert mode_of(made.public) & 0o022 == 0


@pytest.mark.parametrize("there", ["ops.key", "ops.pub"])
def test_a_key_is_never_overwritten(tmp_path: Path, there: str) -> None:
    """Nor is the other half written beside one that is there, be it a link to nowhere."""
    (tmp_path / there).symlink_to("nowhere")
    with pytest.raises(OutputError, match="never overwritten: choose another NAME"):
        create_keys(tmp_path, "ops")
    assert [entry.name for entry in tmp_path.iterdir()] == [there]


@pytest.mark.parametrize("name", ["", "../ops", "a/b", ".ops", "-ops", "a b", "ä"])
def test_a_key_name_that_is_no_file_name_is_a_usage_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="key name"):
        create_keys(tmp_path, name)
    assert not list(tmp_path.iterdir())


def test_a_passphrase_protects_the_private_key(tmp_path: Path) -> None:
    """It must be given, be the right one, and not be given where there is none."""
    locked = create_keys(tmp_path, "locked", b"secret").private
    plain = create_keys(tmp_path, "plain").private
    assert b"ENCRYPTED" in locked.read_bytes()
    read_private_key(locked, b"secret")
    with pytest.raises(UsageError, match=r"encrypted: give its --passphrase-file"):
        read_private_key(locked)
    with pytest.raises(UsageError, match="the passphrase is wrong"):
        read_private_key(locked, b"other")
    with pytest.raises(UsageError, match=r"no passphrase: leave --passphrase-file out"):
        read_private_key(plain, b"secret")


def test_a_passphrase_is_the_first_line_of_a_secret_file(tmp_path: Path) -> None:
    path = tmp_path / "phrase"
    path.touch(mode=0o600)
    path.write_bytes(b"open sesame\r\nmore")
    assert read_passphrase(path) == b"open sesame"
    path.write_bytes(b"\nmore")
    with pytest.raises(UsageError, match="is empty"):
        read_passphrase(path)
    path.chmod(0o644)
    with pytest.raises(UsageError, match=f"chmod 600 {path}"):
        read_passphrase(path)


def test_a_missing_file_of_a_passphrase_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file or directory; name the file with the pass"):
        read_passphrase(tmp_path / "absent")


def test_a_public_key_signs_nothing_and_is_no_secret(tmp_path: Path) -> None:
    """Whatever its permissions: the private one is named."""
    public = create_keys(tmp_path, "ops").public
    for mode in (0o644, 0o600):
        public.chmod(mode)
        with pytest.raises(UsageError, match=r"ops\.pub: is a public key: give ops\.key$"):
            read_private_key(public)


def test_a_private_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    private = create_keys(tmp_path, "ops").private
    for mode in (0o640, 0o604, 0o620):
        private.chmod(mode)
        with pytest.raises(UsageError, match=f"chmod 600 {private}"):
            read_private_key(private)


def test_what_is_no_private_key_of_ours_is_told(tmp_path: Path) -> None:
    """Absent, a folder, a link, a public key, another kind of key."""
    made = create_keys(tmp_path, "ops")
    made.public.rename(tmp_path / "copied")
    (tmp_path / "copied").chmod(0o600)
    (tmp_path / "link").symlink_to(made.private)
    (tmp_path / "rsa").touch(mode=0o600)
    (tmp_path / "rsa").write_bytes(rsa_key())
    for name, told in {
        "absent": "No such file or directory; name the .key file that bundles keygen wrote",
        ".": "Is a directory; name the .key",
        "link": "is a symbolic link, which is not followed; name the .key",
        "copied": "is not a private key in PEM",
        "rsa": "is not an Ed25519 key",
    }.items():
        with pytest.raises(UsageError, match=told):
            read_private_key(tmp_path / name)


def test_every_public_key_of_the_folder_is_trusted(trusted: Path) -> None:
    """Several, so that keys can be changed; hidden files and other names are not looked at."""
    (trusted / "README").write_text("ours")
    (trusted / ".new.pub").write_text("half copied")
    assert len(read_trusted_keys(trusted)) == 2


def test_what_others_may_write_is_not_trusted(trusted: Path) -> None:
    """Neither the folder nor one of its keys."""
    for path in (trusted, trusted / "ops.pub"):
        before = mode_of(path)
        for mode in (0o020, 0o002):
            path.chmod(before | mode)
            with pytest.raises(BundleError, match=rf"others may write .*chmod go-w {path}"):
                read_trusted_keys(trusted)
        path.chmod(before)
    assert len(read_trusted_keys(trusted)) == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_belongs_to_somebody_else_is_not_trusted(trusted: Path) -> None:
    for path in (trusted, trusted / "ops.pub"):
        os.chown(path, 1234, 0)
        with pytest.raises(BundleError, match=f"{path}: belongs to user 1234"):
            read_trusted_keys(trusted)
        os.chown(path, 0, 0)


def put_text(folder: Path) -> None:
    (folder / "x.pub").write_text("no key")


def put_private_key(folder: Path) -> None:
    create_keys(folder, "x").private.replace(folder / "x.pub")


def put_other_kind(folder: Path) -> None:
    key = serialization.load_pem_private_key(rsa_key(), None).public_key()
    pem, info = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    (folder / "x.pub").write_bytes(key.public_bytes(pem, info))


def public_pem(raw: bytes) -> bytes:
    """A public key of any 32 bytes in PEM."""
    pem, info = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return Ed25519PublicKey.from_public_bytes(raw).public_bytes(pem, info)


PRIME = 2**255 - 19
WEAK = {
    "the neutral point": 1,
    "order 2": PRIME - 1,
    "order 4": 0,
    "order 4, the other sign": 1 << 255,
    "order 8": 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
    "order 8, the other sign": 0x85FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
    "order 8, the other": 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,
    "0, not canonical": PRIME,
    "1, not canonical": PRIME + 1,
    "1 with a sign": 1 | 1 << 255,
    "9, not canonical": PRIME + 9,
    "18, not canonical, with a sign": PRIME + 18 | 1 << 255,
}


@pytest.mark.parametrize("weak", WEAK)
def test_a_key_with_which_anybody_can_sign_is_not_trusted(trusted: Path, weak: str) -> None:
    """A signature of 64 fixed bytes is valid for every message, or for one in a few, with it."""
    (trusted / "x.pub").write_bytes(public_pem(WEAK[weak].to_bytes(32, "little")))
    with pytest.raises(BundleError, match=r"x\.pub: is a weak Ed25519 key"):
        read_trusted_keys(trusted)


def put_link(folder: Path) -> None:
    (folder / "x.pub").symlink_to(folder / "ops.pub")


def put_folder(folder: Path) -> None:
    (folder / "x.pub").mkdir()


def put_pipe(folder: Path) -> None:
    os.mkfifo(folder / "x.pub", 0o644)


@pytest.mark.parametrize(
    "put", [put_text, put_private_key, put_other_kind, put_link, put_folder, put_pipe]
)
def test_a_folder_with_something_else_under_the_name_of_a_key_is_refused(
    trusted: Path, put: object
) -> None:
    """As a whole: leaving it out silently would surprise whoever put it there."""
    before = os.umask(0o022)
    put(trusted)  # type: ignore[operator]
    os.umask(before)
    with pytest.raises(BundleError, match=rf"{trusted}/x\.pub: "):
        read_trusted_keys(trusted)


def test_a_folder_without_keys_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with pytest.raises(BundleError, match="holds no trusted key"):
        read_trusted_keys(tmp_path)
    for name in ("absent", "file"):
        (tmp_path / "file").touch()
        with pytest.raises(BundleError, match=f"{name}: can't be read as the folder"):
            read_trusted_keys(tmp_path / name)


def test_without_cryptography_the_extra_is_named(tmp_path: Path) -> None:
    """Exit 69, in an interpreter that can't import it."""
    script = """
import sys
sys.modules["cryptography"] = None
from batchdigits.bundles import __main__ as bundles
sys.exit(bundles.main(["keygen", "ops"]))
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 69
    assert "pip install '.[sign]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1
