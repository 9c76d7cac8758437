"""Emulators of Azure's and Google's storage on loopback, each with an empty container."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

from object_server import BUCKET, free_port

ACCOUNT = "devstoreaccount1"
# The key that Azurite's documentation gives to everybody.
_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_BOUNDARY = "end-of-part"

Settings = dict[str, str]


@contextmanager
def azurite(folder: Path) -> Iterator[Settings]:
    """Run Azurite, and yield the environment of who uses it."""
    port = free_port()
    flags = "--silent --disableTelemetry --inMemoryPersistence --skipApiVersionCheck"
    command = [os.environ["AZURITE"], *flags.split(), "--blobPort", str(port)]
    with _running(command, folder):
        _wait(port, "PUT", f"/{ACCOUNT}/{BUCKET}?restype=container", _azure_headers)
        yield {
            "AZURE_STORAGE_USE_EMULATOR": "true",
            "AZURITE_BLOB_STORAGE_URL": f"http://127.0.0.1:{port}",
        }


def _azure_headers() -> Settings:
    date, version = formatdate(usegmt=True), "2021-08-06"
    text = f"PUT{12 * chr(10)}x-ms-date:{date}\nx-ms-version:{version}\n"
    text += f"/{ACCOUNT}/{ACCOUNT}/{BUCKET}\nrestype:container"
    digest = hmac.new(base64.b64decode(_KEY), text.encode(), hashlib.sha256).digest()
    signature = f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}"
    return {"x-ms-date": date, "x-ms-version": version, "Authorization": signature}


@contextmanager
def fake_gcs(folder: Path) -> Iterator[Settings]:
    """Run fake-gcs-server behind a translator, and yield the environment of who uses it.

    The emulator takes conditions only in uploads of Google's JSON interface, and obstore uses the
    XML one: the translator makes the one of the other.
    """
    port = free_port()
    facts = {"target": port}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Translator", (_Translator,), facts))
    server.daemon_threads = True
    front = f"127.0.0.1:{server.server_address[1]}"
    command = [
        *(os.environ["FAKE_GCS_SERVER"], "-backend", "memory", "-scheme", "http"),
        *("-host", "127.0.0.1", "-port", str(port), "-public-host", front),
    ]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with _running(command, folder):
            body = json.dumps({"name": BUCKET}).encode()
            _wait(port, "POST", "/storage/v1/b", lambda: {"Content-Type": "application/json"}, body)
            yield {"STORAGE_EMULATOR_HOST": f"http://{front}"}
    finally:
        server.shutdown()
        server.server_close()


class _Translator(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    target: int

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        method, path, headers = self.command, self.path, dict(self.headers.items())
        if method == "PUT":
            method, path, headers, body = self._upload(body)
        onward = http.client.HTTPConnection("127.0.0.1", self.target, timeout=60)
        onward.request(method, path, body, headers)
        response = onward.getresponse()
        data, fields = response.read(), {n.lower(): v for n, v in response.getheaders()}
        onward.close()
        if self.command == "PUT" and response.status == 200:
            made = json.loads(data)
            fields = {"etag": f'"{made["etag"]}"', "x-goog-generation": made["generation"]}
            data = b""
        length = fields.pop("content-length", "") if self.command == "HEAD" else str(len(data))
        self.send_response_only(response.status)
        for name, value in fields.items():
            if name not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", length or "0")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _pass  # noqa: N815  # http.server's names

    def _upload(self, data: bytes) -> tuple[str, str, dict[str, str], bytes]:
        _, bucket, key = self.path.split("/", 2)
        path = f"/upload/storage/v1/b/{bucket}/o?uploadType=multipart"
        generation = self.headers.get("x-goog-if-generation-match")
        if generation is not None:
            path += f"&ifGenerationMatch={generation}"
        parts = [
            ("application/json", json.dumps({"name": unquote(key)}).encode()),
            ("application/octet-stream", data),
        ]
        body = b"".join(
            f"--{_BOUNDARY}\r\nContent-Type: {kind}\r\n\r\n".encode() + part + b"\r\n"
            for kind, part in parts
        )
        headers = {
            "Content-Type": f"multipart/related; boundary={_BOUNDARY}",
            "Host": self.headers["Host"],
        }
        return "POST", path, headers, body + f"--{_BOUNDARY}--\r\n".encode()

    def log_message(self, *_: object) -> None:
        pass

    def handle(self) -> None:
        with suppress(ConnectionError):
            super().handle()


@contextmanager
def _running(command: Sequence[str], folder: Path) -> Iterator[None]:
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        yield
    finally:
        server.kill()
        server.wait()


def _wait(
    port: int, method: str, path: str, headers: Callable[[], Settings], body: bytes = b""
) -> None:
    """Make the container, as soon as the emulator answers."""
    deadline = time.monotonic() + 60
    while True:
        with suppress(OSError):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request(method, path, body, headers())
            status = connection.getresponse().status
            connection.close()
            assert status in (200, 201), f"the container was not made: {status}"
            return
        assert time.monotonic() < deadline, "the emulator did not start"
        time.sleep(0.2)
