"""The predict job as it is used, on real files; in a process of its own where that matters."""

import contextlib
import csv
import gzip
import io
import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest
from paths import ROOT, SAMPLE_DATA

from batchdigits.archive.bundle_file import read_bundle
from batchdigits.predict import main
from batchdigits.store.choice import packaged_bundle

USAGE_ERRORS = {
    "--engine": "x",
    "--workers": "0",
    "--max-rejects": "few",
    "--scale": "-1",
    "--batch-size": "0",
    "--keep": "a,a",
    "--pixels": "p{0..62}",
}
NOT_FOR_HELP = {"numpy", "pyarrow", "onnxruntime", "logging", "fractions", "tempfile"}
HEAVY = ("tensorflow", "keras", "sklearn", "pandas", "joblib", "onnx", "scipy")


@dataclass(frozen=True)
class Finished:
    """A predict command that has ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def summary(self) -> dict[str, Any]:
        (line,) = self.stdout.splitlines()
        result: dict[str, Any] = json.loads(line)
        return result

    @property
    def error(self) -> str:
        """The one line on standard error."""
        (line,) = self.stderr.splitlines()
        return line


def predict(*arguments: str | Path, cwd: Path = ROOT) -> Finished:
    """Run the command's `main` in this process: the same code for a tenth of the time."""
    stdout, stderr = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
    ):
        code = main([str(argument) for argument in arguments])
    return Finished(code, stdout.getvalue(), stderr.getvalue())


def predict_process(*arguments: str | Path, stdin: bytes) -> Finished:
    """Run the command in a process of its own, with that standard input."""
    process = subprocess.run(
        [sys.executable, "-m", "batchdigits.predict", *map(str, arguments)],
        cwd=ROOT,
        input=stdin,
        capture_output=True,
        check=False,
    )
    return Finished(process.returncode, process.stdout.decode(), process.stderr.decode())


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    return Path(shutil.copy(SAMPLE_DATA / "digits.parquet", tmp_path / "digits.parquet"))


def small_table(rows: int = 20) -> pa.Table:
    return pq.read_table(SAMPLE_DATA / "digits.parquet").slice(0, rows)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_sample_scores_the_same_from_parquet_csv_and_headerless_csv(tmp_path: Path) -> None:
    """Three files of the same digits get the same predictions, and the accuracy in the manifest."""
    tables = []
    for name, flags in (
        ("digits.parquet", []),
        ("digits.csv", []),
        ("digits-uci.csv", ["--no-header"]),
    ):
        out = tmp_path / f"{name}.parquet"
        ran = predict(SAMPLE_DATA / name, *flags, "--output", out, "--probabilities")
        assert (ran.code, ran.stderr) == (0, "")
        assert ran.summary["rows_predicted"] == 1797
        tables.append(pq.read_table(out))
    scored = [table.select(["prediction", "confidence", "proba_7"]) for table in tables]
    assert scored[0].equals(scored[1])
    assert scored[0].equals(scored[2])
    right = np.mean(np.array(tables[0]["prediction"]) == np.array(tables[0]["label"]))
    seen = read_bundle(packaged_bundle()).manifest.metrics["seen_in_training"]["accuracy"]
    assert right == pytest.approx(seen, abs=1e-12)


def test_rows_keep_their_order_and_their_other_columns(digits: Path) -> None:
    assert predict(digits).code == 0
    before = pq.read_table(digits).drop_columns([f"pixel_{i}" for i in range(64)])
    after = pq.read_table(digits.with_name("digits.predictions.parquet"))
    columns = before.column_names
    assert after.column_names[: len(columns) + 1] == [*columns, "prediction"]
    assert after.select(columns).equals(before)
    assert after.schema.field("prediction").type == pa.int64()
    assert after.schema.field("confidence").type == pa.float32()


