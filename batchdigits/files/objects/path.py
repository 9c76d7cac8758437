"""An object's address as a path: names and folders as of files, and the reads that files have."""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Callable, Generator, Iterator
from pathlib import Path, PosixPath
from typing import Any, NoReturn, Self

from batchdigits.errors import UsageError
from batchdigits.files.objects import client
from batchdigits.files.objects.address import Address, is_object
from batchdigits.files.objects.stores import require_extra

READ_BYTES = 1 << 20


class ObjectPath(PosixPath):
    """The path of an object, or of a prefix that stands for a folder.

    Names, parents and joining are those of any path. What the rest of the package does with the
    path of a file that exists works by requests: `stat` and all that rests on it, `open` for
    reading, and listing. Anything that would hand the name to the operating system raises
    UsageError, so that no local file is ever mistaken for the object.
    """

    def __str__(self) -> str:
        return super().__str__().replace(":/", "://", 1)

    def __fspath__(self) -> NoReturn:
        raise UsageError(
            f"{self}: is in object storage, and only a local file can be used here; copy it, or "
            "name a local path"
        )

    @property
    def address(self) -> Address:
        return Address.parse(str(self))

    def version(self) -> client.Version | None:
        """Return the version that is there now; None for none."""
        return client.head(self.address) if self.address.key else None

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:  # noqa: ARG002  # no links
        """The size and type of an object. Raises FileNotFoundError if there is none."""
        found = self.version()
        if found is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self))
        mode = stat.S_IFREG | 0o644
        return os.stat_result((mode, 0, 0, 1, os.geteuid(), os.getegid(), found.size, 0, 0, 0))

    def lstat(self) -> os.stat_result:
        return self.stat()

    def is_symlink(self) -> bool:
        return False

    def is_dir(self, *_: Any, **__: Any) -> bool:
        """Return whether the prefix has an object below it."""
        return client.has_any(self.address)

    def entries(self) -> Iterator[tuple[str, bool]]:
        """Yield the names directly below the prefix, and whether each is a prefix itself."""
        return client.entries(self.address)

    def refuse_absent_bucket(self) -> None:
        """Raise OutputError unless the bucket is there and can be listed, before it is written."""
        client.has_any(self.address, "write")

    def iterdir(self) -> Generator[Self, None, None]:
        for name, _ in self.entries():
            yield self / name

    def resolve(self, strict: bool = False) -> Self:  # noqa: ARG002  # as Path has it
        return self

    def absolute(self) -> Self:
        return self

    def open(self, mode: str = "r", *_: Any, **__: Any) -> Any:
        """Open the version that is there now, to read its bytes in any order."""
        if mode != "rb":
            raise UsageError(f"{self}: objects are only read as bytes")
        return io.BufferedReader(ObjectReader(self), READ_BYTES)

    def unlink(self, missing_ok: bool = False) -> None:
        if not missing_ok:
            self.stat()
        client.delete(self.address)

    def mkdir(self, *_: Any, **__: Any) -> None:
        """Do nothing: a prefix is there as soon as an object is below it."""

    def create(self, data: bytes) -> None:
        """Write a new object. Raises FileExistsError for another that is there."""
        try:
            client.put(self.address, data, "create")
        except client.ConflictError as error:
            if self.read_bytes() != data:  # else it is ours, and its answer was lost
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(self)) from error

    def exchange(self, change: Callable[[bytes | None], bytes]) -> bool:
        """Write what `change` makes of the object's bytes, None for no object.

        Returns whether it was written: it is not if the object changed meanwhile.
        """
        there = self.version()
        was = None if there is None else bytes(_read_whole(self.address, there))
        data = change(was)
        try:
            client.put(self.address, data, there or "create")
        except client.ConflictError:
            now = self.version()
            return now is not None and bytes(_read_whole(self.address, now)) == data
        return True

    def read_bytes(self) -> bytes:
        with self.open("rb") as file:
            data: bytes = file.read()
        return data


def _read_whole(address: Address, version: client.Version) -> memoryview:
    return client.read_range(address, 0, version.size, version)


class ObjectReader(io.RawIOBase):
    """Reads one version of an object by requests for ranges.

    Raises FileNotFoundError if there is none, TryAgainError if it is replaced meanwhile.
    """

    def __init__(self, path: ObjectPath) -> None:
        found = path.version()
        if found is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        self._address = path.address
        self.version = found
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.version.size}
        self._position = max(0, start[whence] + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        start = self._position
        end = min(start + len(view), self.version.size)
        if end <= start:
            return 0
        data = client.read_range(self._address, start, end, self.version)
        view[: len(data)] = data
        self._position = end
        return len(data)


def as_path(name: str | os.PathLike[str]) -> Path:
    """Return the path that a name means: of an object for a URL that we read, else of a file.

    Raises UsageError for an address with credentials in it, MissingExtraError without the extra.
    """
    if isinstance(name, ObjectPath):
        return name
    text = os.fspath(name)
    if not is_object(text):
        return Path(text)
    if "://" not in text:  # a `Path` has made one slash of two
        text = text.replace(":/", "://", 1)
    address = Address.parse(text)
    require_extra(str(address))
    return ObjectPath(str(address))
