"""Requests to object storage: each retried for a stated time, each failure one of our errors."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from batchdigits.errors import (
    BatchdigitsError,
    IOFailedError,
    NoInputError,
    OutputError,
    TryAgainError,
    UsageError,
)
from batchdigits.files.objects.address import BUCKETS, Address
from batchdigits.files.objects.stores import open_store

if TYPE_CHECKING:
    from concurrent.futures import Future

ResultT = TypeVar("ResultT")

RETRY_SECONDS = 120.0
"""How long a failing request is tried again; $BATCHDIGITS_RETRY_SECONDS sets another time."""

RANGE_SECONDS = 60
"""A request that reads has this long for its range, before it is tried again."""

LEAST_SPEED = 1 << 20
"""An upload may take a second for each of these bytes, and a minute more."""

MOST_BYTES = 5 * 1000**3
"""The most bytes of one request to any of the stores."""

_MOST_PAUSE = 5.0  # seconds


class ConflictError(Exception):
    """A condition of a request that did not hold: another version of the object is there."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an object: its size in bytes, and what its store tells it apart by.

    etag     None where the store gives none
    version  of a bucket that keeps versions; the generation in Google's
    """

    size: int
    etag: str | None
    version: str | None = None

    @classmethod
    def of(cls, meta: Any) -> Version:
        """The version of obstore's facts about an object."""
        return cls(meta["size"], meta["e_tag"], meta["version"])

    @classmethod
    def of_facts(cls, size: int, facts: Mapping[Any, Any]) -> Version | None:
        """The version that a receipt holds; None for a file, or facts that are no version."""
        etag, version = facts.get("etag"), facts.get("version")
        if not isinstance(etag, str) or not isinstance(version, str | None):
            return None
        return cls(size, etag, version)

    def verify(self, path: Any) -> None:
        """Raise TryAgainError unless this version is still at the object's path."""
        verify(path.address, self)

    @property
    def facts(self) -> dict[str, str]:
        """The version as receipts hold it, beside the size."""
        facts = {"etag": self.etag, "version": self.version}
        return {name: value for name, value in facts.items() if value is not None}


Condition: TypeAlias = Version | Literal["create"]
"""What a put replaces: that version, or nothing."""


def head(address: Address) -> Version | None:
    """Return the version that is there; None for none."""
    import obstore

    try:
        return Version.of(_tried(lambda store: obstore.head(store, address.key), address, "read"))
    except FileNotFoundError:
        return None


def read_range(address: Address, start: int, end: int, version: Version) -> memoryview:
    """Return the bytes from `start` to `end` of that version.

    Raises TryAgainError if another version is there now, or none.
    """
    import obstore

    options: dict[str, Any] = {"range": (start, end)}
    if version.etag is not None:
        options["if_match"] = version.etag

    def read(store: Any) -> memoryview:
        data = memoryview(obstore.get(store, address.key, options=options).bytes())
        if len(data) != end - start:  # a proxy cut the answer
            raise ConnectionError(f"{len(data)} bytes instead of {end - start}")
        return data

    try:
        return _tried(read, address, "read") if end > start else memoryview(b"")
    except ConflictError as error:
        raise _changed(address, "replaced") from error
    except FileNotFoundError as error:
        raise _changed(address, "removed") from error


def verify(address: Address, version: Version) -> None:
    """Raise TryAgainError unless that version is there still."""
    now = head(address)
    if now != version:
        raise _changed(address, "removed" if now is None else "replaced")