def test_bad_rows_are_rejected_with_their_reasons_and_the_others_go_on(tmp_path: Path) -> None:
    path = Path(shutil.copy(SAMPLE_DATA / "bad.csv", tmp_path))
    ran = predict(path)
    assert ran.code == 3
    assert names(tmp_path) == [
        "bad.csv",
        "bad.predictions.csv",
        "bad.receipt.json",
        "bad.rejects.csv",
    ]
    with (tmp_path / "bad.rejects.csv").open(encoding="utf-8", newline="") as file:
        rejects = list(csv.DictReader(file))
    assert [(int(r["row"]), int(r["line"]), r["reason"]) for r in rejects] == [
        (2, 3, "too-few-cells"),
        (4, 5, "too-many-cells"),
        (6, 7, "stray-quote"),
        (8, 9, "blank-line"),
        (10, 11, "repeated-header"),
        (12, 13, "missing"),
        (14, 15, "missing"),
        (16, 17, "not-finite"),
        (18, 19, "not-finite"),
        (20, 21, "not-a-number"),
        (22, 23, "not-a-number"),
        (24, 25, "out-of-range"),
        (26, 27, "not-a-number"),
        (28, 29, "out-of-range"),
        (30, 31, "out-of-range"),
        (32, 33, "bad-encoding"),
    ]
    assert (rejects[10]["column"], rejects[10]["value"]) == ("pixel_14", "0x10")
    lines = path.read_bytes().split(b"\n")
    assert rejects[14]["raw"] == lines[30].decode()
    predicted = pc.read_csv(
        tmp_path / "bad.predictions.csv", parse_options=pc.ParseOptions(newlines_in_values=True)
    )
    assert predicted.num_rows == 20
    assert predicted["field"][19].as_py() == "amount, in\nwords"
    summary = ran.summary
    assert (summary["rows_in"], summary["rows_predicted"], summary["rows_rejected"]) == (36, 20, 16)
    assert sum(summary["reasons"].values()) == 16


def test_good_rows_get_the_same_predictions_in_a_bad_file_and_in_a_good_one(tmp_path: Path) -> None:
    """bad.csv has the even rows of the sample unchanged, and bad rows between them."""
    for name in ("bad.csv", "digits.csv"):
        predict(SAMPLE_DATA / name, "--output", tmp_path / name)
    options = pc.ParseOptions(newlines_in_values=True)
    bad = pc.read_csv(tmp_path / "bad.csv", parse_options=options).slice(0, 16)
    good = pc.read_csv(tmp_path / "digits.csv").take(list(range(0, 32, 2)))
    for column in ("position", "label", "prediction", "confidence"):
        assert bad[column].equals(good[column])


def test_the_predict_path_imports_nothing_heavy(digits: Path) -> None:
    """A nightly run must start fast and stay small: it imports no TensorFlow, Keras or pandas."""
    code = (
        "import sys; from batchdigits.predict import main; code = main(sys.argv[1:]); "
        f"print([name for name in {HEAVY!r} if sys.modules.get(name)], code)"
    )
    other = digits.with_name("other.csv")
    shutil.copy(SAMPLE_DATA / "digits.csv", other)
    arguments = [str(digits), str(other), "--output", str(digits.parent / "out/")]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[] 0"


def imported(*arguments: str) -> set[str]:
    """The modules that a run of predict has imported."""
    code = (
        "import sys; from batchdigits.predict import main; main(sys.argv[1:]); "
        "print(*sorted(name for name, module in sys.modules.items() if module), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
    )
    return set(done.stderr.splitlines()[-1].split())


def test_parquet_needs_neither_csv_nor_the_functions_of_arrow(digits: Path) -> None:
    """They take as long to import as the sample takes to score."""
    modules = imported(str(digits))
    assert {"pyarrow.parquet", "onnxruntime"} <= modules
    rows = "batchdigits.rows"
    unused = {"pyarrow.compute", "numpy.ma", "pandas", f"{rows}.csv.source", f"{rows}.csv.sink"}
    assert not modules & unused


