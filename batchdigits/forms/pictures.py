"""Pictures: the files, members of ZIPs and folders that arguments name, and their safe decoding.

A picture that can't be used is refused alone, by a PictureError with a reason; the others go on.
"""

from __future__ import annotations

import errno
import glob
import io
import lzma
import os
import re
import sys
import tempfile
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from batchdigits.errors import (
    MissingExtraError,
    NoInputError,
    UnusableInputError,
    missing_extra,
)
from batchdigits.files.inputs import warn_of_left_out
from batchdigits.files.plain import read_small
from batchdigits.files.streams import Snapshot
from batchdigits.text import listing

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg", ".jpe"),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp",),
}
"""The formats of pictures that are read, as Pillow names them, with the suffixes of their files."""

OTHER_SUFFIXES = (".gif", ".webp", ".heic", ".heif", ".avif")
"""Suffixes of pictures that are not read: in a folder or a ZIP they are found, and refused."""

_MAGIC = {
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",
    b"MM\0+": "TIFF",
    b"BM": "BMP",
    b"%PDF": "PDF",
    b"PK\x03\x04": "ZIP",
    b"GIF8": "GIF",
    b"RIFF": "WebP",
}
_COMPLAINT = re.compile(rb"\w+Decode[0-9A-Z]*: (?!Warning)[^\n]*")
"""An error of libtiff's decoders. What else it writes, or another thread, does not mean damage."""

_ZIP = ".zip"
_DAMAGED_ZIP = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    KeyError,
    NotImplementedError,
    UnicodeDecodeError,
)

MOST_BYTES = 256 << 20
"""The most bytes of a picture's file."""

MOST_PIXELS = 89_000_000
"""The most pixels of a picture: an A3 page of 600 dpi has 70 million."""

REASONS: dict[str, str] = {
    "unreadable": "the file can't be read, or is encrypted",
    "not-a-picture": "the file is no PNG, JPEG, TIFF or BMP",
    "wrong-name": "the suffix names another format than the content has",
    "too-large": "the picture has more than 89 million pixels, or its file more than 256 MiB",
    "damaged": "the picture is truncated or damaged",
    "several-pictures": "the file holds more than one picture",
    "too-small": "the picture is less than 6 pixels wide or high, or 85 times as long as wide",
    "all-ink": "nearly all of the picture is ink",
}
"""The reasons why a picture is refused, with their meanings."""


class PictureError(UnusableInputError):
    """A picture that can't be used: its reason, a key of a table of reasons, and the details."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture by its name: a file at `path`, or the member of the ZIP that is there.

    name    as messages and rows name it: the path, and the member's name after the ZIP's
    folder  the name of the folder that it is in, below the argument's; empty at its top
    listed  the ZIP as it was when its members were listed
    """

    name: str
    path: Path
    member: str | None = None
    folder: str = ""
    listed: Snapshot | None = None

    def snapshot(self) -> Snapshot:
        """Return the file as it is now, a ZIP as it was listed.

        Raises PictureError if it isn't there.
        """
        try:
            return self.listed or Snapshot.of(self.path)
        except NoInputError as error:
            detail = str(error).removeprefix(f"{self.path}: ")
            raise PictureError("unreadable", detail) from error

    def read(self) -> bytes:
        """Return the file's bytes.

        Raises PictureError if it can't be read or is too large, TryAgainError if it changes
        meanwhile, or if the ZIP is not what it was when its members were listed.
        """
        before = self.snapshot()
        try:
            if self.member is not None:
                return _member(self.path, self.member, before)
            return read_small(self.path, MOST_BYTES, follow=True)
        except OSError as error:
            if error.errno == errno.EFBIG:
                raise PictureError("too-large", f"{error.strerror}; make it smaller") from error
            raise PictureError("unreadable", f"can't be read: {error.strerror or error}") from error
        finally:  # a change may look like damage
            before.verify(self.path)


