"""A real server of S3, and a proxy before it that cuts, delays, refuses and kills."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from paths import ROOT

sys.path.append(str(ROOT / "benchmarks"))

from support.s3_server import BUCKET, KEYS, free_port, start_seaweedfs, store_of, wait_for_bucket

__all__ = ["BUCKET", "free_port", "store_of"]


@contextmanager
def seaweedfs(folder: Path) -> Iterator[int]:
    """Run SeaweedFS with an empty bucket on loopback, and yield the port of its S3."""
    with start_seaweedfs(folder, os.environ["SEAWEEDFS"]) as (_, port):
        yield port


@contextmanager
def moto() -> Iterator[int]:
    """Run moto's server of S3 with an empty bucket on loopback, and yield its port."""
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for_bucket(port, server)
        yield port
    finally:
        server.kill()
        server.wait()


@dataclass
class Request:
    """A request that passed through the proxy: its number from 1, and what it asked for."""

    number: int
    method: str
    path: str
    headers: Mapping[str, str]


@dataclass
class Answer:
    """What the proxy does with a request instead of passing it on and back.

    status  answer with it, and with `code` in the body of an error of S3
    cut     close the connection after this number of bytes of the answer's body
    before  called before the request is passed on, `after` before its answer is passed back
    """

    status: int = 0
    code: str = "SlowDown"
    cut: int | None = None
    before: Callable[[], None] = lambda: None
    after: Callable[[], None] = lambda: None


@dataclass
class Proxy:
    """A proxy to one port; `rule` may answer a request itself."""

    port: int
    seen: list[Request] = field(default_factory=list)
    rule: Callable[[Request], Answer | None] = lambda _: None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: Proxy
    target: int
    lock: threading.Lock

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        with self.lock:
            number, headers = len(self.proxy.seen) + 1, dict(self.headers.items())
            request = Request(number, self.command, self.path, headers)
            self.proxy.seen.append(request)
            answer = self.proxy.rule(request) or Answer()
        answer.before()
        if answer.status:
            text = f"<Error><Code>{answer.code}</Code></Error>".encode()
            self._send(answer.status, {}, text)
            return
        onward = http.client.HTTPConnection("127.0.0.1", self.target, timeout=60)
        onward.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            onward.putheader(name, value)
        onward.endheaders(body)
        response = onward.getresponse()
        data = response.read()
        answer.after()
        self._send(response.status, dict(response.getheaders()), data, answer.cut)
        onward.close()

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _pass  # noqa: N815  # http.server's names

    def _send(
        self, status: int, headers: Mapping[str, str], data: bytes, cut: int | None = None
    ) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                self.send_header(name, value)
        given = {name.lower(): value for name, value in headers.items()}.get("content-length")
        length = given if self.command == "HEAD" and given is not None else len(data)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data if cut is None else data[:cut])
        if cut is not None:
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        pass

    def handle(self) -> None:
        with suppress(ConnectionError):
            super().handle()


@contextmanager
def proxy_to(target: int) -> Iterator[Proxy]:
    """Run a proxy to a server on loopback."""
    facts: dict[str, Any] = {"proxy": Proxy(0), "target": target, "lock": threading.Lock()}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), facts))
    server.daemon_threads = True
    facts["proxy"].port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield facts["proxy"]
    finally:
        server.shutdown()
        server.server_close()


def settings_of(port: int, **others: str) -> dict[str, str]:
    """The environment of a run that uses the server or proxy at a port."""
    ours = {n: v for n, v in os.environ.items() if not n.startswith(("BATCHDIGITS_", "AWS_"))}
    return {
        **ours,
        **KEYS,
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "BATCHDIGITS_RETRY_SECONDS": "20",
        **others,
    }


def start_predict(
    *arguments: str | Path, port: int, cwd: Path, **settings: str
) -> subprocess.Popen[str]:
    """Start predict on objects behind a port."""
    command = [sys.executable, "-m", "batchdigits.predict", *map(str, arguments)]
    return subprocess.Popen(
        command,
        cwd=cwd,
        env=settings_of(port, TMPDIR=str(cwd), **settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def predict(
    *arguments: str | Path, port: int, cwd: Path, **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run predict on objects behind a port."""
    process = start_predict(*arguments, port=port, cwd=cwd, **settings)
    out, error = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, out, error)


def kill(process: subprocess.Popen[str]) -> Callable[[], None]:
    """Return a function that kills a process, and waits until it is dead."""

    def killed() -> None:
        process.send_signal(signal.SIGKILL)
        process.wait()

    return killed
