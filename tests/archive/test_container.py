from __future__ import annotations

import io
import struct
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchdigits.archive import container
from batchdigits.archive.container import MAX_MEMBERS, pack, unpack
from batchdigits.errors import BundleError

MEMBERS = {"b.json": b"second", "a.md": b"first", "empty": b""}

names = st.from_regex(r"[a-z0-9_]{1,8}(\.[a-z0-9_]{1,5})?", fullmatch=True).filter(
    lambda name: not name.startswith("_")
)


@given(st.dictionaries(names, st.binary(max_size=200), max_size=MAX_MEMBERS))
def test_what_is_packed_is_unpacked(members: dict[str, bytes]) -> None:
    """Any allowed members come back as they were."""
    assert unpack(pack(members) if members else pack({"a": b""})) == (members or {"a": b""})


def test_the_order_of_members_does_not_change_the_bytes() -> None:
    """The same members give the same file."""
    assert pack(MEMBERS) == pack(dict(reversed(MEMBERS.items())))


def test_other_zip_readers_read_it() -> None:
    """The file is a ZIP like any other: stored, sorted, dated 1980-01-01, mode 0644."""
    with zipfile.ZipFile(io.BytesIO(pack(MEMBERS))) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == sorted(MEMBERS)
        assert {name: archive.read(name) for name in MEMBERS} == MEMBERS
        for entry in archive.infolist():
            assert entry.compress_type == zipfile.ZIP_STORED
            assert entry.date_time == (1980, 1, 1, 0, 0, 0)
            assert entry.external_attr >> 16 == 0o100644


def test_the_layout_is_pinned() -> None:
    """The bytes of a tiny bundle are the ones that format 1 has always had."""
    assert pack({"a": b"x"}).hex() == (
        "504b0304140000000000000021008316dc8c01000000010000000100000061"
        "78"
        "504b01021403140000000000000021008316dc8c010000000100000001000000000000000000"
        "0000a4810000000061"
        "504b050600000000010001002f000000200000000000"
    )


def test_every_flipped_bit_is_noticed() -> None:
    """No single bit of the file can change unseen."""
    data = pack(MEMBERS)
    for position in range(len(data) * 8):
        damaged = bytearray(data)
        damaged[position // 8] ^= 1 << position % 8
        with pytest.raises(BundleError):
            unpack(bytes(damaged))


def test_every_truncation_is_noticed() -> None:
    """No shorter file is taken for a whole one."""
    data = pack(MEMBERS)
    for length in range(len(data)):
        with pytest.raises(BundleError):
            unpack(data[:length])


@pytest.mark.parametrize(
    ("before", "after"), [(b"x", b""), (b"", b"x"), (b"#!/bin/sh\n", b""), (b"", b"\0" * 22)]
)
def test_bytes_before_or_after_are_refused(before: bytes, after: bytes) -> None:
    """Nothing can hide around the members."""
    with pytest.raises(BundleError):
        unpack(before + pack(MEMBERS) + after)


def test_bytes_between_members_are_refused() -> None:
    """Nothing can hide between the members and the directory, though ZIP readers allow it."""
    data = pack({"a": b"x"})
    end = data.index(b"PK\x01\x02")
    hidden = bytearray(data[:end] + b"hidden" + data[end:])
    struct.pack_into("<I", hidden, len(hidden) - 6, end + 6)
    with zipfile.ZipFile(io.BytesIO(hidden)) as archive:
        assert archive.read("a") == b"x"
    with pytest.raises(BundleError, match="not laid out"):
        unpack(bytes(hidden))


def zip_of(*entries: tuple[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", compression) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return sink.getvalue()


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../a", "a/b", "A", "a b", "", ".a", "a..b", "ä", "a\\b", "x" * 65]
)
def test_a_name_that_is_no_plain_file_name_is_refused(name: str) -> None:
    """Absolute names, folders, `..`, and names that differ by case or system."""
    with pytest.raises(BundleError, match="name"):
        unpack(zip_of((name or "/", b"x")))
    with pytest.raises(BundleError, match="is not allowed"):
        pack({name: b"x"})


def test_a_compressed_member_is_refused() -> None:
    """Which also rules out decompression bombs."""
    with pytest.raises(BundleError, match=r"a\.md is compressed"):
        unpack(zip_of(("a.md", b"x" * 999), compression=zipfile.ZIP_DEFLATED))


def test_a_doubled_member_is_refused() -> None:
    """Two readers could take one each."""
    with pytest.warns(UserWarning, match="Duplicate"):
        data = zip_of(("a.md", b"x"), ("a.md", b"y"))
    with pytest.raises(BundleError, match=r"a\.md is there twice"):
        unpack(data)


def test_a_link_is_refused() -> None:
    """A member that says it is a symbolic link does not have our attributes."""
    sink = io.BytesIO()
    link = zipfile.ZipInfo("a.md")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(BundleError, match="not laid out"):
        unpack(sink.getvalue())


def test_an_encrypted_member_is_refused() -> None:
    """The flag alone is enough."""
    data = bytearray(pack({"a": b"x"}))
    data[6] |= 1
    with pytest.raises(BundleError, match="encrypted"):
        unpack(bytes(data))


def test_too_many_members_are_refused() -> None:
    """Before they are all read."""
    many = [(f"m{number}", b"") for number in range(MAX_MEMBERS + 1)]
    with pytest.raises(BundleError, match="more than 32 members"):
        unpack(zip_of(*many))
    with pytest.raises(BundleError, match="more than 32 members"):
        pack(dict(many))


def test_too_many_bytes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """In packing and in unpacking."""
    data = pack(MEMBERS)
    monkeypatch.setattr(container, "MAX_FILE_BYTES", len(data) - 1)
    with pytest.raises(BundleError, match="the most a bundle may have"):
        unpack(data)
    with pytest.raises(BundleError, match="the most a bundle may have"):
        pack(MEMBERS)
    with pytest.raises(BundleError, match="the most a bundle may have"):
        pack({"a": b"x" * len(data)})


def test_what_is_no_zip_is_told_so() -> None:
    """The message says which file to give."""
    with pytest.raises(BundleError, match="does not begin as a bundle"):
        unpack(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(BundleError, match="does not begin as a bundle"):
        unpack(b"")