def put(address: Address, data: Any, condition: Condition) -> Version:
    """Write a whole object in one request, from bytes or a memory map, and return its version.

    Raises ConflictError if the condition does not hold, and after an answer was lost, too.
    """
    import obstore

    size = memoryview(data).nbytes
    if size > MOST_BYTES:
        raise OutputError(
            f"{address}: would have {size:,} bytes, and an object is written in one request of at "
            f"most {MOST_BYTES:,}; split the input, or keep fewer columns (--keep)"
        )
    mode = condition if condition == "create" else _update(condition)

    def write(store: Any) -> Version:
        done = obstore.put(store, address.key, data, mode=mode, use_multipart=False)
        return Version(size, done["e_tag"], done["version"])

    try:
        return _tried(write, address, "write", 60 + size // LEAST_SPEED)
    except FileNotFoundError as error:
        raise _no_bucket(address, "write") from error


def delete(address: Address) -> None:
    """Remove an object, which may be absent."""
    import obstore

    try:
        _tried(lambda store: obstore.delete(store, address.key), address, "write")
    except FileNotFoundError:
        return


def entries(address: Address) -> Iterator[tuple[str, bool]]:
    """Yield the names directly below a prefix, and whether each is a prefix itself, sorted.

    Raises NoInputError if there is no such bucket.
    """
    import obstore

    prefix = _prefix(address)
    try:
        found = _tried(
            lambda store: obstore.list_with_delimiter(store, prefix or None), address, "read"
        )
    except FileNotFoundError as error:
        raise _no_bucket(address, "read") from error
    names = [(each.removeprefix(prefix).rstrip("/"), True) for each in found["common_prefixes"]]
    names += [(each["path"].removeprefix(prefix), False) for each in found["objects"]]
    # Some tools write an empty object for a folder.
    yield from sorted((name, is_folder) for name, is_folder in names if name)


def has_any(address: Address, action: str = "read") -> bool:
    """Return whether an object is below a prefix, from the first page of a listing.

    Raises NoInputError or, to write, OutputError if there is no such bucket.
    """
    import obstore

    prefix = _prefix(address)

    def look(store: Any) -> bool:
        pages = obstore.list(store, prefix or None, chunk_size=1)
        return any(each["path"].startswith(prefix) for page in pages for each in page)

    try:
        return _tried(look, address, action)
    except FileNotFoundError as error:
        raise _no_bucket(address, action) from error


def _prefix(address: Address) -> str:
    return f"{address.key}/" if address.key else ""


def in_background(work: Callable[[], ResultT]) -> Future[ResultT]:
    """Start `work` in a thread that the end of the process does not wait for."""
    from concurrent.futures import Future

    future: Future[ResultT] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001  # whoever waits gets it
            future.set_exception(error)

    threading.Thread(target=run, daemon=True, name="objects").start()
    return future


def _update(condition: Version) -> dict[str, str]:
    named = {"e_tag": condition.etag, "version": condition.version}
    return {name: value for name, value in named.items() if value is not None}


def _tried(
    request: Callable[[Any], ResultT], address: Address, action: str, seconds: int = RANGE_SECONDS
) -> ResultT:
    """Make a request until it succeeds or is refused, for as long as requests are tried again.

    The request runs in a thread of its own, so that a signal is seen at once.
    """
    deadline, pause = time.monotonic() + _retry_seconds(), 0.1
    store = _store(address, action, seconds)
    while True:
        try:
            return in_background(lambda: request(store)).result()
        except (BatchdigitsError, FileNotFoundError):
            raise
        except Exception as error:
            _refuse(error, address, action)
            if time.monotonic() + pause > deadline:
                raise IOFailedError(
                    f"{address}: {_verb(action)} failed for {_retry_seconds():g} seconds "
                    f"({_reason(error)}); run again when the store answers"
                ) from error
        import random

        time.sleep(pause * (0.5 + random.random() / 2))  # noqa: S311  # so that many don't retry at once
        pause = min(2 * pause, _MOST_PAUSE)


def _refuse(error: Exception, address: Address, action: str) -> None:
    """Raise what another try would not mend."""
    from obstore import exceptions as known

    if isinstance(error, known.PreconditionError | known.AlreadyExistsError):
        raise ConflictError(str(address)) from error
    code = _code(error)
    refused = NoInputError if action == "read" else OutputError
    if "169.254.169.254" in str(error) or "metadata.google.internal" in str(error):
        raise refused(f"{address}: no credentials: {_CREDENTIALS[address.scheme]}") from error
    if code in _EXPIRED:
        raise refused(
            f"{address}: the token of the credentials has expired ({code}): renew it, for example "
            "with aws sso login, and run again"
        ) from error
    if code in ("NoSuchBucket", "ContainerNotFound"):
        raise _no_bucket(address, action) from error
    if isinstance(error, known.PermissionDeniedError | known.UnauthenticatedError):
        rights = {"s3": ("s3:GetObject and s3:ListBucket", "s3:PutObject")}
        right = rights.get(address.scheme, ("reading", "writing"))[action != "read"]
        raise refused(
            f"{address}: access is denied ({code or 403}): allow {right} to this identity, or give "
            "other credentials"
        ) from error
    if isinstance(error, known.NotSupportedError | known.InvalidPathError | ValueError | TypeError):
        raise refused(f"{address}: can't be used: {_reason(error)}; name another") from error


_CREDENTIALS = {
    "s3": "set them in the environment, such as AWS_ACCESS_KEY_ID, or name a profile with "
    "AWS_PROFILE",
    "gs": "name a file with them in GOOGLE_APPLICATION_CREDENTIALS, or log in with gcloud",
    "az": "set AZURE_STORAGE_ACCOUNT_NAME, and AZURE_STORAGE_ACCOUNT_KEY or another in the "
    "environment",
}
_EXPIRED = {"ExpiredToken", "TokenRefreshRequired", "RequestExpired", "ExpiredTokenException"}


def _no_bucket(address: Address, action: str) -> BatchdigitsError:
    refused = NoInputError if action == "read" else OutputError
    return refused(
        f"{address}: there is no {BUCKETS[address.scheme]} {address.bucket!r}: check its name, "
        "and the region and endpoint in the environment"
    )


def _changed(address: Address, how: str) -> TryAgainError:
    return TryAgainError(f"{address}: was {how} while it was read; run again when it is complete")


def _verb(action: str) -> str:
    return "reading" if action == "read" else "writing"


def _code(error: Exception) -> str:
    """The code in a store's answer, such as `AccessDenied`; empty if there is none."""
    match = re.search(r"<Code>([A-Za-z0-9]+)</Code>", str(error))
    return match[1] if match else ""


def _reason(error: Exception) -> str:
    """A few words on a failure, without what the store sent: it may name a key."""
    text = str(error)
    status = re.search(r"status code: (\d{3})", text)
    if status:
        return f"{status[1]} {_code(error)}".rstrip()
    last = text.split("\n", 1)[0].rpartition(" - ")[2]
    return " ".join(last.split())[:120] or type(error).__name__


def _retry_seconds() -> float:
    text = os.environ.get("BATCHDIGITS_RETRY_SECONDS") or RETRY_SECONDS
    try:
        return max(0.0, float(text))
    except ValueError as error:
        raise UsageError(
            f"BATCHDIGITS_RETRY_SECONDS={text!r}: expected a number of seconds, such as 120"
        ) from error


def _store(address: Address, action: str, seconds: int) -> Any:
    # Few timeouts: each is a client with connections of its own.
    steps = next(step for step in (60, 300, 1800, 7200) if seconds <= step)
    try:
        return open_store(address.scheme, address.bucket, steps)
    except BatchdigitsError:
        raise
    except Exception as error:
        refused = NoInputError if action == "read" else OutputError
        if "Account must be specified" in str(error):
            why = f"no credentials: {_CREDENTIALS[address.scheme]}"
        else:
            why = f"can't be opened: {_reason(error)}; check its settings in the environment"
        raise refused(f"{address}: {why}") from error