@pytest.mark.parametrize("flag", USAGE_ERRORS)
def test_a_usage_error_waits_for_no_framework(digits: Path, flag: str) -> None:
    modules = imported(str(digits), flag, USAGE_ERRORS[flag])
    assert not modules & {"numpy", "pyarrow", "onnxruntime"}


@pytest.mark.parametrize("batch_size", [1, 7, 64, 10_000])
@pytest.mark.parametrize("workers", [1, 3])
def test_values_do_not_depend_on_batch_size_or_workers(
    tmp_path: Path, batch_size: int, workers: int
) -> None:
    path = tmp_path / "in.parquet"
    pq.write_table(pq.read_table(SAMPLE_DATA / "digits.parquet").slice(0, 300), path)
    expected = tmp_path / "expected.parquet"
    assert predict(path, "--output", expected, "--probabilities").code == 0
    out = tmp_path / "out.parquet"
    flags = ["--batch-size", str(batch_size), "--workers", str(workers), "--probabilities"]
    assert predict(path, "--output", out, *flags).code == 0
    assert pq.read_table(out).equals(pq.read_table(expected))


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".csv.zst"])
def test_compressed_csv_goes_in_and_comes_out(tmp_path: Path, suffix: str) -> None:
    text = (SAMPLE_DATA / "digits.csv").read_bytes()
    path = tmp_path / f"forms{suffix}"
    with pa.output_stream(path, compression="detect") as stream:
        stream.write(text)
    assert predict(path).code == 0
    out = tmp_path / f"forms.predictions{suffix}"
    with pa.input_stream(out, compression="detect") as stream:
        read = stream.read()
    predict(SAMPLE_DATA / "digits.csv", "--output", tmp_path / "plain.csv")
    assert read == (tmp_path / "plain.csv").read_bytes()


def test_text_columns_of_a_csv_stay_as_they_are(tmp_path: Path) -> None:
    """Ids keep their leading zeros, and empty cells stay empty."""
    pixels = [str(i % 17) for i in range(64)]
    header = ["id", *(f"pixel_{i}" for i in range(64)), "note"]
    rows = [["007", *pixels, ""], ["1e3", *pixels, " spaced "], ["", *pixels, "a;b"]]
    path = tmp_path / "in.csv"
    path.write_text("\n".join(",".join(row) for row in [header, *rows]) + "\n")
    assert predict(path).code == 0
    lines = (tmp_path / "in.predictions.csv").read_text().splitlines()
    cells = [line.split(",") for line in lines]
    assert cells[0][:4] == ["id", "note", "prediction", "confidence"]
    assert [row[:2] for row in cells[1:]] == [["007", ""], ["1e3", " spaced "], ["", "a;b"]]


