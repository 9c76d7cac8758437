from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from batchdigits.archive.bundle_file import build_bundle, check_bundle, read_bundle
from batchdigits.archive.container import pack, unpack
from batchdigits.archive.manifest import Manifest
from batchdigits.errors import BundleError, UsageError
from batchdigits.files.digest import parse_digest


@pytest.fixture
def path(tmp_path: Path, packed: bytes) -> Path:
    path = tmp_path / "digits-1.bundle"
    path.write_bytes(packed)
    return path


def test_a_bundle_reads_back(
    path: Path, packed: bytes, facts: Manifest, members: dict[str, bytes]
) -> None:
    """Members, manifest and digest are those that were packed."""
    bundle = read_bundle(path)
    assert bundle.path == path
    assert bundle.digest == f"sha256:{hashlib.sha256(packed).hexdigest()}"
    assert {name: bundle.members[name] for name in members} == members
    assert replace(bundle.manifest, members={}) == facts
    assert bundle.manifest.members["card.md"].size == len(members["card.md"])


def test_the_same_facts_give_the_same_bytes(
    facts: Manifest, members: dict[str, bytes], packed: bytes
) -> None:
    """Whatever order the members come in."""
    assert build_bundle(facts, dict(reversed(members.items()))) == packed


def test_members_can_not_be_changed_after_the_check(path: Path) -> None:
    """What was checked is what is used."""
    with pytest.raises(TypeError):
        read_bundle(path).members["card.md"] = b"other"  # type: ignore[index]


def test_the_file_is_not_read_again(path: Path, members: dict[str, bytes]) -> None:
    """A file swapped after the check changes nothing."""
    bundle = read_bundle(path)
    path.write_bytes(b"swapped")
    assert bundle.members["card.md"] == members["card.md"]


def test_the_expected_digest_is_enforced(path: Path) -> None:
    """A bundle that is whole but another one is refused, both digests told."""
    digest = read_bundle(path).digest
    assert read_bundle(path, expect_digest=digest).digest == digest
    other = "sha256:" + "0" * 64
    with pytest.raises(BundleError, match=f"digest {digest}, expected {other}"):
        read_bundle(path, expect_digest=other)


@pytest.mark.parametrize("text", ["", "sha256:", "0" * 64, "sha256:" + "A" * 64, "md5:" + "0" * 64])
def test_an_expected_digest_that_is_none_is_a_usage_error(path: Path, text: str) -> None:
    """Before the file is opened, and never taken for `not given`."""
    with pytest.raises(UsageError, match="64 lower-case hexadecimal digits"):
        read_bundle(path.with_name("absent"), expect_digest=text)
    with pytest.raises(UsageError):
        parse_digest(text)


def test_a_link_is_refused_and_its_target_named(path: Path) -> None:
    """Whoever can change the link could change the bundle."""
    link = path.with_name("link.bundle")
    link.symlink_to(path)
    with pytest.raises(BundleError, match=f"symbolic link.*give {path}"):
        read_bundle(link)


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    """A folder, a FIFO (which must not hang) and a device."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for odd in (tmp_path, fifo, Path("/dev/null")):
        with pytest.raises(BundleError, match="expected a bundle file"):
            read_bundle(odd)


def test_an_absent_bundle_is_a_bundle_error(tmp_path: Path) -> None:
    """Exit 78, not 66: it is no input."""
    with pytest.raises(BundleError, match="no such bundle"):
        read_bundle(tmp_path / "absent.bundle")
    with pytest.raises(BundleError, match="is not a path"):
        read_bundle("nul\0byte")


def test_a_giant_file_is_refused_unread(path: Path) -> None:
    """By its size alone: a sparse file of a terabyte costs nothing."""
    os.truncate(path, 2**40)
    with pytest.raises(BundleError, match="more than the 67108864 allowed"):
        read_bundle(path)


def repacked(packed: bytes, **changes: bytes | None) -> bytes:
    members: dict[str, bytes | None] = {
        **unpack(packed),
        **{name.replace("__", "."): data for name, data in changes.items()},
    }
    return pack({name: data for name, data in members.items() if data is not None})


def test_a_changed_member_is_named(packed: bytes) -> None:
    """The ZIP is valid, its checksums too; the manifest's sha256 is not."""
    with pytest.raises(BundleError, match=r"card\.md differs from the manifest"):
        check_bundle(repacked(packed, card__md=b"evil"))


def test_every_changed_member_is_named(packed: bytes) -> None:
    """All of them in one message."""
    with pytest.raises(BundleError, match=r"card\.md, model\.onnx differs"):
        check_bundle(repacked(packed, model__onnx=b"evil", card__md=b"evil"))


def test_a_missing_member_is_named(packed: bytes) -> None:
    """Missing from the file, whatever the manifest says."""
    with pytest.raises(BundleError, match=r"has no member scaler\.joblib"):
        check_bundle(repacked(packed, scaler__joblib=None))
    with pytest.raises(BundleError, match=r"has no member manifest\.json"):
        check_bundle(repacked(packed, manifest__json=None))


def test_an_extra_member_is_refused(packed: bytes, facts: Manifest, members: dict) -> None:
    """Also if the manifest lists it."""
    with pytest.raises(BundleError, match=r"format 1 does not know: evil\.py"):
        check_bundle(repacked(packed, evil__py=b""))
    with pytest.raises(BundleError, match=r"format 1 does not know: evil\.py"):
        build_bundle(facts, {**members, "evil.py": b""})


def test_a_member_that_the_manifest_does_not_list_is_refused(packed: bytes) -> None:
    """Every member is covered by a sha256, and the manifest by none of its own."""
    for name, told in (("card.md", "with no member card.md"), ("manifest.json", "manifest.json")):
        manifest = json.loads(unpack(packed)["manifest.json"])
        if name == "manifest.json":
            manifest["members"][name] = manifest["members"]["card.md"]
        else:
            del manifest["members"][name]
        with pytest.raises(BundleError) as caught:
            check_bundle(repacked(packed, manifest__json=json.dumps(manifest).encode()))
        assert told in str(caught.value)


def test_a_newer_format_is_told_before_its_new_members(packed: bytes) -> None:
    """A member that only the newer format knows must not hide the reason."""
    manifest = json.loads(unpack(packed)["manifest.json"])
    manifest |= {"format": 2, "reader": "batchdigits 0.9 or later"}
    newer = repacked(packed, manifest__json=json.dumps(manifest).encode(), new__bin=b"")
    with pytest.raises(BundleError, match=r"batchdigits 0\.9 or later reads it"):
        check_bundle(newer)


def test_errors_name_the_file(path: Path) -> None:
    """Every message begins with the path."""
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BundleError, match=f"^{path}: "):
        read_bundle(path)


def test_a_bundle_that_could_not_be_read_is_not_built(
    facts: Manifest, members: dict[str, bytes]
) -> None:
    """Train must not publish what predict would refuse."""
    del members["card.md"]
    with pytest.raises(BundleError, match=r"card\.md"):
        build_bundle(facts, members)
    with pytest.raises(BundleError, match="version is 0"):
        build_bundle(replace(facts, version=0), {**members, "card.md": b""})
