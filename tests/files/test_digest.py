"""Digests are those of sha256sum, whichever way the bytes go by."""

from __future__ import annotations

import hashlib
import io
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchdigits.errors import IOFailedError
from batchdigits.files.digest import GrowingDigest, HashingReader, HashingWriter, digest_file


class Dribble(io.BytesIO):
    """A raw file that takes three bytes at a time, as a full pipe or disk may."""

    def write(self, data: object) -> int:
        return super().write(bytes(data)[:3])  # type: ignore[call-overload]


def test_digest_is_what_sha256sum_prints(tmp_path: Path) -> None:
    path = tmp_path / "a file"
    path.write_bytes(b"digits" * 100_000)
    printed = subprocess.run(["sha256sum", path], capture_output=True, check=True, text=True)
    assert digest_file(path) == f"sha256:{printed.stdout.split()[0]}"


def test_a_digest_that_grew_in_parts_is_that_of_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"digits" * 100_001)
    growing = GrowingDigest(path)
    for share in (0.0, 0.3, 0.2, 0.9999999):
        growing.grow(share)
    assert growing.digest() == digest_file(path)
    growing.close()


def test_an_absent_file_is_told_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(IOFailedError, match="gone: can't be read: No such file"):
        digest_file(tmp_path / "gone")


@given(st.lists(st.binary(max_size=20)))
def test_writing_in_parts_hashes_all_that_lands(parts: list[bytes]) -> None:
    raw = Dribble()
    writer = HashingWriter(raw)
    for part in parts:
        assert writer.write(memoryview(part)) == len(part)
    whole = b"".join(parts)
    assert raw.getvalue() == whole
    assert writer.tell() == writer.bytes_written == len(whole)
    assert writer.digest() == f"sha256:{hashlib.sha256(whole).hexdigest()}"


@given(st.binary(max_size=100), st.integers(1, 30))
def test_reading_in_any_way_hashes_all_that_was_read(data: bytes, size: int) -> None:
    reader = HashingReader(io.BytesIO(data))
    assert reader.read(size) + reader.read(size) + reader.read() == data
    assert reader.bytes_read == len(data)
    assert reader.digest() == f"sha256:{hashlib.sha256(data).hexdigest()}"
