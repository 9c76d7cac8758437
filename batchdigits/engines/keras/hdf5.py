"""HDF5 files that come from outside: opened from memory, and only if they store all that they hold.

HDF5 can declare gigabytes that it stores in a few bytes, can compress, and can point at other files
by links, external storage and virtual datasets. Keras writes none of these.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from batchdigits.archive.container import MAX_FILE_BYTES
from batchdigits.errors import BundleError
from batchdigits.text import listing

# h5py raises these for a file that HDF5 did not write.
_ERRORS = (
    *(OSError, RuntimeError, ValueError, LookupError, TypeError, AttributeError),
    *(ArithmeticError, EOFError, MemoryError),
)

_HEAP = b"GCOL\x01"
_MOST_HEAPS = 1000


@contextmanager
def open_hdf5(data: bytes, what: str) -> Iterator[Any]:
    """Yield the h5py.File in `data`, checked; `what` begins the messages, such as "model.h5".

    Raises BundleError for links, other files, datasets that are larger than what is stored of them,
    and for errors of h5py while the file is used.
    """
    import h5py

    _check_heaps(data, what)
    try:
        # From memory: even HDF5 itself then has no folder to look for other files in.
        with _no_plugins(), h5py.File(io.BytesIO(data), "r") as file:
            _check(file, what)
            yield file
    except _ERRORS as error:
        problem = " ".join(str(error).split())[:200]
        raise BundleError(f"{what} has weights that can't be read ({problem})") from error


def read_texts(node: Any, name: str) -> list[str] | None:
    """Return the texts in an attribute of a file, group or dataset; None if it has none.

    Raises BundleError for another type, which h5py would read into memory that is not its own.
    """
    import h5py

    if name not in node.attrs:
        return None
    attribute = h5py.h5a.open(node.id, name.encode())
    if attribute.get_space().get_simple_extent_npoints() == 0:
        return []
    is_text = isinstance(attribute.get_type(), h5py.h5t.TypeStringID)
    if not is_text or attribute.get_storage_size() > MAX_FILE_BYTES:
        raise BundleError(f"its attribute {name} holds no text: damaged")
    values = np.atleast_1d(np.asarray(node.attrs[name], object)).ravel().tolist()
    return [v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in values]


@contextmanager
def _no_plugins() -> Iterator[None]:
    """Keep HDF5 from loading plugins, in which it looks for one that can read a damaged file."""
    from h5py import h5pl

    folders = [h5pl.get(place) for place in range(h5pl.size())]
    for _ in folders:
        h5pl.remove(0)
    try:
        yield
    finally:
        for folder in folders:
            h5pl.append(folder)


def _check_heaps(data: bytes, what: str) -> None:
    """Refuse a global heap, where HDF5 keeps texts, that its objects do not fill.

    HDF5 1.14.6 never ends on one whose free space has no length. The layout is that of the HDF5
    File Format Specification 3.0, section III.E.
    """
    start = data.find(_HEAP)
    for _ in range(_MOST_HEAPS):
        if start < 0:
            return
        if not _is_full(data, start):
            break
        start = data.find(_HEAP, start + 1)
    raise BundleError(f"{what} has a damaged heap: copy it again")


def _is_full(data: bytes, start: int) -> bool:
    """Return whether the objects of the heap at `start` end where it ends."""
    place, end = start + 16, start + int.from_bytes(data[start + 8 : start + 16], "little")
    while place + 16 <= end <= len(data):
        length = int.from_bytes(data[place + 8 : place + 16], "little")
        if data[place : place + 2] == b"\0\0":  # the free space, whose length is all of it
            return place + length == end
        place += 16 + (length + 7) // 8 * 8
    return place <= end <= len(data)


def _check(file: Any, what: str) -> None:
    import h5py

    bombs: list[str] = []
    pointers: list[str] = []

    def look(name: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset):
            if node.external or node.is_virtual:
                pointers.append(name)
            elif node.nbytes > node.id.get_storage_size():
                bombs.append(name)
        elif isinstance(node, h5py.Group):
            links = {entry: node.get(entry, getlink=True) for entry in node}
            odd = (entry for entry, link in links.items() if not isinstance(link, h5py.HardLink))
            pointers.extend(f"{name}/{entry}".lstrip("/") for entry in odd)

    look("", file)
    file.visititems(look)  # all but the root
    if pointers:
        raise BundleError(
            f"{what} has weights that are links or lie in other files: {listing(pointers)}"
        )
    if bombs:
        raise BundleError(
            f"{what} has weights that are larger than what is stored of them: {listing(bombs)}"
        )