def test_standard_input_is_read_as_csv(tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    ran = predict_process("-", "--output", out, stdin=(SAMPLE_DATA / "digits.csv").read_bytes())
    assert (ran.code, ran.summary["rows_predicted"]) == (0, 1797)
    assert pq.read_table(out).num_rows == 1797
    assert predict_process("-", stdin=b"").code == 2


def test_a_folder_scores_each_file_and_skips_our_own_outputs(tmp_path: Path) -> None:
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    pq.write_table(small_table(), incoming / "a.parquet")
    pc.write_csv(small_table(), incoming / "b.csv")
    for skipped in (".hidden.csv", "_part.csv", "a.predictions.parquet", "notes.md"):
        (incoming / skipped).write_text("not an input")
    ran = predict(incoming, "--output", tmp_path / "scored")
    assert ran.code == 0
    assert [Path(entry["input"]).name for entry in ran.summary["inputs"]] == ["a.parquet", "b.csv"]
    assert names(tmp_path / "scored") == [
        *("a.predictions.parquet", "a.receipt.json", "b.predictions.csv", "b.receipt.json")
    ]


def test_one_refused_input_does_not_stop_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("nothing,here\n1,2\n")
    pq.write_table(small_table(), tmp_path / "b.parquet")
    ran = predict("a.csv", "b.parquet", "gone.csv", cwd=tmp_path)
    assert [entry["status"] for entry in ran.summary["inputs"]] == ["refused", "scored", "refused"]
    assert ran.code == 66
    assert len(ran.stderr.splitlines()) == 2
    assert "no pixel columns among 'nothing', 'here'" in ran.stderr


def test_a_finished_input_is_skipped(digits: Path) -> None:
    assert predict(digits).summary["inputs"][0]["status"] == "scored"
    before = {path: path.stat().st_mtime_ns for path in digits.parent.iterdir()}
    again = predict(digits)
    assert (again.code, again.summary["inputs"][0]["status"]) == (0, "unchanged")
    assert again.summary["rows_predicted"] == 1797
    assert {path: path.stat().st_mtime_ns for path in digits.parent.iterdir()} == before


def test_an_output_of_other_options_is_replaced_only_with_overwrite(digits: Path) -> None:
    predict(digits)
    out = digits.with_name("digits.predictions.parquet")
    before = out.read_bytes()
    refused = predict(digits, "--probabilities")
    assert refused.code == 73
    assert "--overwrite" in refused.error
    assert out.read_bytes() == before
    assert predict(digits, "--probabilities", "--overwrite").code == 0
    assert "proba_0" in pq.read_schema(out).names


def test_an_input_whose_output_was_changed_is_not_finished(digits: Path) -> None:
    predict(digits)
    out = digits.with_name("digits.predictions.parquet")
    out.write_bytes(out.read_bytes()[:-1])
    assert predict(digits).code == 73
    assert predict(digits, "--overwrite").code == 0


def test_rejects_of_an_earlier_run_do_not_outlive_it(tmp_path: Path) -> None:
    path = Path(shutil.copy(SAMPLE_DATA / "bad.csv", tmp_path / "in.csv"))
    predict(path)
    assert (tmp_path / "in.rejects.csv").exists()
    shutil.copy(SAMPLE_DATA / "digits.csv", path)
    assert predict(path, "--overwrite").code == 0
    assert not (tmp_path / "in.rejects.csv").exists()


@pytest.mark.parametrize(("limit", "code"), [("15", 3), ("16", 0), ("40%", 3), ("45%", 0)])
def test_rejects_within_the_limit_end_with_0(tmp_path: Path, limit: str, code: int) -> None:
    out = tmp_path / "out.csv"
    assert predict(SAMPLE_DATA / "bad.csv", "--output", out, "--max-rejects", limit).code == code
    assert out.exists()


def test_the_receipt_says_what_went_in_and_out(digits: Path) -> None:
    predict(digits, "--keep", "form_id")
    receipt = json.loads(digits.with_name("digits.receipt.json").read_text())
    bundle = read_bundle(packaged_bundle())
    sums = subprocess.run(
        ["sha256sum", digits.name, "digits.predictions.parquet"],
        cwd=digits.parent,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert receipt["input"]["sha256"] == f"sha256:{sums[0]}"
    assert receipt["outputs"]["predictions"]["sha256"] == f"sha256:{sums[2]}"
    assert receipt["bundle"]["digest"] == bundle.digest
    assert receipt["options"]["keep"] == ["form_id"]
    assert (receipt["rows_in"], receipt["rows_predicted"], receipt["rows_rejected"]) == (
        1797,
        1797,
        0,
    )


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["gone.parquet"], 66, "gone.parquet"),
        (["digits.parquet", "--bundle", "nobody"], 78, "no bundle named 'nobody'"),
        (["digits.parquet", "--bundle", "gone.bundle"], 78, "gone.bundle"),
        (["digits.parquet", "--store", "."], 2, "--bundle"),
        (["digits.parquet", "--engine", "torch"], 2, "use onnx or keras"),
        (["digits.parquet", "--pixels", "q{0..63}"], 65, "'q0'"),
        (["digits.parquet", "--keep", "nope"], 65, "besides the pixels are: form_id"),
        (["digits.parquet", "--output", "digits.parquet"], 2, "is an input"),
        (["digits.parquet", "--output", "digits.xlsx"], 2, ".parquet"),
        (["digits.parquet", "--output", "/dev/full"], 2, "/dev/full"),
        (["digits.parquet", "--workers", "many"], 2, "--workers: 'many'"),
        (["digits.parquet", "--max-rejects", "some"], 2, "--max-rejects 'some': expected a count"),
        (["digits.parquet", "--scale", "0"], 2, "--scale"),
        (["digits.parquet", "--delimiter", "ab"], 2, "--delimiter"),
        (["digits.parquet", "--delimiter", "5"], 2, "--delimiter"),
        (["digits.parquet", "--batch-size", "0"], 2, "--batch-size"),
        (["digits.parquet", "--frobnicate"], 2, "--frobnicate"),
        (
            ["digits.parquet", "--expect-digest", "sha256:" + "0" * 64],
            78,
            "not the bundle that you trust",
        ),
        ([], 2, "INPUT"),
    ],
)
def test_unusable_arguments_are_refused_in_one_line(
    digits: Path, flags: list[str], code: int, message: str
) -> None:
    ran = predict(*flags, cwd=digits.parent)
    assert ran.code == code
    assert message in ran.error
    assert names(digits.parent) == ["digits.parquet"]


