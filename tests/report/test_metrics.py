"""Metrics of a run, for node_exporter: what they say, when they stay, and that no read is torn."""

from __future__ import annotations

import json
import re
import shutil
import threading
from collections import Counter
from pathlib import Path

import pytest
from paths import SAMPLE_DATA

from batchdigits.errors import InterruptedRunError, NoInputError, OutputError
from batchdigits.predict import main
from batchdigits.report.metrics import METRICS, MetricsFile

SERIES = re.compile(r'batchdigits_predict_last_(\w+)\{run="([^"]*)"(?:,(.*))?\} (\S+)')


def read(path: Path) -> dict[str, float]:
    """The series of a file by name and the labels after `run`; all lines are checked."""
    values = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            _, kind, name, text = line.split(" ", 3)
            known = METRICS[name.removeprefix("batchdigits_predict_last_")]
            assert text == {"HELP": known, "TYPE": "gauge"}[kind]
        else:
            series = SERIES.fullmatch(line)
            assert series is not None, line
            assert series[2] == path.stem
            values[f"{series[1]} {series[3] or ''}".rstrip()] = float(series[4])
    return values


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_run_is_told_in_its_counts(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(SAMPLE_DATA / "bad.csv", "bad.csv")
    shutil.copy(SAMPLE_DATA / "digits.csv", "digits.csv")
    arguments = ["bad.csv", "digits.csv", "gone.csv", "--metrics", "nightly.prom"]
    assert main(arguments) == 66
    summary = json.loads(capsys.readouterr().out)
    values = read(Path("nightly.prom"))
    now = values.pop("run_timestamp_seconds")
    assert 0 < values.pop("duration_seconds") < 60
    assert now == pytest.approx(Path("nightly.prom").stat().st_mtime, abs=60)
    assert values == {
        "exit_code": 66,
        'inputs status="scored"': 2,
        'inputs status="unchanged"': 0,
        'inputs status="kept"': 0,
        'inputs status="refused"': 1,
        'rows result="predicted"': summary["rows_predicted"],
        'rows result="rejected"': summary["rows_rejected"],
        "rows_to_review": summary["rows_to_review"],
        "drift": summary["drift"],
        'bundle_info name="digits",version="3"': 1,
    }


def test_the_last_success_outlives_failures(here: Path) -> None:
    shutil.copy(SAMPLE_DATA / "bad.csv", "bad.csv")
    metrics = Path("m.prom")
    assert main(["bad.csv", "--metrics", "m.prom", "--ok", "rejects"]) == 0
    success = read(metrics)["success_timestamp_seconds"]
    codes = []
    for flags in (
        ["bad.csv", "--max-rejects", "x"],
        ["none/*"],
        ["bad.csv", "--bundle", "gone.bundle"],
        ["bad.csv"],
    ):
        codes.append(main([*flags, "--metrics", "m.prom"]))
        values = read(metrics)
        assert values["exit_code"] == codes[-1]
        assert values["success_timestamp_seconds"] == success < values["run_timestamp_seconds"]
        assert ('inputs status="scored"' in values) == (flags == ["bad.csv"])
    assert codes == [2, 66, 78, 3]
    assert main(["bad.csv", "--metrics", "m.prom", "--max-rejects", "100%"]) == 0
    assert read(metrics)["success_timestamp_seconds"] > success


@pytest.mark.parametrize(
    ("name", "content", "code", "message"),
    [
        ("m.txt", None, 2, "--metrics 'm.txt': expected a file name that ends in .prom"),
        ("gone/m.prom", None, 73, "there is no folder gone"),
        ("m.prom", "# HELP other_metric Of somebody else.\n", 73, "is not a file of --metrics"),
        ("m.prom", "", 66, "no such file"),
    ],
)
def test_a_file_of_others_is_not_replaced(
    here: Path,
    capsys: pytest.CaptureFixture[str],
    *,
    name: str,
    content: str | None,
    code: int,
    message: str,
) -> None:
    if content is not None:
        Path(name).write_text(content)
    assert main(["gone.csv", "--metrics", name]) == code
    assert message in capsys.readouterr().err
    if code == 73 and content:
        assert Path(name).read_text() == content


def test_a_dry_run_has_no_metrics(here: Path) -> None:
    assert main(["gone.csv", "--check", "--metrics", "m.prom"]) == 2
    assert not Path("m.prom").exists()


def test_a_page_that_can_not_be_written_is_the_failure_that_is_told(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The code is that of the process, whatever came before."""
    shutil.copy(SAMPLE_DATA / "bad.csv", "bad.csv")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "page.html")

    monkeypatch.setattr("batchdigits.report.receipts.write_page", full)
    assert main(["bad.csv", "--report", "page.html", "--metrics", "m.prom"]) == 74
    assert read(Path("m.prom"))["exit_code"] == 74


def test_a_page_without_a_folder_is_told_before_any_work(here: Path) -> None:
    """The failure of a night must not look like the success of the one before."""
    shutil.copy(SAMPLE_DATA / "bad.csv", "bad.csv")
    flags = ["bad.csv", "--metrics", "m.prom", "--ok", "rejects"]
    assert main(flags) == 0
    assert main([*flags, "--report", "gone/page.html"]) == 73
    assert read(Path("m.prom"))["exit_code"] == 73


def test_an_interrupted_run_is_told(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path / "m.prom")
    with pytest.raises(InterruptedRunError), file.of_run():
        raise InterruptedRunError(15)
    assert read(tmp_path / "m.prom")["exit_code"] == 143


def test_the_error_of_a_run_is_not_hidden_by_metrics_that_can_not_be_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "gone").mkdir()
    file = MetricsFile.checked(str(tmp_path / "gone" / "m.prom"))
    (tmp_path / "gone").rmdir()
    with pytest.raises(NoInputError, match="no input"), file.of_run():
        raise NoInputError("no input")
    assert "can't be written: No such file or directory" in caplog.text
    with pytest.raises(OutputError, match="can't be written: No such"), file.of_run():
        pass


def test_odd_names_are_escaped(tmp_path: Path) -> None:
    path = tmp_path / 'a"b\\c\nd.prom'
    MetricsFile(path).write(0)
    assert r'{run="a\"b\\c\nd"}' in path.read_text()


def test_of_10_000_reads_while_it_is_rewritten_none_is_torn(tmp_path: Path) -> None:
    path = tmp_path / "m.prom"
    file = MetricsFile(path)
    file.write(0)
    lines = len(path.read_text().splitlines())
    stop = threading.Event()

    def rewrite() -> None:
        while not stop.is_set():
            file.write(0)

    writer = threading.Thread(target=rewrite)
    writer.start()
    try:
        contents = Counter(path.read_bytes() for _ in range(10_000))
        while len(contents) <= 20:  # a busy disk rewrites it seldom
            contents[path.read_bytes()] += 1
    finally:
        stop.set()
        writer.join()
    assert {(text.count(b"\n"), text[-1:]) for text in contents} == {(lines, b"\n")}
    assert [entry.name for entry in tmp_path.iterdir()] == ["m.prom"]
