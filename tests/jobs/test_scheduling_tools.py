"""The jobs as the tools of Kubernetes, systemd and Prometheus see them; run by .ci/scheduling."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from paths import FORMAT_1_BUNDLE, ROOT, SAMPLE_DATA

from batchdigits.predict import main
from batchdigits.report.metrics import METRICS, MetricsFile
from batchdigits.store.store import Store

pytestmark = pytest.mark.scheduling

KUBERNETES = ROOT / "jobs" / "kubernetes"
SYSTEMD = ROOT / "jobs" / "systemd"
PATIENCE = 20  # seconds


def run(*command: str | Path, **keywords: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(map(str, command)), capture_output=True, text=True, check=False, **keywords
    )


# Kubernetes


@pytest.mark.parametrize("version", ["1.33", "1.35", "1.37"])
@pytest.mark.parametrize("name", ["cronjob", "indexed-job"])
def test_manifests_are_what_the_schemas_of_kubernetes_allow(name: str, version: str) -> None:
    """Strictly: a field with a wrong letter is refused, which kubectl would drop."""
    import kubernetes_validate

    manifest = yaml.safe_load((KUBERNETES / f"{name}.yaml").read_text(encoding="utf-8"))
    kubernetes_validate.validate(manifest, version, strict=True)
    job = manifest["spec"].get("jobTemplate", manifest)["spec"]
    job["podFailurePolicies"] = job.pop("podFailurePolicy")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(manifest, version, strict=True)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder /opt/batchdigits of the image, made by the Containerfile's own RUN command."""
    text = (KUBERNETES / "Containerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    (command,) = re.findall(r"^RUN (.*)$", text, re.MULTILINE)
    folder = tmp_path_factory.mktemp("image") / "batchdigits"
    command = command.replace("/opt/batchdigits", str(folder)).replace("/src", str(ROOT))
    command = command.replace("python -m venv", f"{sys.executable} -m venv", 1)
    made = run("sh", "-euc", command)
    assert made.returncode == 0, made.stderr
    return folder


def test_the_pod_scores_with_nothing_to_write_but_its_outputs(image: Path, tmp_path: Path) -> None:
    """The CronJob's own command in the image, the root file system read-only, /tmp too."""
    spec = yaml.safe_load((KUBERNETES / "cronjob.yaml").read_text(encoding="utf-8"))
    (pod,) = spec["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    store = Store(tmp_path / "bundles")
    store.publish("digits", lambda _version: FORMAT_1_BUNDLE.read_bytes())
    store.set_alias("digits", "production", 1)
    (tmp_path / "incoming" / "day=1").mkdir(parents=True)
    (tmp_path / "scored").mkdir()
    shutil.copy(SAMPLE_DATA / "bad.csv", tmp_path / "incoming" / "day=1" / "a.csv")
    shutil.copy(SAMPLE_DATA / "digits.csv", tmp_path / "incoming" / "b.csv")
    sandbox = ["bwrap", "--unshare-all", "--die-with-parent", "--uid", "65532", "--gid", "65532"]
    sandbox += ["--clearenv", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
    sandbox += ["--tmpfs", "/srv"]
    for mount in pod["volumeMounts"]:
        if "subPath" in mount:
            kind = "--ro-bind" if mount.get("readOnly") else "--bind"
            sandbox += [kind, str(tmp_path / mount["subPath"]), mount["mountPath"]]
    sandbox += ["--remount-ro", "/srv"]
    for variable in [*pod["env"], {"name": "PYTHONDONTWRITEBYTECODE", "value": "1"}]:
        sandbox += ["--setenv", variable["name"], variable["value"]]
    done = run(*sandbox, image / "bin" / "batchdigits", *pod["args"])
    assert done.returncode == 0, done.stderr
    assert '"level": "warning"' in done.stderr  # the rejects of bad.csv, which --ok forgives
    scored = [path for path in (tmp_path / "scored").rglob("*") if path.suffix in (".csv", ".json")]
    assert sorted(str(path.relative_to(tmp_path / "scored")) for path in scored) == [
        "b.predictions.csv",
        "b.receipt.json",
        "day=1/a.predictions.csv",
        "day=1/a.receipt.json",
        "day=1/a.rejects.csv",
    ]
    elsewhere = run(*sandbox, "touch", "/srv/batchdigits/incoming/x", "/srv/x", tmp_path / "x")
    assert elsewhere.stderr.count("Read-only file system") == 3


# systemd


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units, with a Python that is there."""
    service = (SYSTEMD / "batchdigits.service").read_text(encoding="utf-8")
    service = service.replace("/opt/batchdigits/bin/python", "/bin/true")
    (tmp_path / "batchdigits.service").write_text(service, encoding="utf-8")
    shutil.copy(SYSTEMD / "batchdigits.timer", tmp_path)
    return tmp_path


def test_systemd_knows_every_setting_of_the_units(units: Path) -> None:
    names = [units / "batchdigits.service", units / "batchdigits.timer"]
    checked = run("systemd-analyze", "verify", *names)
    assert (checked.returncode, checked.stderr) == (0, "")
    service = names[0].read_text(encoding="utf-8").replace("RestartSec", "RestartSecs")
    names[0].write_text(service, encoding="utf-8")
    assert "Unknown key" in run("systemd-analyze", "verify", names[0]).stderr


def test_the_service_is_as_little_exposed_as_its_page_says(units: Path) -> None:
    """Newer versions of systemd count more: at most 2 of 10."""
    rated = run("systemd-analyze", "security", "--offline=true", units / "batchdigits.service")
    (level,) = re.findall(
        r"Overall exposure level for batchdigits.service: ([0-9.]+)", rated.stdout
    )
    assert float(level) <= 2


# Prometheus


@contextmanager
def node_exporter(folder: Path) -> Iterator[str]:
    """Run a node_exporter that collects from a folder; the address of its metrics."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    flags = ["--collector.disable-defaults", "--collector.textfile"]
    process = subprocess.Popen(
        [
            "prometheus-node-exporter",
            *flags,
            f"--collector.textfile.directory={folder}",
            f"--web.listen-address={address}",
        ],
        stderr=subprocess.DEVNULL,
    )
    try:
        yield f"http://{address}/metrics"
    finally:
        process.terminate()
        process.wait(PATIENCE)


def collected(url: str) -> str:
    give_up = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE) as answer:  # noqa: S310  # loopback
                text: str = answer.read().decode()
                return text
        except urllib.error.URLError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.05)


def test_promtool_has_nothing_to_say_about_the_metrics(tmp_path: Path) -> None:
    path = tmp_path / 'a "night" of\\mine.prom'
    arguments = [str(SAMPLE_DATA / "digits.csv"), "--output", str(tmp_path / "x.csv")]
    for flags, code in (([], 0), (["--max-rejects", "x"], 2)):
        assert main([*arguments, *flags, "--metrics", str(path)]) == code
        checked = run("promtool", "check", "metrics", input=path.read_text(encoding="utf-8"))
        assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
    broken = path.read_text(encoding="utf-8").replace("# HELP", "# HELL")
    assert run("promtool", "check", "metrics", input=broken).returncode != 0


def test_node_exporter_collects_the_files_of_several_jobs_while_they_are_rewritten(
    tmp_path: Path,
) -> None:
    for name in ("nightly", "shard-3"):
        arguments = [str(SAMPLE_DATA / "digits.csv"), "--output", str(tmp_path / f"{name}.csv")]
        assert main([*arguments, "--metrics", str(tmp_path / f"{name}.prom")]) == 0
    stop = threading.Event()

    def rewrite() -> None:
        file = MetricsFile(tmp_path / "shard-3.prom")
        while not stop.is_set():
            file.write(0)

    writer = threading.Thread(target=rewrite)
    with node_exporter(tmp_path) as url:
        text = collected(url)
        for name in METRICS:
            assert text.count(f"batchdigits_predict_last_{name}{{") >= 2, name
        assert 'batchdigits_predict_last_rows{result="predicted",run="nightly"} 1797' in text
        writer.start()
        try:
            texts = [collected(url) for _ in range(500)]
        finally:
            stop.set()
            writer.join()
    lines = {line for each in texts for line in each.splitlines()}
    assert {line for line in lines if line.startswith("node_textfile_scrape_error")} == {
        "node_textfile_scrape_error 0"
    }
    assert all('last_exit_code{run="shard-3"} 0' in each for each in texts)
    assert len(set(texts)) > 20, "the file was hardly rewritten"
