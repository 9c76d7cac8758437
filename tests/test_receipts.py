"""`receipts verify` checks files against their receipts, and reports every difference."""

import json
import os
import re
import shutil
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hostile_files import HOSTILE
from numpy.typing import NDArray
from paths import ROOT, SAMPLE_DATA

import batchdigits
from batchdigits.archive.bundle_file import MANIFEST, build_bundle, read_bundle
from batchdigits.archive.reference import read_reference
from batchdigits.archive.thresholds import Thresholds
from batchdigits.engines.contract import MostProbable, most_probable
from batchdigits.files.digest import digest_file
from batchdigits.files.inputs import expand_inputs
from batchdigits.files.places.local import LocalFolder
from batchdigits.files.targets import plan_targets
from batchdigits.monitoring.drift import DriftMeter
from batchdigits.monitoring.judge import Judge
from batchdigits.monitoring.pool import Pool
from batchdigits.receipts import main
from batchdigits.rows.contract import Pixels
from batchdigits.rows.options import Machine, ReadOptions
from batchdigits.scoring import replay
from batchdigits.scoring.one_input import ScoredInput, Work, score_input
from batchdigits.scoring.options import Limit, RunPolicy, ScoreOptions
from batchdigits.scoring.receipt import Key
from batchdigits.scoring.scorer import Scorer
from batchdigits.store.choice import packaged_bundle
from batchdigits.store.store import Store
from batchdigits.threads import Publisher

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `receipts verify` in the folder of the files; gives exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(["verify", *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def folder(tmp_path: Path, run: Run) -> Path:
    """A folder with bad.csv and the outputs of scoring it."""
    shutil.copy(SAMPLE_DATA / "bad.csv", tmp_path)
    batchdigits.score("bad.csv", max_rejects=16)
    return tmp_path


def edit(path: Path, **changes: Any) -> None:
    receipt = json.loads(path.read_text())
    path.write_text(json.dumps({**receipt, **changes}))


def replace_text(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8", errors="surrogateescape")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8", errors="surrogateescape")


def sign_anew(folder: Path, role: str) -> None:
    """Put the digest of a forged output into the receipt."""
    path = folder / "bad.receipt.json"
    outputs = json.loads(path.read_text())["outputs"]
    forged = folder / outputs[role]["path"]
    outputs[role] |= {"sha256": digest_file(forged), "bytes": forged.stat().st_size}
    edit(path, outputs=outputs)


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".csv.zst", ".parquet"])
@pytest.mark.parametrize("source", ["bad.csv", "digits.parquet"])
def test_a_fresh_run_matches_its_receipt(
    source: str, suffix: str, tmp_path: Path, run: Run
) -> None:
    """It does in every format, with rejects and quoted line breaks."""
    shutil.copy(SAMPLE_DATA / source, tmp_path)
    batchdigits.score(source, output=f"out{suffix}", probabilities=True, max_rejects=16)
    code, out, err = run("out.receipt.json")
    assert (code, err) == (0, "")
    assert out.startswith("ok out.receipt.json: ")
    assert "confidences within 0\n" in out


def test_flags_of_the_run_are_used_again(tmp_path: Path, run: Run) -> None:
    """The receipt has pixels, header, delimiter, scale and kept columns."""
    table = pq.read_table(SAMPLE_DATA / "digits.parquet").slice(0, 50)
    lines = [
        ";".join([*(str(table[f"pixel_{i}"][row].as_py() * 2) for i in range(64)), f"0{row}", "x"])
        for row in range(50)
    ]
    (tmp_path / "uci.csv").write_text("\n".join(lines) + "\n")
    flags: dict[str, Any] = {"header": False, "delimiter": ";", "scale": 32.0}
    batchdigits.score("uci.csv", keep=["column_65"], **flags)
    code, out, _ = run("uci.receipt.json")
    assert (code, "50 rows scored again" in out) == (0, True)


