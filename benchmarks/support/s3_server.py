"""SeaweedFS, a server of S3, in processes of our own on loopback."""

from __future__ import annotations

import http.client
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

BUCKET = "rows"
KEYS = {"AWS_ACCESS_KEY_ID": "tester", "AWS_SECRET_ACCESS_KEY": "secret-of-the-tester"}
_IDENTITY = (
    '{"identities": [{"name": "t", "credentials": [{"accessKey": "tester", "secretKey": '
    '"secret-of-the-tester"}], "actions": ["Admin", "Read", "Write", "List"]}]}'
)


def free_port() -> int:
    """Return a port that nothing listens on now."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Return different ports that nothing listens on now; found one by one, two may be the same."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


@contextmanager
def start_seaweedfs(folder: Path, weed: str, volume_mb: int = 64) -> Iterator[tuple[int, int]]:
    """Run SeaweedFS with an empty bucket on loopback; yield its process id and its port of S3.

    Volumes take as many megabytes; an object may span several.
    """
    config, data = folder / "s3.json", folder / "data"
    config.write_text(_IDENTITY)
    data.mkdir()
    names = ("master", "volume", "filer", "s3")
    free = free_ports(2 * len(names))
    ports = dict(zip(names, free[: len(names)], strict=True))
    grpc = dict(zip((f"{name}.port.grpc" for name in names), free[len(names) :], strict=True))
    command = [
        *(weed, "server", f"-dir={data}", "-filer", "-s3"),
        *("-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-s3.config={config}"),
        *(f"-{name}.port={port}" for name, port in ports.items()),
        *(f"-{name}={port}" for name, port in grpc.items()),
        *("-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false"),
        f"-master.volumeSizeLimitMB={volume_mb}",
    ]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        wait_for_bucket(ports["s3"], server)
        yield server.pid, ports["s3"]
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def wait_for_bucket(port: int, server: subprocess.Popen[bytes]) -> None:
    """Wait until the server at a port has the bucket. Raises RuntimeError if it does not start."""
    deadline = time.monotonic() + 60
    while True:
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("the server of S3 did not start")
        with suppress(Exception):
            store_of(port).put("ready", b"1")
            return
        with suppress(OSError):  # SeaweedFS makes a bucket for its first object, moto does not
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("PUT", f"/{BUCKET}")
            connection.close()
        time.sleep(0.2)


def store_of(port: int, bucket: str = BUCKET) -> Any:
    """A client of the server, past the proxy."""
    from obstore.store import S3Store

    return S3Store(
        bucket,
        endpoint=f"http://127.0.0.1:{port}",
        access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
        secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
        region="us-east-1",
        client_options={"allow_http": True},
        retry_config={"max_retries": 2},
    )
