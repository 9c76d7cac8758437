"""Bytes come in whole or not at all, and what goes out is what its digest says."""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
import resource
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paths import ROOT

from batchdigits.errors import (
    InternalError,
    IOFailedError,
    NoInputError,
    OutputError,
    TryAgainError,
    UnusableInputError,
)
from batchdigits.files.digest import digest_file
from batchdigits.files.names import Compression, InputFile
from batchdigits.files.streams import InputStream, Snapshot, open_input, open_output

DATA = b"".join(b"%d,%d\n" % (i, i * i % 17) for i in range(60_000))
# Does not compress, so that damage in the middle hits data and not a run.
NOISE = hashlib.shake_256(b"noise").digest(200_000)
MEMORY = Path("/proc/self/mem")  # reading it at 0 is a real EIO


def squeeze(data: bytes, compression: Compression) -> bytes:
    if compression == "gz":
        return gzip.compress(data, mtime=0)
    if compression == "zst":
        return pa.compress(data, codec="zstd", asbytes=True)
    return data


def drain(stream: InputStream, size: int = 7_000) -> bytes:
    return b"".join(iter(lambda: stream.read(size), b""))


def write(folder: Path, content: bytes, compression: Compression) -> InputFile:
    path = folder / f"in.csv.{compression}"
    path.write_bytes(content)
    return InputFile(path, "csv", compression)


@pytest.mark.parametrize("compression", [None, "gz", "zst"])
@pytest.mark.parametrize("size", [1_000, 1 << 20])
def test_an_input_is_read_whole_and_hashed_as_it_stands(
    tmp_path: Path, compression: Compression, size: int
) -> None:
    input_file = write(tmp_path, squeeze(DATA, compression), compression)
    stream = open_input(input_file)
    assert drain(stream, size) == DATA
    assert input_file.path is not None
    assert stream.digest() == digest_file(input_file.path)
    assert stream.raw_bytes_read == stream.raw_size == input_file.path.stat().st_size
    stream.verify_unchanged()
    stream.close()
    stream.close()


@pytest.mark.parametrize("compression", ["gz", "zst"])
def test_all_members_and_frames_are_read(tmp_path: Path, compression: Compression) -> None:
    parts = [DATA, b"", b"x", NOISE]
    input_file = write(tmp_path, b"".join(squeeze(p, compression) for p in parts), compression)
    assert drain(open_input(input_file)) == b"".join(parts)


def test_zero_padding_after_gzip_data_is_legal(tmp_path: Path) -> None:
    padded = squeeze(DATA, "gz") + bytes(3_000_000) + squeeze(b"more", "gz") + bytes(5)
    stream = open_input(write(tmp_path, padded, "gz"))
    assert drain(stream) == DATA + b"more"
    assert stream.digest() == digest_file(tmp_path / "in.csv.gz")