def test_the_sample_that_is_scored_again_is_always_the_same(folder: Path, run: Run) -> None:
    results = [json.loads(run("bad.receipt.json", "--sample", "7", "--json")[1]) for _ in range(2)]
    assert results[0] == results[1]
    assert 5 <= results[0]["rows_rescored"] <= 7
    assert results[0]["worst_difference"] <= 1e-6


def test_json_has_one_object_a_receipt(folder: Path, run: Run) -> None:
    batchdigits.score("bad.csv", output="other.parquet", max_rejects=16)
    code, out, _ = run("bad.receipt.json", "other.receipt.json", "gone.receipt.json", "--json")
    results = [json.loads(line) for line in out.splitlines()]
    assert code == 66
    assert [result["exit_code"] for result in results] == [0, 0, 66]
    assert (results[0]["rows_in"], results[0]["rows_rejected"]) == (36, 16)
    assert results[0]["problems"] == []
    assert "gone.receipt.json" in results[2]["problems"][0]


@pytest.mark.parametrize("name", ["bad.predictions.csv", "bad.rejects.csv", "bad.csv"])
def test_a_changed_or_missing_file_is_found(name: str, folder: Path, run: Run) -> None:
    with (folder / name).open("a") as file:
        file.write("\n")
    code, out, err = run("bad.receipt.json")
    assert (code, out) == (65, "not ok bad.receipt.json: differs\n")
    assert f"{name} was changed" in err
    (folder / name).unlink()
    code, out, err = run("bad.receipt.json")
    assert (code, out) == (66, "not ok bad.receipt.json: missing\n")
    assert name in err


def test_every_problem_is_reported(folder: Path, run: Run) -> None:
    (folder / "bad.rejects.csv").unlink()
    (folder / "bad.csv").write_text("another\n")
    code, out, err = run("bad.receipt.json")
    assert (code, out) == (66, "not ok bad.receipt.json: missing; differs\n")
    assert len(err.splitlines()) == 2


def test_an_input_that_was_moved_is_named_with_a_flag(folder: Path, run: Run) -> None:
    (folder / "bad.csv").rename(folder / "archived.csv")
    assert "--input" in run("bad.receipt.json")[2]
    code, out, _ = run("bad.receipt.json", "--input", "archived.csv")
    assert (code, "20 rows scored again" in out) == (0, True)


def test_standard_input_is_checked_only_if_a_copy_is_named(tmp_path: Path, run: Run) -> None:
    data = (SAMPLE_DATA / "digits.csv").read_bytes()
    command = [sys.executable, "-m", "batchdigits.predict", "-", "--output", tmp_path / "o.csv"]
    subprocess.run(command, cwd=ROOT, input=data, capture_output=True, check=True)
    code, out, _ = run("o.receipt.json")
    assert (code, "standard input, not checked" in out) == (0, True)
    code, out, _ = run("o.receipt.json", "--input", str(SAMPLE_DATA / "digits.csv"))
    assert (code, "scored again" in out) == (0, True)
    assert run("o.receipt.json", "--input", str(SAMPLE_DATA / "bad.csv"))[0] == 65


def test_a_forged_prediction_is_found_by_scoring_again(folder: Path, run: Run) -> None:
    """The digest is right, but all 20 predictions are in the sample."""
    path = folder / "bad.predictions.csv"
    lines = path.read_text().splitlines(keepends=True)
    place, cells = lines[0].split(",").index("prediction"), lines[1].split(",")
    cells[place] = str((int(cells[place]) + 1) % 10)
    path.write_text("".join([lines[0], ",".join(cells), *lines[2:]]))
    sign_anew(folder, "predictions")
    code, out, err = run("bad.receipt.json")
    assert (code, out) == (65, "not ok bad.receipt.json: differs\n")
    assert "1 of 20 rows scored again differ: prediction 1 is" in err