def test_debug_adds_the_traceback(digits: Path) -> None:
    ran = predict(digits, "--bundle", "gone.bundle", "--debug")
    assert "Traceback" in ran.stderr
    assert "error: " in ran.stderr.splitlines()[-1]


def test_messages_can_be_json(digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = predict("gone.parquet", "--log-format", "json")
    assert json.loads(ran.error)["level"] == "error"
    monkeypatch.setenv("BATCHDIGITS_LOG_FORMAT", "yaml")
    ran = predict(digits)
    assert (ran.code, "expected text or json" in ran.error) == (2, True)


def test_it_runs_in_an_empty_environment(digits: Path) -> None:
    """Cron gives no PATH to speak of, no HOME, no locale."""
    command = ["env", "-i", sys.executable, "-m", "batchdigits.predict", str(digits)]
    done = subprocess.run(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_closed_standard_output_is_not_an_error(digits: Path) -> None:
    command = f'exec "{sys.executable}" -m batchdigits.predict "{digits}" >&-'
    done = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    """A run that waits for input gets the signal, cleans up and ends with 128 + signal."""
    out = tmp_path / "out" / "scored.parquet"
    process = subprocess.Popen(
        [sys.executable, "-m", "batchdigits.predict", "-", "--output", str(out)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write((SAMPLE_DATA / "digits.csv").read_bytes())
    process.stdin.flush()
    deadline = time.monotonic() + 60
    while not (out.parent.exists() and names(out.parent)) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert stderr.decode().splitlines()[-1].startswith("batchdigits.predict: error: interrupted")
    assert names(out.parent) == []


def test_help_has_examples_and_answers_without_arrow() -> None:
    code = (
        "import sys\nfrom batchdigits.predict import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as end:\n    assert end.code == 0\n"
        f"print(sorted({NOT_FOR_HELP} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "examples:" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_list_columns_score_like_64_columns(tmp_path: Path) -> None:
    table = small_table()
    pixels = np.column_stack([table[f"pixel_{i}"] for i in range(64)]).astype(np.uint8)
    lists = pa.FixedSizeListArray.from_arrays(pa.array(pixels.reshape(-1)), 64)
    pq.write_table(pa.table({"form_id": table["form_id"], "pixels": lists}), tmp_path / "l.parquet")
    pq.write_table(table, tmp_path / "c.parquet")
    assert predict("l.parquet", "c.parquet", cwd=tmp_path).code == 0
    read = [pq.read_table(tmp_path / f"{n}.predictions.parquet") for n in "lc"]
    assert (
        read[0]
        .select(["prediction", "confidence"])
        .equals(read[1].select(["prediction", "confidence"]))
    )


def test_scaled_pixels_get_the_same_predictions(tmp_path: Path) -> None:
    """Pixels stored as 0..255 score like the same pixels in 0..16."""
    table = small_table(50)
    plain = tmp_path / "plain.parquet"
    pq.write_table(table, plain)
    for i in range(64):
        name = f"pixel_{i}"
        values = np.array(table[name]).astype(np.float64) * 255 / 16
        table = table.set_column(table.column_names.index(name), name, pa.array(values))
    pq.write_table(table, tmp_path / "scaled.parquet")
    assert predict(plain).code == 0
    assert predict(tmp_path / "scaled.parquet", "--scale", "255").code == 0
    read = [pq.read_table(tmp_path / f"{n}.predictions.parquet") for n in ("plain", "scaled")]
    assert read[0]["prediction"].equals(read[1]["prediction"])
    assert np.allclose(read[0]["confidence"], read[1]["confidence"], atol=1e-5)


def test_a_file_of_which_no_row_can_be_scored_is_refused(tmp_path: Path) -> None:
    table = small_table(5)
    for i in range(64):
        values = pa.array([99] * 5, pa.int64())
        table = table.set_column(table.column_names.index(f"pixel_{i}"), f"pixel_{i}", values)
    path = tmp_path / "dark.parquet"
    pq.write_table(table, path)
    ran = predict(path)
    assert ran.code == 65
    assert "none of the 5 rows can be scored, 5 are out-of-range" in ran.error
    assert "the first in row 1, pixel_0 is '99'" in ran.error
    kept = "dark.rejects.parquet"
    assert f"nothing was published but {tmp_path / kept}" in ran.error
    assert names(tmp_path) == ["dark.parquet", kept]
    assert pq.read_table(tmp_path / kept)["reason"].to_pylist() == ["out-of-range"] * 5
    pq.write_table(table.slice(0, 1), path)
    assert "its only row can't be scored, 1 is out-of-range" in predict(path).error
    assert pq.read_table(tmp_path / kept).num_rows == 1


def test_rejects_that_were_kept_give_way_to_the_run_with_the_right_flags(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(",".join(f"pixel_{i}" for i in range(64)) + "\n" + ",".join(["x"] * 64) + "\n")
    ran = predict(path)
    assert ran.code == 65
    assert "the first in line 2, pixel_0 is 'x'" in ran.error
    assert names(tmp_path) == ["a.csv", "a.rejects.csv"]
    assert predict(path, "--check").code == 0
    rows = (SAMPLE_DATA / "digits.csv").read_text().splitlines(keepends=True)
    path.write_text("".join(rows[:50]))
    assert predict(path).code == 0
    assert names(tmp_path) == ["a.csv", "a.predictions.csv", "a.receipt.json"]


def test_a_file_of_another_origin_is_never_taken_for_rejects_that_were_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("".join((SAMPLE_DATA / "digits.csv").read_text().splitlines(keepends=True)[:9]))
    for text in ("mine\n1\n", "", "input,row,reason\n"):
        (tmp_path / "a.rejects.csv").write_text(text)
        ran = predict(path)
        assert (ran.code, (tmp_path / "a.rejects.csv").read_text()) == (73, text)


def test_a_corrupt_gzip_commits_nothing(tmp_path: Path) -> None:
    path = tmp_path / "forms.csv.gz"
    path.write_bytes(gzip.compress((SAMPLE_DATA / "digits.csv").read_bytes())[:-20])
    ran = predict(path)
    assert (ran.code, names(tmp_path)) == (65, ["forms.csv.gz"])
    assert "forms.csv.gz" in ran.error


@pytest.mark.slow
def test_two_million_rows_stay_under_400_megabytes(tmp_path: Path) -> None:
    path = tmp_path / "many.parquet"
    make = [sys.executable, ROOT / "benchmarks" / "data.py", "2000000", path]
    subprocess.run(make, check=True)
    code = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, "
        "stdout=subprocess.DEVNULL); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    run = [sys.executable, "-m", "batchdigits.predict", str(path)]
    done = subprocess.run(
        [sys.executable, "-c", code, *run], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert pq.read_metadata(tmp_path / "many.predictions.parquet").num_rows == 2_000_000
    assert int(done.stdout) < 400 * 1024


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (r"ZeroDivisionError('one\ntwo')", "internal error: ZeroDivisionError: one two"),
        ("MemoryError", "out of memory, nothing was published"),
    ],
)
def test_an_unforeseen_fault_in_one_input_does_not_stop_the_others(
    tmp_path: Path, fault: str, message: str
) -> None:
    """The scorer is broken for one file only: it ends with 70, and the next file is scored."""
    for name in ("a.parquet", "b.parquet"):
        pq.write_table(small_table(), tmp_path / name)
    code = (
        "import sys\nfrom batchdigits.scoring import run\nwhole = run.score_input\n"
        "def broken(input_file, place, work):\n"
        f"    if input_file.name == 'a.parquet':\n        raise {fault}\n"
        "    return whole(input_file, place, work)\n"
        "run.score_input = broken\n"
        "from batchdigits.predict import main\nsys.exit(main(['a.parquet', 'b.parquet']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 70
    (line,) = done.stderr.splitlines()
    assert f"a.parquet: {message}" in line
    statuses = [entry["status"] for entry in json.loads(done.stdout)["inputs"]]
    assert statuses == ["refused", "scored"]


def test_debug_shows_the_traceback_of_a_refused_input(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("nothing,here\n1,2\n")
    assert "Traceback" in predict("a.csv", "--debug", cwd=tmp_path).stderr
    assert "Traceback" not in predict("a.csv", cwd=tmp_path).stderr


def test_with_standard_error_closed_nothing_is_said_on_standard_output(digits: Path) -> None:
    command = f'exec "{sys.executable}" -m batchdigits.predict gone.csv --frobnicate 2>&-'
    done = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (2, b"")


def test_a_full_standard_output_is_an_error_and_the_outputs_stay(digits: Path) -> None:
    command = f'exec "{sys.executable}" -m batchdigits.predict "{digits}" > /dev/full'
    done = subprocess.run(
        ["sh", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 74
    assert "standard output can't be written: No space left" in done.stderr
    assert digits.with_name("digits.receipt.json").exists()


def test_a_bundle_under_another_versions_name_never_scores(digits: Path) -> None:
    folder = digits.parent / "bundles" / "digits"
    folder.mkdir(parents=True)
    version = read_bundle(packaged_bundle()).manifest.version
    shutil.copy(packaged_bundle(), folder / f"digits-{version + 1}.bundle")
    ran = predict(digits, "--bundle", f"digits@{version + 1}", cwd=digits.parent)
    assert ran.code == 78
    assert f"holds digits@{version}" in ran.error


def killed_while_renaming(*arguments: str | Path) -> None:
    """A run that is killed after its outputs got their names, and before its receipt."""
    program = (
        "import os, sys\n"
        "from batchdigits.files import commit\n"
        "from batchdigits.predict import main\n"
        "really = commit.create_under_lock\n"
        "def create(path, data):\n"
        "    os._exit(9) if path.name.endswith('receipt.json') else really(path, data)\n"
        "commit.create_under_lock = create\n"
        "main(sys.argv[1:])\n"
    )
    command = [sys.executable, "-c", program, *map(str, arguments)]
    assert subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode == 9


def test_a_killed_run_never_takes_the_receipt_of_one_that_came_later(digits: Path) -> None:
    """The runs share a receipt: the later completes the killed one, and needs --overwrite."""
    out = digits.with_name("out")
    first, later = out / "day.csv", out / "day.parquet"
    killed_while_renaming(digits, "--output", first)
    ran = predict(digits, "--output", later)
    assert (ran.code, names(out)) == (73, ["day.csv", "day.receipt.json"])
    assert predict(digits, "--output", later, "--overwrite").code == 0
    assert names(out) == ["day.parquet", "day.receipt.json"]
    assert predict(digits, "--output", first).code == 73
    assert predict(digits, "--output", later).summary["inputs"][0]["status"] == "unchanged"


def test_overwriting_with_another_format_leaves_no_older_rejects(tmp_path: Path) -> None:
    """Outputs that the replaced receipt names are removed, unless they were changed since."""
    Path(shutil.copy(SAMPLE_DATA / "bad.csv", tmp_path / "forms.csv"))
    pq.write_table(small_table(), tmp_path / "forms.parquet")
    assert predict(tmp_path / "forms.csv").code == 3
    with (tmp_path / "forms.predictions.csv").open("a") as changed:
        changed.write("\n")
    ran = predict(tmp_path / "forms.parquet", "--overwrite")
    assert (ran.code, ran.summary["inputs"][0]["rejects"]) == (0, None)
    assert names(tmp_path) == [
        "forms.csv",
        "forms.parquet",
        "forms.predictions.csv",
        "forms.predictions.parquet",
        "forms.receipt.json",
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("bundle", None),
        ("input", []),
        ("rows_in", None),
        ("reasons", {"empty": "many"}),
        ("outputs", {"predictions": {"path": "", "sha256": "", "bytes": 0}, "rejects": None}),
    ],
)
def test_outputs_with_a_damaged_receipt_are_not_replaced(
    digits: Path, field: str, value: object
) -> None:
    assert predict(digits).code == 0
    path = digits.with_name("digits.receipt.json")
    receipt = json.loads(path.read_text())
    path.write_text(json.dumps({**receipt, field: value}))
    ran = predict(digits)
    assert ran.code == 73
    assert "no receipt says what it came from" in ran.error
    assert predict(digits, "--overwrite").code == 0


def test_a_second_signal_during_the_cleanup_leaves_nothing_behind(digits: Path) -> None:
    """A run fails, and the signal comes while its temporaries are removed."""
    program = (
        "import os, signal, sys\n"
        "from batchdigits.files import commit\n"
        "from batchdigits.predict import main\n"
        "from batchdigits.files.places import local\n"
        "really, calls = commit.recover, []\n"
        "def recover(targets):\n"
        "    calls.append(targets)\n"
        "    if len(calls) == 2: os.kill(os.getpid(), signal.SIGTERM)\n"
        "    really(targets)\n"
        "commit.recover = local.recover = recover\n"
        "def refuse(*_): raise MemoryError\n"
        "local.publish = refuse\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    command = [sys.executable, "-c", program, str(digits)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 128 + signal.SIGTERM
    assert "no unfinished file was left" in ran.stderr
    assert [path.name for path in digits.parent.iterdir()] == [digits.name]


def test_the_message_about_existing_outputs_says_what_they_came_from(
    digits: Path, tmp_path: Path
) -> None:
    """Another bundle, other options, other content and a lost output have different messages."""
    predict(digits)
    out = digits.with_name("digits.predictions.parquet")
    options = predict(digits, "--probabilities").error
    assert "written with other options (probabilities: False, now True)" in options
    first = packaged_bundle()
    other = tmp_path / "other.bundle"
    assert predict(digits, "--bundle", other, cwd=tmp_path).code == 78
    shutil.copy(first, other)
    assert predict(digits, "--bundle", other).code == 0  # the same bytes are the same bundle
    out.rename(out.with_name("taken.parquet"))
    assert "moved or changed since" in predict(digits).error
    pq.write_table(small_table(), digits)
    assert "came from other content" in predict(digits).error
    digits.with_name("digits.receipt.json").write_text("{}")
    assert "no receipt says what it came from" in predict(digits).error


def test_a_bad_bundle_flag_is_refused_when_the_bundle_is_needed(tmp_path: Path) -> None:
    """A run whose every input is missing opens no bundle: it ends with the inputs' code."""
    flags = ["--expect-digest", "zz"]
    assert predict(tmp_path / "missing.csv", *flags).code == 66
    shutil.copy(SAMPLE_DATA / "digits.csv", tmp_path / "digits.csv")
    assert predict(tmp_path / "digits.csv", *flags).code == 2
