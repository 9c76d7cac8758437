"""The server of a review: this computer alone, one reviewer, a journal synced at every decision."""

from __future__ import annotations

import hmac
import json
import logging
import os
import re
import secrets
import stat
import threading
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from batchdigits.cli.interrupts import raise_if_interrupted
from batchdigits.clock import utc_text
from batchdigits.errors import (
    IOFailedError,
    NoInputError,
    OutputError,
    UnusableInputError,
    UsageError,
)
from batchdigits.files.atomic import explained, fsync_folder, replace_file
from batchdigits.files.names import visible
from batchdigits.files.plain import read_small
from batchdigits.files.strict_json import parse_strict
from batchdigits.review.document import PAGE, Review
from batchdigits.review.journal import (
    MOST_BYTES,
    SUFFIX,
    check_event,
    complete_lines,
    header_line,
    parse_header,
    read_journal,
)

logger = logging.getLogger("batchdigits.review")

ADDRESS = "127.0.0.1"
ACCESS = ".access.json"
"""The token and the port, kept so that an open page finds a server that was started again."""

MOST_BODY = 1 << 20
MOST_PAGE = 1 << 30
"""The page holds the document of the review, which has the same limit."""

_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def journal_path(folder: Path, reviewer: str) -> Path:
    """Return the journal of a reviewer in a review's folder."""
    name = re.sub(r"[^\w-]+", "-", reviewer)[:60].strip("-") or "reviewer"
    return folder / f"{name}{SUFFIX}"


class JournalFile:
    """The journal of one reviewer, open to append to: a line is on the disk before `add` returns.

    Raises OutputError or IOFailedError if it can't be written, UnusableInputError if it is damaged.
    """

    def __init__(self, path: Path, review: Review, reviewer: str) -> None:
        self.path = path
        self.reviewer = reviewer
        self._review = review
        self._lock = threading.Lock()
        with explained(path):
            flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
            self._descriptor = os.open(path, flags, 0o600)
        self._lines = self._load()

    def _load(self) -> list[str]:
        """Return the lines; begin an empty journal, cut off the rest of a broken last line."""
        facts = os.fstat(self._descriptor)
        size = facts.st_size
        if not stat.S_ISREG(facts.st_mode) or size > MOST_BYTES:
            raise UnusableInputError(
                f"{self.path}: a FIFO, a device, or more than {MOST_BYTES} bytes, expected the "
                "journal that `review serve` wrote; move it away"
            )
        data = os.pread(self._descriptor, size, 0)
        lines = complete_lines(self.path, data)
        if not lines:
            with explained(self.path):
                os.ftruncate(self._descriptor, 0)
            first = header_line(self._review, self.reviewer, utc_text())
            self._append(first + "\n")
            fsync_folder(self.path.parent)
            return [first]
        whole = sum(len(line.encode()) + 1 for line in lines)
        if whole < size:
            with explained(self.path):
                os.ftruncate(self._descriptor, whole)
        reviewer = parse_header(self.path, lines)["reviewer"]
        if reviewer != self.reviewer:
            raise UnusableInputError(
                f"{self.path}: is the journal of {reviewer!r}; give another --reviewer"
            )
        read_journal(self.path, self._review)
        return lines

    @property
    def text(self) -> str:
        with self._lock:
            return "".join(f"{line}\n" for line in self._lines)

    def add(self, lines: list[str]) -> None:
        """Append decisions. Lines that are there already are passed over.

        Raises ValueError, with a text for the reviewer, for a line that is no decision or follows
        on other ones than are there.
        """
        with self._lock:
            fresh: list[str] = []
            for line in lines:
                event: Any = parse_strict(line.encode())
                number = event.get("n") if isinstance(event, dict) else None
                if type(number) is int and 0 < number < len(self._lines) + len(fresh):
                    if number >= len(self._lines) or self._lines[number] != line:
                        raise ValueError(
                            "this review is open in another window; close one, and reload the other"
                        )
                    continue
                problem = check_event(event, len(self._lines) + len(fresh), self._review)
                if problem:
                    raise ValueError(problem)
                fresh.append(line)
            if fresh:
                self._append("".join(f"{line}\n" for line in fresh))
                self._lines += fresh

    def _append(self, text: str) -> None:
        data = text.encode()
        size = os.fstat(self._descriptor).st_size
        try:
            with explained(self.path):
                while data:
                    data = data[os.write(self._descriptor, data) :]
                os.fsync(self._descriptor)
        except (OutputError, IOFailedError):
            with suppress(OSError):  # half a line must not stand before the next one
                os.ftruncate(self._descriptor, size)
            raise

    def close(self) -> None:
        os.close(self._descriptor)


