"""HDF5 files that come from outside: opened from memory, and only if they store all that they hold.

HDF5 can declare gigabytes that it stores in a few bytes, can compress, and can point at other files
by links, external storage and virtual datasets. Keras writes none of these.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from batchdigits.errors import BundleError
from batchdigits.text import listing

# h5py raises these for a file that HDF5 did not write.
_ERRORS = (OSError, RuntimeError, ValueError, LookupError, TypeError, AttributeError)


@contextmanager
def open_hdf5(data: bytes, what: str) -> Iterator[Any]:
    """Yield the h5py.File in `data`, checked; `what` begins the messages, such as "model.h5".

    Raises BundleError for links, other files, datasets that are larger than what is stored of them,
    and for errors of h5py while the file is used.
    """
    import h5py

    try:
        # From memory: even HDF5 itself then has no folder to look for other files in.
        with h5py.File(io.BytesIO(data), "r") as file:
            _check(file, what)
            yield file
    except _ERRORS as error:
        problem = " ".join(str(error).split())[:200]
        raise BundleError(f"{what} has weights that can't be read ({problem})") from error


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
