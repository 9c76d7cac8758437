"""The files of a model: read once, whole and bounded."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import os
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from batchdigits.archive.container import MAX_FILE_BYTES
from batchdigits.errors import BundleError, NoInputError, UnusableInputError
from batchdigits.training.importing.saved import Saved, decompress, read_saved


def test_a_file_is_read_with_its_digest_also_through_a_link(tmp_path: Path) -> None:
    """People keep `latest.h5`."""
    (tmp_path / "model.h5").write_bytes(b"weights")
    (tmp_path / "latest.h5").symlink_to("model.h5")
    saved = read_saved(tmp_path / "latest.h5")
    assert (saved.name, saved.data) == (str(tmp_path / "latest.h5"), b"weights")
    assert saved.digest == f"sha256:{hashlib.sha256(b'weights').hexdigest()}"


def test_what_is_no_file_is_refused_with_what_to_do(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnusableInputError, match="is a FIFO or a device, expected a file"):
        read_saved(tmp_path / "pipe")
    with pytest.raises(UnusableInputError, match=r"is a folder.*model\.save\('model\.keras'\)"):
        read_saved(tmp_path)
    with pytest.raises(NoInputError, match="No such file"):
        read_saved(tmp_path / "gone.h5")
    with pytest.raises(NoInputError, match="is not a path"):
        read_saved("\0")
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(UnusableInputError, match="more than the"):
        read_saved(tmp_path / "huge")


COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "zlib": zlib.compress,
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
}


@pytest.mark.parametrize("kind", COMPRESSIONS)
def test_what_joblib_compresses_is_decompressed_within_bounds(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compress = COMPRESSIONS[kind]
    assert decompress(Saved("x", compress(b"pickle" * 99))) == b"pickle" * 99
    monkeypatch.setattr("batchdigits.training.importing.saved.MAX_FILE_BYTES", 1 << 20)
    assert len(compress(bytes(1 << 21))) < 1 << 14
    with pytest.raises(BundleError, match="decompresses to more than 1 MiB"):
        decompress(Saved("x", compress(bytes(1 << 21))))
    with pytest.raises(BundleError, match=r"x: (is cut off|can't be decompressed)"):
        decompress(Saved("x", compress(b"pickle" * 99)[:-9]))


def test_plain_bytes_are_left_alone_and_lz4_is_named() -> None:
    assert decompress(Saved("x", b"\x80\x04N.")) == b"\x80\x04N."
    with pytest.raises(UnusableInputError, match=r"lz4.*compress=3"):
        decompress(Saved("x", b"\x04\x22\x4d\x18rest"))