@pytest.mark.parametrize("compression", ["gz", "zst"])
@pytest.mark.parametrize("members", [1, 2])
def test_data_cut_anywhere_are_refused(
    tmp_path: Path, compression: Compression, members: int
) -> None:
    whole = squeeze(NOISE, compression)
    before = whole * (members - 1)
    for length in (*range(1, 20), len(whole) // 2, *range(len(whole) - 9, len(whole))):
        input_file = write(tmp_path, before + whole[:length], compression)
        with pytest.raises(UnusableInputError, match="can't be decompressed .*[Tt]runcated"):
            drain(open_input(input_file))


@pytest.mark.parametrize("compression", ["gz", "zst"])
@pytest.mark.parametrize("junk", [b"j", b"junk" * 10, b"\x1fx", b"1,2,3\n", bytes(9) + b"x"])
def test_junk_behind_the_data_is_refused(
    tmp_path: Path, compression: Compression, junk: bytes
) -> None:
    input_file = write(tmp_path, squeeze(DATA, compression) + junk, compression)
    with pytest.raises(UnusableInputError, match="can't be decompressed"):
        drain(open_input(input_file))


def test_damaged_gzip_data_are_refused(tmp_path: Path) -> None:
    whole = bytearray(squeeze(NOISE, "gz"))
    for place in (3, len(whole) // 2, len(whole) - 6, len(whole) - 1):
        damaged = whole.copy()
        damaged[place] ^= 0x10
        with pytest.raises(UnusableInputError, match=r"in\.csv\.gz: its gz data can't be decompr"):
            drain(open_input(write(tmp_path, bytes(damaged), "gz")))


@pytest.mark.parametrize("has_igzip", [True, False])
def test_reserved_flags_of_a_gzip_member_are_refused(
    tmp_path: Path, has_igzip: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_igzip:
        monkeypatch.setitem(sys.modules, "isal", None)
    flagged = bytearray(squeeze(b"2", "gz"))
    flagged[3] |= 0x20
    for before in (b"", squeeze(b"1", "gz")):
        with pytest.raises(UnusableInputError, match="unknown header flags set"):
            drain(open_input(write(tmp_path, before + flagged, "gz")))


def test_without_igzip_zlib_reads_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "isal", None)
    members = squeeze(NOISE, "gz") + bytes(5) + squeeze(DATA, "gz")
    assert drain(open_input(write(tmp_path, members, "gz"))) == NOISE + DATA
    with pytest.raises(UnusableInputError, match="incorrect data check"):
        drain(open_input(write(tmp_path, members[:-6] + b"x" + members[-5:], "gz")))


@pytest.mark.skipif(shutil.which("zstd") is None, reason="the zstd tool is not installed")
def test_damaged_zstd_data_are_refused_where_a_checksum_was_written(tmp_path: Path) -> None:
    """The zstd tool writes one; without it most flipped bits decode to other bytes."""
    made = subprocess.run(["zstd", "-c"], input=NOISE, capture_output=True, check=True).stdout
    for place in (len(made) // 2, len(made) - 1):
        damaged = bytearray(made)
        damaged[place] ^= 0x10
        with pytest.raises(UnusableInputError, match="its zst data can't be decompressed"):
            drain(open_input(write(tmp_path, bytes(damaged), "zst")))


def test_a_digest_before_the_end_is_our_fault(tmp_path: Path) -> None:
    stream = open_input(write(tmp_path, DATA, None))
    stream.read(10)
    with pytest.raises(InternalError, match="before its end was read"):
        stream.digest()


@pytest.mark.skipif(not MEMORY.exists(), reason="needs a file that can't be read")
@pytest.mark.parametrize("compression", [None, "gz", "zst"])
def test_a_disk_error_is_no_damage_of_the_data(compression: Compression) -> None:
    with pytest.raises(IOFailedError, match=r"self/mem: reading failed: Input/output error"):
        open_input(InputFile(MEMORY, "csv", compression)).read(100)


def test_an_absent_input_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoInputError, match=r"gone\.csv: can't be read: No such file"):
        open_input(InputFile(tmp_path / "gone.csv", "csv"))


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"1,2\n")


def replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    other.replace(path)


def rewrite(path: Path) -> None:
    size, status = path.stat().st_size, path.stat()
    while path.stat().st_ctime_ns == status.st_ctime_ns:  # some file systems' clocks tick slowly
        path.write_bytes(b"x" * size)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize(
    ("change", "how"),
    [(append, "changed"), (replace, "replaced"), (Path.unlink, "removed"), (rewrite, "changed")],
)
def test_a_change_while_reading_is_told(tmp_path: Path, change, how: str) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(DATA)
    os.utime(path, ns=(1, 1))
    stream, snapshot = open_input(InputFile(path, "csv")), Snapshot.of(path)
    stream.read(10)
    change(path)
    for verify in (stream.verify_unchanged, lambda: snapshot.verify(path)):
        with pytest.raises(TryAgainError, match=rf"in\.csv: was {how} while it was read"):
            verify()


def piped(data: bytes | int | None) -> subprocess.CompletedProcess[bytes]:
    """Standard input through a real process, which copies it to its standard output."""
    program = (
        "import sys\n"
        "from batchdigits.errors import BatchdigitsError\n"
        "from batchdigits.files.names import InputFile\n"
        "from batchdigits.files.streams import open_input\n"
        "try:\n"
        "    stream = open_input(InputFile(None, 'csv'))\n"
        "    while data := stream.read(5): sys.stdout.buffer.write(data)\n"
        "    stream.verify_unchanged(); sys.stderr.write(stream.digest())\n"
        "    assert stream.raw_size is None\n"
        "except BatchdigitsError as error: sys.exit(f'{error.exit_code} {error}')\n"
    )
    command = [sys.executable, "-c", program]
    if data is None:
        command = ["sh", "-c", 'exec "$@" <&-', "sh", *command]
    given_ = {"input": data} if isinstance(data, bytes) else {"stdin": data}
    return subprocess.run(
        command, capture_output=True, check=False, env={"PYTHONPATH": str(ROOT)}, **given_
    )


@pytest.mark.parametrize("data", [DATA, b"1", b"12345678", b"123456789"])
def test_standard_input_is_given_from_its_first_byte(data: bytes) -> None:
    ended = piped(data)
    assert ended.stdout == data
    assert ended.stderr.decode() == f"sha256:{hashlib.sha256(data).hexdigest()}"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", b"65 -: is empty"),
        (squeeze(DATA, "gz"), b"65 -: is gzip data by its content, not plain text; decompress it"),
        (b"PAR1....", b"65 -: is Parquet by its content, not plain text; give it as a file"),
        (None, b"66 -: standard input is closed"),
    ],
)
def test_standard_input_that_is_no_csv_is_refused(data: bytes | None, told: bytes) -> None:
    assert piped(data).stderr.startswith(told)


