"""predict on the emulators of Google's and Azure's storage: fake-gcs-server and Azurite.

fake-gcs-server ignores If-Match when an object is read, and takes conditions only in uploads of
another interface than obstore's: a translator of the tests makes one of the other.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from object_server import BUCKET, predict, start_predict
from other_stores import Settings, azurite, fake_gcs
from paths import SAMPLE_DATA

from batchdigits.files.digest import digest_bytes
from batchdigits.files.objects.stores import open_store

pytestmark = pytest.mark.cloud

SAMPLE = SAMPLE_DATA / "digits.parquet"
BUNDLE = Path(__file__).parents[1] / "batchdigits" / "data" / "digits-3.bundle"


@dataclass(frozen=True)
class Service:
    """A container of one of the two, and the environment of who uses it."""

    scheme: str
    settings: Settings
    store: Any = field(repr=False)  # Azure's panics with an emulator

    @property
    def url(self) -> str:
        return f"{self.scheme}://{BUCKET}"

    def names(self) -> list[str]:
        return sorted(each["path"] for each in self.store.list().collect())

    def get(self, name: str) -> bytes:
        return bytes(self.store.get(name).bytes())


@pytest.fixture(scope="module", params=["gs", "az"])
def service(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("server")
    emulator = fake_gcs if request.param == "gs" else azurite
    with emulator(folder) as settings, pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        yield Service(request.param, settings, open_store(request.param, BUCKET, 60))


@pytest.mark.parametrize("sample", [SAMPLE, SAMPLE_DATA / "digits.csv"], ids=["parquet", "csv"])
def test_objects_give_what_files_give(service: Service, sample: Path, tmp_path: Path) -> None:
    name = f"in/{sample.suffix[1:]}/day=1/{sample.name}"
    service.store.put(name, sample.read_bytes())
    service.store.put("digits-3.bundle", BUNDLE.read_bytes())
    local = tmp_path / name
    local.parent.mkdir(parents=True)
    local.write_bytes(sample.read_bytes())
    done = predict(local.parents[1], "--output", "local/", port=0, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    out = f"out/{sample.suffix[1:]}"
    run = (f"{service.url}/in/{sample.suffix[1:]}/", "--output", f"{service.url}/{out}/")
    run = (*run, "--bundle", f"{service.url}/digits-3.bundle")
    for flags, status in (((), "scored"), ((), "unchanged"), (("--trust-etag",), "unchanged")):
        done = predict(*run, *flags, port=0, cwd=tmp_path, **service.settings)
        assert done.returncode == 0, done.stderr
        (only,) = json.loads(done.stdout)["inputs"]
        assert only["status"] == status
    output = json.loads(service.get(f"{out}/day=1/digits.receipt.json"))["outputs"]["predictions"]
    assert output["etag"]
    written = tmp_path / "local" / "day=1" / output["path"]
    assert service.get(f"{out}/day=1/{output['path']}") == written.read_bytes()
    done = predict(*run, "--probabilities", port=0, cwd=tmp_path, **service.settings)
    assert done.returncode == 73, done.stderr
    done = predict(*run, "--probabilities", "--overwrite", port=0, cwd=tmp_path, **service.settings)
    assert done.returncode == 0, done.stderr


def test_of_two_runs_at_once_one_publishes(service: Service, tmp_path: Path) -> None:
    options = ((), ("--probabilities",))
    twins = [
        start_predict(
            *(SAMPLE, "--output", f"{service.url}/twins/", *each),
            port=0,
            cwd=tmp_path,
            **service.settings,
        )
        for each in options
    ]
    codes = []
    for twin in twins:
        _, error = twin.communicate(timeout=60)
        codes.append(twin.returncode)
        assert twin.returncode in (0, 73, 75), error
    assert codes.count(0) == 1
    record = json.loads(service.get("twins/digits.receipt.json"))
    assert record["options"]["probabilities"] == bool(codes.index(0))
    output = record["outputs"]["predictions"]
    assert digest_bytes(service.get(f"twins/{output['path']}")) == output["sha256"]


def test_what_is_not_there_is_one_line(service: Service, tmp_path: Path) -> None:
    absent = f"{service.scheme}://no-such-name"
    runs: list[tuple[tuple[str | Path, ...], int]] = [
        ((f"{service.url}/absent.csv", "--output", "o/"), 66),
        ((SAMPLE, "--output", "o/", "--bundle", f"{service.url}/absent.bundle"), 78),
    ]
    if service.scheme == "az":  # fake-gcs-server answers 500 for a bucket that is not there
        runs += [((f"{absent}/in/", "--output", "o/"), 66)]
        runs += [((SAMPLE, "--output", f"{absent}/o/"), 73)]
    for run, code in runs:
        done = predict(*run, port=0, cwd=tmp_path, **service.settings)
        assert done.returncode == code, done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert "absent." in done.stderr or "'no-such-name'" in done.stderr