def expand_pictures(
    arguments: Sequence[str], suffixes: Sequence[str] = tuple(sum(SUFFIXES.values(), ()))
) -> list[Picture]:
    """Expand files, ZIPs, globs, and folders with all below them, to pictures, sorted by name.

    Names that begin with a dot or `_`, and in folders and ZIPs names without one of the suffixes
    or of OTHER_SUFFIXES, are left out. So are links to folders inside a folder, which is logged.
    Raises NoInputError for an argument that names no picture.
    """
    pictures: list[Picture] = []
    for argument in arguments:
        found = list(_expand(argument, (*suffixes, *OTHER_SUFFIXES)))
        if not found:
            raise NoInputError(
                f"{argument or repr(argument)}: no picture there; expected {' '.join(suffixes)}, "
                "or a folder or ZIP of them; names that begin with a dot or _ don't count"
            )
        pictures += found
    if not pictures:
        raise NoInputError("no input; name pictures, folders, ZIPs or globs")
    return pictures


def format_of(data: bytes) -> str | None:
    """Return the format that the first bytes show, a name in capitals; None for no picture."""
    if data[4:8] == b"ftyp":
        return "HEIC or AVIF"
    return next((name for magic, name in _MAGIC.items() if data.startswith(magic)), None)


def check_name(name: str, data: bytes, expected: str = ", ".join(SUFFIXES)) -> str:
    """Return the format of a picture, after its content; `expected` is what a message asks for.

    Raises PictureError for a format that is not read, and for a name with the suffix of another.
    """
    kind = format_of(data)
    if kind not in SUFFIXES:
        content = "is empty" if not data else f"is {kind or 'no picture'} by its content"
        raise PictureError("not-a-picture", f"{content}; expected {expected}")
    suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122  # a member's name is no path
    named = next((format_ for format_, known in SUFFIXES.items() if suffix in known), None)
    if named not in (None, kind):
        raise PictureError(
            "wrong-name",
            f"is {kind} by its content, not {named}; rename it to end in {SUFFIXES[kind][0]}",
        )
    return kind


@contextmanager
def opened(data: bytes, kind: str) -> Iterator[Image]:
    """Open a picture of a format that `check_name` returned, for decoding inside the block.

    Raises PictureError for one that is too large or damaged, whatever decodes it in the block.
    """
    module = pillow()
    hush = caught if kind == "TIFF" else hushed
    with refusing_damage(), hush(), module.open(io.BytesIO(data), formats=[kind]) as image:
        if image.width * image.height > MOST_PIXELS:
            raise PictureError(
                "too-large", f"has {image.width}x{image.height} pixels; make it smaller"
            )
        yield image


@contextmanager
def caught() -> Iterator[None]:
    """Hide what is written to descriptor 2, and raise PictureError for what libtiff can't decode.

    Of fax rows with wrong code words libtiff only complains there, and goes on with guessed pixels.
    Memory takes the text where it can, so that no temporary folder is needed.
    """
    with (
        open(os.memfd_create("libtiff"), "w+b")  # noqa: PTH123  # a descriptor
        if sys.platform == "linux"
        else tempfile.TemporaryFile()
    ) as file:
        with hushed(file.fileno()):
            yield
        file.seek(0)
        complaint = _COMPLAINT.search(file.read())
    if complaint:
        cause = " ".join(complaint[0].decode("ascii", "replace").rstrip(".").split())
        raise PictureError("damaged", f"can't be decoded ({cause}); scan or fetch it again")


@contextmanager
def hushed(target: int | None = None) -> Iterator[None]:
    """Hide warnings, and what is written to descriptor 2: libraries report damaged files there.

    It goes to the descriptor `target`, or nowhere. The descriptor is the process's own, so only one
    thread may decode pictures at a time.
    """
    try:
        original = os.dup(2)
    except OSError:  # no standard error
        yield
        return
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere if target is None else target, 2)
        os.close(nowhere)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        os.dup2(original, 2)
        os.close(original)


@contextmanager
def refusing_damage() -> Iterator[None]:
    """Turn the errors of decoding a damaged picture, of a dozen kinds, into PictureError."""
    try:
        yield
    except (PictureError, MemoryError, MissingExtraError):
        raise
    except Exception as error:
        if type(error).__name__ == "DecompressionBombError":
            raise PictureError("too-large", "has too many pixels; make it smaller") from error
        text = re.sub(r" <_io\.BytesIO object at 0x[0-9a-f]+>", "", str(error))
        cause = " ".join(text.split()) or type(error).__name__
        raise PictureError(
            "damaged", f"can't be decoded ({cause}); scan or fetch it again"
        ) from error


