"""The address of an object: parsed, and never with a secret in it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Self

from batchdigits.errors import UsageError

BUCKETS = {"s3": "bucket", "gs": "bucket", "az": "container"}
"""Each scheme of object storage, with its word for a bucket."""

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/")


@dataclass(frozen=True, slots=True)
class Address:
    """An object, or a prefix that stands for a folder: its scheme, its bucket and its key."""

    scheme: str
    bucket: str
    key: str

    @classmethod
    def parse(cls, url: str) -> Self:
        """Parse `s3://bucket/key`. Raises UsageError, which repeats no user, password or query."""
        scheme, _, rest = url.partition("://")
        bucket, _, key = rest.partition("/")
        shown = masked(url)
        if "@" in bucket or shown != url:
            raise UsageError(
                f"{shown}: an address must hold no user, password or signature; give credentials "
                "in the environment or a profile"
            )
        if not bucket:
            raise UsageError(f"{shown}: names no {BUCKETS[scheme]}; write {scheme}://NAME/KEY")
        parts = key.rstrip("/").split("/") if key.strip("/") else []
        if any(part in ("", ".", "..") for part in parts) or not url.isprintable():
            raise UsageError(
                f"{shown}: can't be read: a part of its key is empty, '.' or '..', or is not "
                "printable; rename the object"
            )
        return cls(scheme, bucket, "/".join(parts))

    @property
    def root(self) -> str:
        """The address of the bucket."""
        return f"{self.scheme}://{self.bucket}"

    def __str__(self) -> str:
        return f"{self.root}/{self.key}" if self.key else self.root


def is_object(name: str | os.PathLike[str]) -> bool:
    """Return whether a name is the address of an object or a prefix of a scheme that we read."""
    return scheme_of(str(name)) in BUCKETS


def scheme_of(name: str) -> str:
    """Return `http` for `http://…` or `http:/…`; empty for a path, also in a folder `http:`."""
    match = _URL.match(name)
    if match is None or os.path.lexists(f"{match[1]}:"):  # a folder may have such a name
        return ""
    return match[1]


def masked(url: str) -> str:
    """Return an address without the user, the password and the query that may hold a secret."""
    url = re.sub(r"(:/+)[^/@]*@", r"\1***@", url)
    # A key may hold a question mark; a query has a name and a value.
    return re.sub(r"\?(?=[^/]*=).*", "?***", url)