def test_a_forged_confidence_is_found_by_scoring_again(folder: Path, run: Run) -> None:
    path = folder / "bad.predictions.csv"
    lines = path.read_text().splitlines(keepends=True)
    place, cells = lines[0].split(",").index("confidence"), lines[3].split(",")
    cells[place] = f"{float(cells[place]) - 2e-6:.9f}"
    lines[3] = ",".join(cells)
    path.write_text("".join(lines))
    sign_anew(folder, "predictions")
    assert "prediction 3 is" in run("bad.receipt.json")[2]


@pytest.mark.parametrize("role", ["predictions", "rejects"])
def test_a_missing_row_is_found_by_the_ledger(role: str, folder: Path, run: Run) -> None:
    path = folder / f"bad.{role}.csv"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], *lines[3:]]))
    sign_anew(folder, role)
    code, _, err = run("bad.receipt.json")
    assert (code, "its ledger does not add up" in err) == (65, True)


@pytest.mark.parametrize(
    "changes",
    [{"rows_in": 37}, {"rows_predicted": 21}, {"reasons": {"missing": 16}}, {"rows_rejected": 15}],
)
def test_a_receipt_with_wrong_counts_is_found(
    changes: dict[str, Any], folder: Path, run: Run
) -> None:
    edit(folder / "bad.receipt.json", **changes)
    code, _, err = run("bad.receipt.json")
    assert (code, "its ledger does not add up" in err) == (65, True)


@pytest.mark.parametrize("role", ["predictions", "rejects"])
@pytest.mark.parametrize("more", [-1, 1])
def test_a_receipt_with_another_number_of_bytes_is_found(
    role: str, more: int, folder: Path, run: Run
) -> None:
    """Before any digest: the file may be a terabyte of nothing."""
    path = folder / "bad.receipt.json"
    outputs = json.loads(path.read_text())["outputs"]
    outputs[role]["bytes"] += more
    edit(path, outputs=outputs)
    code, _, err = run("bad.receipt.json")
    assert (code, f"bytes, the receipt says {outputs[role]['bytes']}" in err) == (65, True)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"rows_in": 37}, "the counts of its receipt don't add up"),
        ({"rows_predicted": 19}, "the counts of its receipt don't add up"),
        ({"reasons": {"missing": 15}}, "the counts of its receipt don't add up"),
        ({"estimated_accuracy": float("nan")}, "no receipt says what it came from"),
        ({"exit_code": float("inf")}, "no receipt says what it came from"),
        ({"rows_in": 10**400}, "no receipt says what it came from"),
    ],
)
def test_predict_does_not_believe_a_receipt_that_makes_no_sense(
    changes: dict[str, Any], problem: str, folder: Path
) -> None:
    """Its summary would repeat what the receipt says."""
    edit(folder / "bad.receipt.json", **changes)
    summary = batchdigits.score(folder / "bad.csv", max_rejects=16)
    assert (summary.exit_code, summary.inputs[0].status) == (73, "refused")
    assert problem in str(summary.inputs[0].error)


@pytest.mark.parametrize("where", ["/proc/kmsg", "/dev/zero", "pipe", ".", "/proc/self/mem"])
def test_a_forged_receipt_does_not_make_us_read_what_never_ends(
    where: str, folder: Path, run: Run
) -> None:
    os.mkfifo(folder / "pipe")
    receipt = json.loads((folder / "bad.receipt.json").read_text())
    edit(folder / "bad.receipt.json", input={**receipt["input"], "path": where})
    code, _, err = run("bad.receipt.json")
    assert code in (65, 66, 74)
    assert where in err


@pytest.mark.parametrize("plant", HOSTILE)
def test_what_is_no_small_file_of_json_is_not_a_receipt(
    plant: Callable[[Path], None], folder: Path, run: Run
) -> None:
    receipt = folder / "bad.receipt.json"
    receipt.unlink()
    plant(receipt)
    code, out, err = run("bad.receipt.json")
    assert (code, out, "not a receipt" in err) == (65, "not ok bad.receipt.json: differs\n", True)
    summary = batchdigits.score("bad.csv", max_rejects=16)
    assert summary.exit_code == 73