def pillow() -> Any:
    """Return the module `PIL.Image`. Raises MissingExtraError where Pillow is not installed."""
    try:
        from PIL import Image
    except ImportError as error:
        raise missing_extra("pictures need Pillow, which is not installed", "forms") from error
    return Image


def _expand(argument: str, suffixes: tuple[str, ...]) -> Iterator[Picture]:
    path = Path(argument)
    if not argument:  # an unset variable must not mean this folder
        return
    if os.path.isdir(argument):  # noqa: PTH112  # False where permission is denied
        yield from _in_folder(path, suffixes)
    elif os.path.lexists(argument):
        yield from _file(path, suffixes, named=True)
    elif set("*?[").isdisjoint(argument):
        raise NoInputError(f"{argument}: no such file or folder; check the path")
    else:
        for match in sorted(glob.glob(argument)):
            if _counts(Path(match).name):
                yield from _expand(match, suffixes)


def _in_folder(root: Path, suffixes: tuple[str, ...]) -> Iterator[Picture]:
    def refuse(error: OSError) -> None:
        raise NoInputError(f"{error.filename}: can't be read: {error.strerror or error}") from error

    def counts(name: str) -> bool:
        return _counts(name) and name.lower().endswith((*suffixes, _ZIP))

    linked: list[Path] = []
    for where, folders, names in os.walk(root, onerror=refuse):
        folders[:] = sorted(filter(_counts, folders))
        folder = Path(where)
        linked += [folder / name for name in folders if (folder / name).is_symlink()]
        label = "" if folder == root else folder.name
        for name in sorted(filter(_counts, names)):
            yield from _file(folder / name, suffixes, label)
    warn_of_left_out(root, linked, counts, "name what to read")


def _file(
    path: Path, suffixes: tuple[str, ...], folder: str = "", *, named: bool = False
) -> Iterator[Picture]:
    """Yield the picture at a path, or those of the ZIP there; what the user named is one anyway."""
    suffix = path.suffix.lower()
    if suffix == _ZIP:
        yield from _in_zip(path, suffixes)
    elif named or suffix in suffixes:
        yield Picture(str(path), path, None, folder)


def _in_zip(path: Path, suffixes: tuple[str, ...]) -> Iterator[Picture]:
    try:
        if path.exists() and not path.is_file():  # opening a FIFO would wait for ever
            raise NoInputError(f"{path}: is a FIFO or a device, expected a ZIP; copy it to a file")
        listed = Snapshot.of(path)
        with zipfile.ZipFile(path) as archive:
            members = sorted(info.filename for info in archive.infolist() if not info.is_dir())
    except (OSError, *_DAMAGED_ZIP) as error:
        cause = getattr(error, "strerror", None) or error
        raise NoInputError(f"{path}: can't be read as a ZIP: {cause}; make it again") from error
    doubled = [name for name, count in Counter(members).items() if count > 1]
    if doubled:  # only one of them could be read by its name
        raise UnusableInputError(
            f"{path}: has members twice: {listing(doubled)}; give each a name of its own"
        )
    for member in members:
        *folders, name = member.split("/")
        if name.lower().endswith(suffixes) and all(map(_counts, (*folders, name))):
            folder = folders[-1] if folders else ""
            yield Picture(f"{path}/{member}", path, member, folder, listed)


def _counts(name: str) -> bool:
    return not name.startswith((".", "_"))


@lru_cache(maxsize=1)
def _archive(path: Path, _listed: Snapshot) -> zipfile.ZipFile:
    """Return the open ZIP; opening one with many members for each of them would take minutes."""
    return zipfile.ZipFile(path)


def _member(path: Path, name: str, listed: Snapshot) -> bytes:
    try:
        archive = _archive(path, listed)
        info = archive.getinfo(name)
        if info.flag_bits & 1:
            raise PictureError("unreadable", "is encrypted in its ZIP; extract it first")
        with archive.open(info) as file:
            return _limited(file, info.file_size)
    except _DAMAGED_ZIP as error:
        raise PictureError("damaged", f"can't be read from its ZIP: {error}") from error


def _limited(file: IO[bytes], size: int) -> bytes:
    data = b"" if size > MOST_BYTES else file.read(MOST_BYTES + 1)
    if size > MOST_BYTES or len(data) > MOST_BYTES:
        raise PictureError("too-large", f"has {max(size, len(data)):,} bytes; make it smaller")
    return data