class ReviewServer(ThreadingHTTPServer):
    """Serves one review to one reviewer, at an address that only the token opens."""

    daemon_threads = True

    def __init__(
        self, folder: Path, review: Review, journal: JournalFile, port: int | None
    ) -> None:
        self.folder = folder
        self.review = review
        self.journal = journal
        kept = _kept_access(folder)
        self.token = str(kept.get("token") or secrets.token_urlsafe(24))
        self.page = _read_page(folder)
        super().__init__((ADDRESS, 0), _Handler, bind_and_activate=False)
        self._bind(port, kept.get("port"))
        facts = {"token": self.token, "port": self.port}
        replace_file(folder / ACCESS, json.dumps(facts).encode() + b"\n", mode=0o600)

    def _bind(self, port: int | None, kept: Any) -> None:
        """Bind the port that is asked for, else the one of the last time, else any."""
        wanted = [port] if port is not None else [kept] if type(kept) is int else []
        for number in [*wanted, *([] if port is not None else [0])]:
            self.server_address = (ADDRESS, number)
            try:
                self.server_bind()
            except (OSError, OverflowError) as error:
                if number != port:
                    continue
                raise UsageError(
                    f"--port {port}: can't be used ({getattr(error, 'strerror', error)}); give "
                    "another, or leave it out"
                ) from error
            self.server_activate()
            return

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        return f"http://{ADDRESS}:{self.port}/?token={self.token}"

    def service_actions(self) -> None:
        """Raise InterruptedRunError for a signal whose exception was lost.

        The library catches every exception of accepting a request, that of a signal among them.
        """
        raise_if_interrupted()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002  # as inherited
        """Keep quiet about a browser that went away in the middle of a request."""
        logger.debug("a request from the browser broke off")

    def others(self) -> list[str]:
        """Return the other journals in the folder, as far as they are sound."""
        texts = []
        for path in visible(self.folder, f"*{SUFFIX}"):
            if path == self.journal.path:
                continue
            with suppress(NoInputError, UnusableInputError, IOFailedError):
                journal = read_journal(path, self.review)
                head = header_line(self.review, journal.reviewer, "")
                texts.append("".join(f"{line}\n" for line in (head, *journal.lines)))
        return texts


class _Handler(BaseHTTPRequestHandler):
    server: ReviewServer
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_GET(self) -> None:
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        if path == "/" and self._is_allowed((query.get("token") or [""])[0]):
            self._answer(self.server.page, "text/html; charset=utf-8")
        elif path == "/journal" and self._is_allowed(self.headers.get("X-Token", "")):
            journal = self.server.journal
            self._answer_json({"reviewer": journal.reviewer, "text": journal.text})
        elif path == "/others" and self._is_allowed(self.headers.get("X-Token", "")):
            self._answer_json(self.server.others())
        else:
            self._refuse(HTTPStatus.FORBIDDEN, "open the address that `review serve` printed")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if self.path != "/journal" or not self._is_allowed(self.headers.get("X-Token", "")):
            self._refuse(HTTPStatus.FORBIDDEN, "open the address that `review serve` printed")
        elif not length.isdecimal() or int(length) > MOST_BODY:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too many decisions at once")
        else:
            try:
                *lines, rest = self.rfile.read(int(length)).decode().split("\n")
                self.server.journal.add([*lines, *([rest] if rest else [])])
            except ValueError as error:
                self._refuse(HTTPStatus.CONFLICT, str(error))
            except (OutputError, IOFailedError) as error:
                logger.error("%s", error)  # noqa: TRY400  # one line, no traceback
                self._refuse(HTTPStatus.INSUFFICIENT_STORAGE, str(error))
            else:
                self._answer_json({})

    def _is_allowed(self, token: str) -> bool:
        """Allow this computer's own name and the token: other pages in the browser have neither."""
        host = self.headers.get("Host", "")
        is_ours = host in (f"{ADDRESS}:{self.server.port}", f"localhost:{self.server.port}")
        return is_ours and hmac.compare_digest(token.encode(), self.server.token.encode())

    def _answer_json(self, value: Any) -> None:
        self._answer(json.dumps(value).encode(), "application/json")

    def _refuse(self, status: HTTPStatus, text: str) -> None:
        self.close_connection = True  # a body may be left unread
        self._answer(text.encode(), "text/plain; charset=utf-8", status)

    def _answer(self, data: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        self.send_response(status)
        headers = {**_HEADERS, "Content-Type": kind, "Content-Length": str(len(data))}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        with suppress(ConnectionError):  # the browser has gone
            self.wfile.write(data)

    def log_message(self, *_args: Any) -> None:
        """Log nothing: the token is in the address."""


def _kept_access(folder: Path) -> Mapping[str, Any]:
    try:
        facts = parse_strict(read_small(folder / ACCESS, 4096))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _read_page(folder: Path) -> bytes:
    try:
        return read_small(folder / PAGE, MOST_PAGE)
    except OSError as error:
        raise NoInputError(
            f"{folder / PAGE}: can't be read: {error.strerror or error}; make the review again"
        ) from error
