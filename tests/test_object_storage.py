"""predict on objects: real servers of S3, and a proxy that cuts, refuses and kills."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from object_server import (
    BUCKET,
    Answer,
    Proxy,
    Request,
    kill,
    moto,
    predict,
    proxy_to,
    seaweedfs,
    settings_of,
    start_predict,
    store_of,
)
from paths import SAMPLE_DATA

from batchdigits.files.digest import digest_bytes
from batchdigits.files.objects.path import ObjectPath
from batchdigits.files.objects.stores import open_store

pytestmark = pytest.mark.cloud

SAMPLE = SAMPLE_DATA / "digits.parquet"
CSV = SAMPLE_DATA / "digits.csv"
BUNDLE = Path(__file__).parents[1] / "batchdigits" / "data" / "digits-3.bundle"

KILLS = int(os.environ.get("CLOUD_KILLS", "10"))
TWINS = int(os.environ.get("CLOUD_TWINS", "5"))
ENDS = int(os.environ.get("CLOUD_ENDS", "20"))


@pytest.fixture(scope="module", params=["seaweedfs", "moto"])
def any_server(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("server")
    with seaweedfs(folder) if request.param == "seaweedfs" else moto() as port:
        yield port


@pytest.fixture(scope="module")
def server(tmp_path_factory: Any) -> Iterator[int]:
    with seaweedfs(tmp_path_factory.mktemp("server")) as port:
        yield port


@pytest.fixture
def proxy(server: int) -> Iterator[Proxy]:
    with proxy_to(server) as proxy:
        yield proxy


class Bucket:
    """The objects below a prefix of its own, past any proxy."""

    def __init__(self, port: int, name: str) -> None:
        self.store = store_of(port)
        self.prefix = name.replace("[", "-").replace("]", "")
        self.url = f"s3://{BUCKET}/{self.prefix}"

    def put(self, name: str, data: bytes) -> str:
        self.store.put(f"{self.prefix}/{name}", data)
        return f"{self.url}/{name}"

    def get(self, name: str) -> bytes:
        return bytes(self.store.get(f"{self.prefix}/{name}").bytes())

    def names(self) -> list[str]:
        listed = self.store.list(f"{self.prefix}/").collect()
        return sorted(entry["path"].removeprefix(f"{self.prefix}/") for entry in listed)

    def check(self, receipt: str) -> dict[str, Any]:
        """The receipt, each of whose objects has its digest and size."""
        record: dict[str, Any] = json.loads(self.get(receipt))
        folder = receipt.rpartition("/")[0]
        for output in record["outputs"].values():
            if output is not None:
                data = self.get(f"{folder}/{output['path']}".lstrip("/"))
                assert digest_bytes(data) == output["sha256"]
                assert len(data) == output["bytes"]
        return record


@pytest.fixture
def bucket(server: int, request: pytest.FixtureRequest) -> Bucket:
    return Bucket(server, request.node.name)


def status_of(done: subprocess.CompletedProcess[str]) -> str:
    (only,) = json.loads(done.stdout)["inputs"]
    status: str = only["status"]
    return status


@pytest.mark.parametrize("sample", [SAMPLE, CSV], ids=["parquet", "csv"])
def test_objects_give_what_files_give(
    any_server: int, sample: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    bucket = Bucket(any_server, request.node.name)
    rows = bucket.put(f"in/day=1/{sample.name}", sample.read_bytes())
    bundle = bucket.put("digits-3.bundle", BUNDLE.read_bytes())
    local = tmp_path / "in" / "day=1" / sample.name
    local.parent.mkdir(parents=True)
    local.write_bytes(sample.read_bytes())
    flags = ("--bundle", bundle, "--scratch", tmp_path)
    done = predict(tmp_path / "in", "--output", "out/", port=any_server, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = predict(
        f"{bucket.url}/in/", "--output", f"{bucket.url}/out/", *flags, port=any_server, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    record = bucket.check("out/day=1/digits.receipt.json")
    name = record["outputs"]["predictions"]["path"]
    assert bucket.get(f"out/day=1/{name}") == (tmp_path / "out" / "day=1" / name).read_bytes()
    assert record["input"]["path"] == rows
    assert record["input"]["partitions"] == {"day": "1"}
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("batchdigits-")]
    for trust in ((), ("--trust-etag",)):
        again = predict(
            *(f"{bucket.url}/in/", "--output", f"{bucket.url}/out/", *flags, *trust),
            port=any_server,
            cwd=tmp_path,
        )
        assert (again.returncode, status_of(again)) == (0, "unchanged"), again.stderr


def test_etags_are_trusted_only_if_asked(bucket: Bucket, proxy: Proxy, tmp_path: Path) -> None:
    rows, out = bucket.put("a.parquet", SAMPLE.read_bytes()), f"{bucket.url}/o.parquet"
    assert predict(rows, "--output", out, port=proxy.port, cwd=tmp_path).returncode == 0
    proxy.seen.clear()
    done = predict(rows, "--output", out, "--trust-etag", port=proxy.port, cwd=tmp_path)
    assert status_of(done) == "unchanged"
    read = {r.path.rpartition("/")[2] for r in proxy.seen if r.method == "GET"}
    assert "o.parquet" not in read, "the output was read"
    bucket.put("a.parquet", SAMPLE.read_bytes() + b"\0")
    done = predict(rows, "--output", out, "--trust-etag", port=proxy.port, cwd=tmp_path)
    assert done.returncode in (65, 73)


def listings(proxy: Proxy) -> list[str]:
    return [request.path for request in proxy.seen if "list-type" in request.path]


def test_a_run_asks_once_for_the_folder_of_all_its_outputs(
    bucket: Bucket, proxy: Proxy, tmp_path: Path
) -> None:
    """Not once for each input file, with all outputs in the answer."""
    rows = b"".join(CSV.read_bytes().splitlines(keepends=True)[:9])
    for number in range(5):
        bucket.put(f"in/{number}.csv", rows)
    run = (f"{bucket.url}/in/", "--output", f"{bucket.url}/out/", "--max-drift", "1")
    for _ in range(2):
        proxy.seen.clear()
        done = predict(*run, port=proxy.port, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert len(listings(proxy)) == 2  # of the inputs, and of the outputs


def test_a_prefix_is_a_folder_by_its_first_page(
    bucket: Bucket, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda number: bucket.put(f"in/{number}", b""), range(1001)))
    bucket.put("inner", b"")
    for name, value in settings_of(proxy.port).items():
        monkeypatch.setenv(name, value)
    open_store.cache_clear()
    for name, is_folder in (("in", True), ("inner", False), ("i", False)):
        proxy.seen.clear()
        assert ObjectPath(f"{bucket.url}/{name}").is_dir() == is_folder
        assert len(listings(proxy)) == 1
    open_store.cache_clear()


def test_other_options_need_overwrite_and_leave_no_old_rejects(
    bucket: Bucket, server: int, tmp_path: Path
) -> None:
    rows = bucket.put("a.csv", (SAMPLE_DATA / "bad.csv").read_bytes())
    run = (rows, "--output", f"{bucket.url}/out/", "--max-rejects", "100%")
    assert predict(*run, port=server, cwd=tmp_path).returncode == 0
    assert "out/a.rejects.csv" in bucket.names()
    done = predict(*run, "--probabilities", port=server, cwd=tmp_path)
    assert done.returncode == 73
    assert "--overwrite" in done.stderr
    bucket.put("a.csv", CSV.read_bytes())
    done = predict(*run, "--format", "parquet", "--overwrite", port=server, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert bucket.names() == ["a.csv", "out/a.predictions.parquet", "out/a.receipt.json"]
    bucket.check("out/a.receipt.json")


def test_503_three_times_is_no_failure(bucket: Bucket, proxy: Proxy, tmp_path: Path) -> None:
    left = {"GET": 3, "PUT": 3, "HEAD": 3}

    def rule(request: Request) -> Answer | None:
        if left.get(request.method, 0):
            left[request.method] -= 1
            return Answer(503)
        return None

    rows = bucket.put("a.csv", CSV.read_bytes())
    proxy.rule = rule
    done = predict(rows, "--output", f"{bucket.url}/out/", port=proxy.port, cwd=tmp_path)
    assert (done.returncode, status_of(done)) == (0, "scored"), done.stderr
    assert not any(left.values())
    bucket.check("out/a.receipt.json")


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_503_for_ever_is_74_within_the_stated_time(
    method: str, bucket: Bucket, proxy: Proxy, tmp_path: Path
) -> None:
    rows = bucket.put("a.csv", CSV.read_bytes())
    proxy.rule = lambda request: Answer(503) if request.method == method else None
    started = time.monotonic()
    done = predict(
        rows,
        *("--output", f"{bucket.url}/out/"),
        port=proxy.port,
        cwd=tmp_path,
        BATCHDIGITS_RETRY_SECONDS="2",
    )
    assert done.returncode == 74, done.stderr
    assert time.monotonic() - started < 20
    assert "failed for 2 seconds (503 SlowDown)" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("status", "code", "fix"),
    [
        (403, "AccessDenied", "allow s3:GetObject"),
        (400, "ExpiredToken", "renew it"),
    ],
)
def test_a_refusal_is_one_line_with_the_fix(
    status: int, code: str, fix: str, bucket: Bucket, *, proxy: Proxy, tmp_path: Path
) -> None:
    proxy.rule = lambda request: (
        Answer(status, code) if request.method == "GET" and "a.csv" in request.path else None
    )
    rows = bucket.put("a.csv", CSV.read_bytes())
    done = predict(rows, "--output", "o/", port=proxy.port, cwd=tmp_path)
    assert done.returncode == 66, done.stderr
    assert fix in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_refusal_to_write_is_73(bucket: Bucket, proxy: Proxy, tmp_path: Path) -> None:
    proxy.rule = lambda request: Answer(403, "AccessDenied") if request.method == "PUT" else None
    done = predict(CSV, "--output", f"{bucket.url}/o/", port=proxy.port, cwd=tmp_path)
    assert done.returncode == 73, done.stderr
    assert "allow s3:PutObject" in done.stderr
    done = predict(CSV, "--output", "s3://no-such-bucket/o/", port=proxy.port, cwd=tmp_path)
    assert done.returncode == 73, done.stderr
    assert "there is no bucket 'no-such-bucket'" in done.stderr
    done = predict("s3://no-such-bucket/in/", "--output", "o/", port=proxy.port, cwd=tmp_path)
    assert done.returncode == 66, done.stderr
    assert "there is no bucket 'no-such-bucket'" in done.stderr


@pytest.mark.parametrize("sample", [SAMPLE, CSV], ids=["parquet", "csv"])
def test_a_range_that_is_cut_is_fetched_again(
    sample: Path, bucket: Bucket, proxy: Proxy, tmp_path: Path
) -> None:
    rows = bucket.put(f"a{sample.suffix}", sample.read_bytes())
    cuts = iter([5, 1000, 30_000])

    def rule(request: Request) -> Answer | None:
        if (request.method == "GET" and "Range" in request.headers) or "range" in request.headers:
            cut = next(cuts, None)
            return None if cut is None else Answer(cut=cut)
        return None

    proxy.rule = rule
    done = predict(rows, "--output", "o/", port=proxy.port, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert next(cuts, None) is None
    receipt = json.loads((tmp_path / "o" / "a.receipt.json").read_text())
    assert receipt["input"]["sha256"] == digest_bytes(sample.read_bytes())


@pytest.mark.parametrize("sample", [SAMPLE, CSV], ids=["parquet", "csv"])
def test_an_object_that_is_replaced_meanwhile_is_75(
    sample: Path, bucket: Bucket, proxy: Proxy, tmp_path: Path
) -> None:
    name = f"a{sample.suffix}"
    rows = bucket.put(name, sample.read_bytes())

    def rule(request: Request) -> Answer | None:
        if "if-match" in {header.lower() for header in request.headers}:
            bucket.put(name, sample.read_bytes() + bytes([request.number % 250]))
        return None

    proxy.rule = rule
    done = predict(rows, "--output", "o/", port=proxy.port, cwd=tmp_path)
    assert done.returncode == 75, done.stderr
    assert "was replaced while it was read" in done.stderr
    assert not list((tmp_path / "o").glob("*"))


def stopped_at(
    number: int, answer: Mapping[str, Callable[[], None]], request: Request
) -> Answer | None:
    return Answer(**answer) if request.number == number else None


def test_a_kill_at_any_request_never_leaves_a_receipt_whose_objects_differ(
    bucket: Bucket, proxy: Proxy, tmp_path: Path
) -> None:
    """Each number of a request in turn, before it is passed on and after it was answered."""
    rejects = SAMPLE_DATA / "bad.csv"
    kills = number = 0
    while kills < KILLS:
        number += 1
        for moment in ("before", "after"):
            url = f"{bucket.url}/{kills}"
            run = (rejects, "--output", f"{url}/", "--max-rejects", "100%")
            proxy.seen.clear()
            proxy.rule = lambda _: None
            process = start_predict(*run, port=proxy.port, cwd=tmp_path)

            proxy.rule = partial(stopped_at, number, {moment: kill(process)})
            process.communicate(timeout=60)
            if process.returncode == 0:  # no request has this number: begin again with the first
                number = 0
            kills += 1
            names = [n for n in bucket.names() if n.startswith(f"{kills - 1}/")]
            receipt = f"{kills - 1}/bad.receipt.json"
            if receipt in names and "kind" not in json.loads(bucket.get(receipt)):
                bucket.check(receipt)
            proxy.rule = lambda _: None
            done = predict(*run, port=proxy.port, cwd=tmp_path)
            assert done.returncode == 0, done.stderr
            bucket.check(receipt)


def test_of_two_runs_at_once_one_publishes(bucket: Bucket, server: int, tmp_path: Path) -> None:
    for number in range(TWINS):
        run = (CSV, "--output", f"{bucket.url}/{number}/")
        options = ((), ("--probabilities",)) if number % 2 else ((), ())
        twins = [start_predict(*run, *each, port=server, cwd=tmp_path) for each in options]
        codes = []
        for twin in twins:
            _, error = twin.communicate(timeout=60)
            codes.append(twin.returncode)
            assert twin.returncode in (0, 75, 73), error
        assert 0 in codes
        # 73: it began after the other had ended, with other options.
        assert 73 not in codes or options[1]
        record = bucket.check(f"{number}/digits.receipt.json")
        if codes.count(0) == 1:
            winner = options[codes.index(0)]
            assert record["options"]["probabilities"] == bool(winner)


def test_a_term_leaves_no_upload_open_and_ends_at_once(
    bucket: Bucket, proxy: Proxy, tmp_path: Path
) -> None:
    puts: list[float] = []
    process: Any = None

    def rule(request: Request) -> Answer | None:
        if request.method == "PUT" and "predictions" in request.path:
            return Answer(before=stop)
        return None

    def stop() -> None:
        puts.append(time.monotonic())
        process.send_signal(signal.SIGTERM)
        time.sleep(1)

    proxy.rule = rule
    process = start_predict(CSV, "--output", f"{bucket.url}/o/", port=proxy.port, cwd=tmp_path)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 143, error
    assert time.monotonic() - puts[0] < 10
    assert not [r for r in proxy.seen if "uploads" in r.path or "uploadId" in r.path]
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("batchdigits-")]
    proxy.rule = lambda _: None
    done = predict(CSV, "--output", f"{bucket.url}/o/", port=proxy.port, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_process_ends_within_a_second_of_its_summary(
    bucket: Bucket, server: int, tmp_path: Path
) -> None:
    rows = bucket.put("a.parquet", SAMPLE.read_bytes())
    for number in range(ENDS):
        process = start_predict(
            rows, "--output", f"{bucket.url}/{number}/", port=server, cwd=tmp_path
        )
        assert process.stdout is not None
        assert process.stdout.readline().startswith("{")
        summary = time.monotonic()
        assert process.wait(5) == 0
        assert time.monotonic() - summary < 1
        process.communicate()


def test_a_store_in_a_bucket_is_published_to_and_aliases_move(
    bucket: Bucket, server: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from object_server import settings_of

    from batchdigits.errors import TryAgainError
    from batchdigits.store.aliases import Move
    from batchdigits.store.store import Store

    for name, value in settings_of(server).items():
        monkeypatch.setenv(name, value)
    store = Store(f"{bucket.url}/store")
    data = BUNDLE.read_bytes()
    assert store.names() == []
    published = [store.publish("digits", lambda _: data) for _ in range(3)]
    assert [path.name for path in published] == [f"digits-{n}.bundle" for n in (1, 2, 3)]
    assert published[2].read_bytes() == data
    seen = store.history("digits", "production")
    store.set_alias("digits", "production", 3, Move(seen=seen))
    with pytest.raises(TryAgainError, match="moved by someone else"):
        store.set_alias("digits", "production", 1, Move(seen=seen))
    assert store.aliases("digits") == {"production": 3}
    done = predict(
        *(CSV, "--output", "o/", "--store", f"{bucket.url}/store"),
        *("--bundle", "digits@production"),
        port=server,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr


def test_no_secret_is_in_a_log_a_summary_or_a_receipt(
    bucket: Bucket, proxy: Proxy, tmp_path: Path
) -> None:
    rows = bucket.put("a.csv", CSV.read_bytes())
    done = predict(rows, "--output", f"{bucket.url}/o/", "--debug", port=proxy.port, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    proxy.rule = lambda _: Answer(403, "InvalidAccessKeyId")
    refused = predict(rows, "--output", "x/", "--debug", port=proxy.port, cwd=tmp_path)
    assert refused.returncode == 66
    written = [done.stdout, done.stderr, bucket.get("o/a.receipt.json").decode()]
    for text in (*written, refused.stdout, refused.stderr):
        assert "secret-of-the-tester" not in text
