"""What the first bytes of a file say it is, whatever it is called."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from batchdigits.errors import NoInputError, UnusableInputError
from batchdigits.files.names import Compression, InputFile, Kind, data_suffix

HEAD_BYTES = 8

GZIP_MAGIC = b"\x1f\x8b"
_COMPRESSIONS: dict[bytes, Compression] = {
    GZIP_MAGIC: "gz",
    b"\x28\xb5\x2f\xfd": "zst",
    b"\x50\x2a\x4d\x18": "zst",  # a skippable frame, as pzstd begins its files
}
_COMPRESSION_NAMES = {"gz": "gzip", "zst": "Zstandard"}
_PARQUET = b"PAR1"
_ENCRYPTED_PARQUET = b"PARE"
# UTF-32 before UTF-16: its little-endian mark begins with UTF-16's.
_WIDE_TEXT = {
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
_FOREIGN = {
    b"PK\x03\x04": "a ZIP archive or an Excel workbook",
    b"BZh": "bzip2 data",
    b"\xfd7zXZ\x00": "xz data",
    b"ARROW1": "an Arrow IPC (Feather) file",
    b"\x89HDF": "an HDF5 file",
    b"Obj\x01": "an Avro file",
}


def read_head(path: Path) -> bytes:
    """The first bytes of a file. Raises NoInputError when it can't be read."""
    try:
        with path.open("rb", buffering=0) as raw:
            return raw.read(HEAD_BYTES)
    except OSError as error:
        raise NoInputError(f"{path}: can't be read: {error.strerror or error}") from error


def format_of(head: bytes) -> tuple[Kind, Compression]:
    """The kind and compression that first bytes show; CSV where they show nothing else."""
    if head.startswith((_PARQUET, _ENCRYPTED_PARQUET)):
        return "parquet", None
    return "csv", _compression_of(head)


def refuse_content(head: bytes, input_file: InputFile) -> None:
    """Raises UnusableInputError when an input's first bytes are not what its name says."""
    _refuse_nothing(head, input_file)
    if head.startswith(_ENCRYPTED_PARQUET):
        _refuse(input_file, "is an encrypted Parquet file", "write it without encryption")
    for magic, what in _FOREIGN.items():
        if head.startswith(magic):
            _refuse(input_file, f"is {what}", "make it CSV or Parquet")
    if format_of(head) != (input_file.kind, input_file.compression):
        _refuse_format(head, input_file)
    if input_file.kind == "csv" and input_file.compression is None:
        refuse_text(head, input_file)


def refuse_text(head: bytes, input_file: InputFile) -> None:
    """Raises UnusableInputError when the first (decompressed) bytes can't be those of a CSV."""
    _refuse_nothing(head, input_file)
    kind, compression = format_of(head)
    if kind == "parquet" or compression is not None:
        what = _describe(kind, compression)
        _refuse(input_file, f"holds {what} inside its compression", "decompress it once")
    for mark, encoding in _WIDE_TEXT.items():
        if head.startswith(mark):
            _refuse(input_file, f"is {encoding} text", "save it as UTF-8")
    if len(head) >= 4 and b"\0\0" in (head[0:4:2], head[1:4:2]):
        _refuse(input_file, "looks like UTF-16 text without a byte order mark", "save it as UTF-8")


def _refuse_nothing(head: bytes, input_file: InputFile) -> None:
    if not head:
        _refuse(input_file, "is empty", "give it a header line, or leave it out")


def _refuse_format(head: bytes, input_file: InputFile) -> NoReturn:
    kind, compression = format_of(head)
    if input_file.path is None:
        fix = "decompress it before the pipe" if compression else "give it as a file"
    else:
        fix = f"rename it to {input_file.stem}{data_suffix(kind, compression)}"
    expected, found = (
        _describe(*f) for f in ((input_file.kind, input_file.compression), (kind, compression))
    )
    _refuse(input_file, f"is {found} by its content, not {expected}", fix)


def _describe(kind: Kind, compression: Compression) -> str:
    if compression is not None:
        return f"{_COMPRESSION_NAMES[compression]} data"
    return "Parquet" if kind == "parquet" else "plain text"


def _compression_of(head: bytes) -> Compression:
    return next((c for magic, c in _COMPRESSIONS.items() if head.startswith(magic)), None)


def _refuse(input_file: InputFile, what: str, fix: str) -> NoReturn:
    raise UnusableInputError(f"{input_file.name}: {what}; {fix}")