def test_many_rejects_take_no_memory_each(tmp_path: Path, run: Run) -> None:
    (tmp_path / "a.csv").write_text(
        (SAMPLE_DATA / "digits.csv").read_text() + "x\n" * 100_000, encoding="utf-8"
    )
    batchdigits.score("a.csv", output="a.parquet", max_rejects="100%")
    tracemalloc.start()
    code, out, _ = run("a.receipt.json", "--sample", "0")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (code, "100000 rejected" in out) == (0, True)
    assert peak < 50 * 100_000


def test_rejects_that_are_not_in_the_receipt_are_found(tmp_path: Path, run: Run) -> None:
    batchdigits.score(SAMPLE_DATA / "digits.csv", output="out.csv.gz")
    (tmp_path / "out.rejects.csv.gz").touch()
    code, _, err = run("out.receipt.json")
    assert (code, "the receipt has no rejects" in err) == (65, True)


@pytest.fixture
def other_bundle(folder: Path) -> Path:
    """The packaged model as another version, and bad.csv scored with it again."""
    packaged = read_bundle(packaged_bundle())
    members = {name: data for name, data in packaged.members.items() if name != MANIFEST}
    store = Store(folder / "bundles")
    manifest = replace(packaged.manifest, command="another", members={})
    path = store.publish(
        "digits", lambda version: build_bundle(replace(manifest, version=version), members)
    )
    batchdigits.score("bad.csv", bundle=path, overwrite=True, max_rejects=16)
    return path


def test_the_bundle_is_found_in_the_store_by_its_digest(other_bundle: Path, run: Run) -> None:
    assert run("bad.receipt.json")[0] == 0
    other_bundle.parent.parent.rename("elsewhere")
    code, out, err = run("bad.receipt.json")
    assert (code, out) == (78, "not ok bad.receipt.json: bundle\n")
    assert "name it with --bundle" in err
    assert run("bad.receipt.json", "--store", "elsewhere")[0] == 0
    assert run("bad.receipt.json", "--bundle", "digits@1", "--store", "elsewhere")[0] == 0


def test_another_bundle_is_refused_and_none_is_needed_without_a_sample(
    other_bundle: Path, run: Run
) -> None:
    code, _, err = run("bad.receipt.json", "--bundle", str(packaged_bundle()))
    assert (code, "not the bundle that you trust" in err) == (78, True)
    other_bundle.unlink()
    assert run("bad.receipt.json")[0] == 78
    code, out, _ = run("bad.receipt.json", "--sample", "0")
    assert (code, "no row scored again" in out) == (0, True)


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        (None, 66, "no such file"),
        ("", 65, "not a receipt"),
        ("[]", 65, "not a receipt"),
        ('{"outputs": {}, "format": 2}', 65, "receipt format 2"),
        ('{"outputs": {}, "format": 1}', 65, "a damaged receipt"),
    ],
)
def test_a_file_that_is_not_a_receipt_is_refused(
    text: str | None, code: int, words: str, tmp_path: Path, run: Run
) -> None:
    if text is not None:
        (tmp_path / "f.receipt.json").write_text(text)
    ended, out, err = run("f.receipt.json")
    assert (ended, out.startswith("not ok f.receipt.json"), words in err) == (code, True, True)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"path": "bad.predictions.csv"', '"path": "../bad.predictions.csv"'),
        ('"header": true', '"header": "yes"'),
        ('"scale": null', '"scale": "16"'),
        ('"rows_in": 36', '"rows_in": "36"'),
        ('"exit_code": 0', '"exit_code": null'),
        ('"exit_code": 0', '"exit_code": false'),
        ('"empty": 0', '"empty": 37'),
        ('"bytes": ', '"size": '),
    ],
)
def test_a_receipt_with_odd_values_is_refused(old: str, new: str, folder: Path, run: Run) -> None:
    """Anybody may have written the file, so no path out of its folder is followed."""
    replace_text(folder / "bad.receipt.json", old, new)
    code, _, err = run("bad.receipt.json")
    assert (code, "a damaged receipt" in err) == (65, True)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["a", "--input", ""],
        ["a", "b", "--input", "c"],
        ["a", "--sample", "-1"],
        ["a", "--sample", "x"],
    ],
)
def test_unusable_arguments_are_usage_errors(arguments: list[str], run: Run) -> None:
    code, out, err = run(*arguments)
    assert (code, out, len(err.splitlines())) == (2, "", 1)