@pytest.mark.skipif(not MEMORY.exists(), reason="needs a file that can't be read")
def test_a_disk_error_behind_standard_input_is_told() -> None:
    with MEMORY.open("rb", buffering=0) as memory:
        told = piped(memory.fileno()).stderr
    assert told.startswith(b"74 -: reading failed: Input/output error")


@given(st.lists(st.binary(max_size=300)), st.sampled_from([None, "gz", "zst"]))
def test_what_was_written_is_what_is_read(
    tmp_path_factory: pytest.TempPathFactory, parts: list[bytes], compression: Compression
) -> None:
    path = tmp_path_factory.getbasetemp() / "property"
    stream = open_output(path, compression)
    for part in parts:
        stream.write(memoryview(part))
    assert stream.tell() == sum(map(len, parts))
    stream.close()
    assert stream.digest() == digest_file(path)
    assert stream.bytes_written == path.stat().st_size
    assert drain(open_input(InputFile(path, "csv", compression))) == b"".join(parts)


@pytest.mark.parametrize("compression", ["gz", "zst"])
def test_the_file_depends_on_the_bytes_alone(tmp_path: Path, compression: Compression) -> None:
    """Not on the time, the name, or how the bytes came."""
    digests = set()
    for i, size in enumerate((len(DATA), 1_000, 77_777)):
        stream = open_output(tmp_path / f"out{i}", compression)
        for start in range(0, len(DATA), size):
            stream.write(DATA[start : start + size])
        stream.close()
        digests.add(stream.digest())
    assert len(digests) == 1


@pytest.mark.parametrize("compression", ["gz", "zst"])
def test_the_usual_tool_reads_it(tmp_path: Path, compression: str) -> None:
    stream = open_output(tmp_path / f"out.{compression}", compression)
    stream.write(DATA)
    stream.close()
    tool = {"gz": "gzip", "zst": "zstd"}[compression]
    try:
        command = [tool, "-dc", tmp_path / f"out.{compression}"]
        shown = subprocess.run(command, capture_output=True, check=True)
    except FileNotFoundError:
        pytest.skip(f"{tool} is not installed")
    assert shown.stdout == DATA


def test_a_parquet_writer_takes_it_as_its_file(tmp_path: Path) -> None:
    table = pa.table({"id": ["007", "008"], "n": pa.array([1, 2], pa.uint8())})
    stream = open_output(tmp_path / "out", None)
    with pq.ParquetWriter(stream, table.schema, write_page_checksum=True) as writer:
        writer.write_table(table)
    stream.close()
    assert pq.read_table(tmp_path / "out").equals(table)
    assert stream.digest() == digest_file(tmp_path / "out")