def test_an_empty_input_matches_its_receipt(tmp_path: Path, run: Run) -> None:
    """There is no row to score again, in either format."""
    header = (SAMPLE_DATA / "digits.csv").read_text().splitlines()[0]
    (tmp_path / "none.csv").write_text(f"{header}\n")
    for suffix in ("csv", "parquet"):
        batchdigits.score("none.csv", output=f"out-{suffix}.{suffix}")
        assert run(f"out-{suffix}.receipt.json")[0] == 0


class SometimesNothing:
    """An engine that gives no probability to rows whose first pixel is 9."""

    name = "sometimes-nothing"
    classes = 3

    def probabilities(self, pixels: Pixels) -> NDArray[np.float32]:
        result = pixels[:, :3].astype(np.float32) / 16
        result[pixels[:, 0] == 9] = np.nan
        return result

    def most_probable(self, pixels: Pixels) -> MostProbable:
        return most_probable(self.probabilities(pixels))


def test_rows_without_a_probability_keep_their_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A prediction after rows that the check or the model rejects is compared with its own row."""
    pixels = np.random.default_rng(0).integers(0, 18, (400, 64))
    pixels[:, 3:] = np.minimum(pixels[:, 3:], 16)
    path = tmp_path / "in.parquet"
    pq.write_table(pa.table({f"pixel_{i}": pixels[:, i] for i in range(64)}), path)
    scorer = Scorer(SometimesNothing(), pa.array(["a", "b", "c"]))
    reference = read_reference(read_bundle(packaged_bundle()))
    meter = DriftMeter(reference, scorer.labels, 0.01)
    options = {"engine": "onnx", "probabilities": False, "pixels": None, "header": True}
    work = Work(
        scorer=scorer,
        score=ScoreOptions(),
        judge=Judge(reference, Thresholds(), None),
        meter=meter,
        pool=Pool(meter),
        read=ReadOptions(),
        machine=Machine(1, 30),
        policy=RunPolicy(max_rejects=Limit(400), allow_suspect=True),  # it is noise
        key=Key(
            {"name": "n", "version": "1", "digest": "sha256:" + "0" * 64},
            {**options, "delimiter": ",", "scale": None, "keep": None, "decision": False},
        ),
        on_progress=lambda _rows, _part, _name: None,
        publisher=Publisher(workers=1),
    )
    input_files = expand_inputs([str(path)])
    (targets,) = plan_targets(input_files, None)
    scored = score_input(input_files.inputs[0], LocalFolder(targets), work)
    assert isinstance(scored, ScoredInput)
    result = scored.result(scored.publish)
    assert set(result.reasons) == {"out-of-range", "no-probability"}
    receipt = tmp_path / "in.receipt.json"
    monkeypatch.setattr(replay, "_open_scorer", lambda *_: scorer)
    for sample in (1_000, 50):
        verified = replay.verify_file(receipt, sample=sample)
        assert (verified.problems, verified.worst_difference) == ((), 0)
    other = Scorer(SometimesNothing(), pa.array(["b", "a", "c"]))
    monkeypatch.setattr(replay, "_open_scorer", lambda *_: other)
    (problem,) = replay.verify_file(receipt, sample=50).problems
    assert "rows scored again differ" in str(problem)


def test_the_module_runs(folder: Path) -> None:
    """`python -m batchdigits.receipts`, as a process of its own."""
    command = [sys.executable, "-m", "batchdigits.receipts", "verify", "bad.receipt.json"]
    done = subprocess.run(
        command,
        cwd=folder,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("ok bad.receipt.json: 36 rows in, 20 predicted, 16 rejected; 20")


def test_a_folder_stands_for_the_receipts_of_predict_in_it(run: Run, folder: Path) -> None:
    """In the order of their paths, those of subfolders too; those of other kinds are not meant."""
    shutil.copy(SAMPLE_DATA / "digits.csv", folder / "a.csv")
    batchdigits.score(folder / "a.csv", output=folder)
    (folder / "a.forms.receipt.json").write_text('{"format": 1, "kind": "forms", "outputs": {}}')
    for name in ("below", ".hidden"):
        (folder / name).mkdir()
        batchdigits.score(folder / "a.csv", output=folder / name)
    shutil.copy(folder / "a.receipt.json", folder / "._a.receipt.json")
    code, out, err = run(str(folder))
    assert (code, err) == (0, "")
    found = re.findall(rf"^ok {folder}/(.*)\.receipt\.json: ", out, re.MULTILINE)
    assert found == ["a", "bad", "below/a"]
    (folder / "a.predictions.csv").unlink()
    code, out, _ = run(str(folder))
    assert code == 66
    assert [line.split()[0] for line in out.splitlines()] == ["not", "ok", "ok"]
    assert run(str(folder), "--input", "a.csv")[0] == 2


def test_an_empty_name_does_not_mean_the_current_folder(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    code, out, err = run("bad.receipt.json", "")
    assert (code, out) == (66, "")
    assert "an empty name" in err


def test_a_folder_without_receipts_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.forms.receipt.json").write_text('{"format": 1, "kind": "forms", "outputs": {}}')
    code, out, err = run(str(tmp_path))
    assert (code, out) == (66, "")
    assert "no receipt of predict in this folder" in err


ODD_FACTS: dict[str, tuple[tuple[str, ...], object]] = {
    "a count of 39 digits": (("rows_in",), 10**38),
    "a count that is a fraction": (("rows_predicted",), 20.5),
    "a negative count": (("rows_rejected",), -16),
    "true for a format": (("format",), True),
    "a bundle's name with a NUL": (("bundle", "name"), "a\0"),
    "a bundle's name that is a path": (("bundle", "name"), "../../etc/passwd"),
    "half a character in a name": (("bundle", "name"), "\ud800"),
    "a version that is no number": (("bundle", "version"), "/proc/kmsg"),
    "a digest that is none": (("bundle", "digest"), "sha256:0"),
    "a key that is no digest": (("bundle", "signed_by"), [["x"]]),
    "a scale that no float32 holds": (("options", "scale"), 1e300),
    "a delimiter of two characters": (("options", "delimiter"), ";;"),
    "an encoding that Python lacks": (("options", "encoding"), "sha256"),
    "a threshold that is a path": (("options", "review_below"), "/dev/zero"),
    "a threshold above 1": (("options", "review_below"), 1.5),
    "a column that is a list": (("options", "keep"), [[]]),
    "half a character for comments": (("options", "comment"), "\ud800"),
}


@pytest.mark.parametrize("odd", ODD_FACTS)
def test_a_receipt_with_what_predict_never_writes_is_refused(
    run: Run, folder: Path, odd: str
) -> None:
    """As damaged (65), never as a fault in batchdigits (70)."""
    path = folder / "bad.receipt.json"
    document = json.loads(path.read_text())
    names, value = ODD_FACTS[odd]
    inner = document if len(names) == 1 else document[names[0]]
    inner[names[-1]] = value
    path.write_text(json.dumps(document))
    code, out, err = run("bad.receipt.json", "--json")
    assert code == 65, err
    assert json.loads(out)["exit_code"] == 65
    summary = batchdigits.score("bad.csv", max_rejects=16)
    assert summary.exit_code in (0, 73), "such a receipt proves nothing"