@pytest.mark.parametrize("compression", [None, "gz", "zst"])
def test_what_was_there_is_gone_once_it_is_opened(tmp_path: Path, compression: Compression) -> None:
    (tmp_path / "out").write_bytes(b"a longer leftover" * 1000)
    stream = open_output(tmp_path / "out", compression)
    stream.write(b"new")
    stream.close()
    assert drain(open_input(InputFile(tmp_path / "out", "csv", compression))) == b"new"


@pytest.mark.parametrize("compression", [None, "gz", "zst"])
def test_a_closed_output_takes_no_more(tmp_path: Path, compression: Compression) -> None:
    stream = open_output(tmp_path / "out", compression)
    stream.close()
    stream.close()
    stream.abort()
    assert stream.closed
    with pytest.raises(ValueError, match="closed"):
        stream.write(b"x")


@contextmanager
def small_disk() -> Iterator[None]:
    """Files of this process may not grow beyond 10,000 bytes.

    No fixture: pytest's own report may go to a file, and is written before a fixture ends.
    """
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("compression", [None, "gz", "zst"])
def test_a_full_disk_is_told_with_path_and_cause(tmp_path: Path, compression: Compression) -> None:
    stream = open_output(tmp_path / "out.tmp", compression)
    parts = (NOISE[start : start + 1_000] for start in range(0, len(NOISE), 1_000))
    told = pytest.raises(IOFailedError, match=r"out\.tmp: writing failed: File too large")
    with small_disk(), told:
        deque(map(stream.write, parts))
    stream.abort()


@pytest.mark.parametrize("compression", ["gz", "zst"])
def test_a_disk_that_is_full_only_at_the_end_is_told(
    tmp_path: Path, compression: Compression
) -> None:
    stream = open_output(tmp_path / "out.tmp", compression)
    told = pytest.raises(IOFailedError, match=r"out\.tmp: writing failed: File too large")
    with small_disk():
        stream.write(NOISE[:10_000])
        with told:
            stream.close()
    stream.abort()


def test_a_full_device_is_told() -> None:
    stream = open_output(Path("/dev/full"), None)
    with pytest.raises(IOFailedError, match="/dev/full: writing failed: No space left on device"):
        stream.write(b"x")
    stream.abort()
    assert Path("/dev/full").is_char_device()


def test_an_error_when_syncing_is_told(tmp_path: Path, monkeypatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    stream = open_output(tmp_path / "out.tmp", None)
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(IOFailedError, match=r"out\.tmp: writing failed: Input/output error"):
        stream.close()


def test_a_long_output_is_synced_while_it_is_written(tmp_path: Path, monkeypatch) -> None:
    """Else a run would wait for the disk only at its end, with nothing else to do."""
    really, synced = os.fsync, []
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(os.fstat(fd).st_size), really(fd)))
    monkeypatch.setattr("batchdigits.files.streams.SYNC_BYTES", 1_000)
    stream = open_output(tmp_path / "out.tmp", None)
    for _ in range(5):
        stream.write(b"x" * 600)
    stream.close()
    assert synced == [1_200, 2_400, 3_000]


@pytest.mark.parametrize("abort_first", [True, False])
def test_giving_up_adds_no_second_error(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], *, abort_first: bool
) -> None:
    """Writers that are let go of write their ends; nobody is to hear of it."""
    table = pa.table({"n": [NOISE[i : i + 100] for i in range(0, len(NOISE), 100)]})
    with small_disk():
        stream = open_output(tmp_path / "out.tmp", None)
        writer = pq.ParquetWriter(stream, table.schema)
        if not abort_first:
            with pytest.raises(IOFailedError, match="File too large"):
                writer.write_table(table)
        stream.abort()
        del writer
        squeezed = open_output(tmp_path / "out.zst.tmp", "zst")
        squeezed.write(b"held back by the compressor")
        squeezed.abort()
        del squeezed
    assert capfd.readouterr().err == ""
    assert (tmp_path / "out.zst.tmp").stat().st_size == 0


def test_an_output_in_no_folder_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="can't be written: No such file"):
        open_output(tmp_path / "absent" / "out", None)
