"""`bundles diff`, `promote`, `rollback`, `history` and `prune` on stores of real small bundles."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_bundles import make_bundle, make_model, make_pixels

from batchdigits.archive.bundle_file import read_bundle
from batchdigits.archive.manifest import Classes
from batchdigits.bundles.__main__ import main
from batchdigits.engines.golden import build_golden
from batchdigits.engines.onnx.engine import OnnxEngine
from batchdigits.files.lock import hold_lock
from batchdigits.store import store as store_module
from batchdigits.store.store import Store

Run = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).parents[2]
CLASSES = Classes("int64", (0, 1, 2))


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("BATCHDIGITS_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command; gives exit code, standard output and standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def bundle_of(seed: int, version: int) -> bytes:
    """A bundle with weights of its own."""
    model = make_model(seed=seed).SerializeToString()
    pixels = make_pixels(40)
    found = OnnxEngine(model, 3).probabilities(pixels)
    golden = build_golden(pixels, CLASSES.array().take(pa.array(found.argmax(axis=1))), found)
    return make_bundle(version=version, model__onnx=model, golden__parquet=golden)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Three versions with different weights in ./bundles."""
    store = Store(tmp_path / "bundles")
    for seed in range(3):
        store.publish("digits", lambda version, seed=seed: bundle_of(seed, version))
    return store


@pytest.fixture
def rows(store: Store, tmp_path: Path) -> Path:
    """Rows that version 2 gets right one and all, and the others do not."""
    pixels = make_pixels(300, seed=5)
    bundle = read_bundle(store.path("digits", 2))
    truth = OnnxEngine(bundle.members["model.onnx"], 3).probabilities(pixels).argmax(axis=1)
    columns = {f"pixel_{i}": pa.array(column) for i, column in enumerate(pixels.T)}
    path = tmp_path / "rows.parquet"
    ids = [f"{i:05}" for i in range(300)]
    pq.write_table(pa.table({"form": ids, "label": truth, **columns}), path)
    return path


def promote(run: Run, version: int, *more: str) -> tuple[int, str, str]:
    return run("promote", f"digits@{version}", "--alias", "production", *more)


def rollback(run: Run, *more: str) -> tuple[int, str, str]:
    return run("rollback", "digits", "--alias", "production", *more)


def right_of(store: Store, version: int, rows: Path) -> float:
    """The accuracy by NumPy alone."""
    table = pq.read_table(rows)
    pixels = np.stack([table[f"pixel_{i}"].to_numpy() for i in range(64)], axis=1)
    model = read_bundle(store.path("digits", version)).members["model.onnx"]
    found = OnnxEngine(model, 3).probabilities(np.ascontiguousarray(pixels)).argmax(axis=1)
    return float((found == table["label"].to_numpy()).mean())


# diff


def test_diff_prints_a_table(store: Store, run: Run, rows: Path) -> None:
    code, out, err = run("diff", "digits@1", "digits@2", "--data", str(rows), "--flips", "2")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("old   digits@1  sha256:")
    assert lines[1].startswith("new   digits@2  sha256:")
    assert lines[2] == f"data  {rows}: 300 rows, 0 rejected, 300 with a label in 'label'"
    figures = {line[:20].strip(): line.split()[-4:] for line in lines if "%" in line}
    assert figures["accuracy"][:2] == [f"{right_of(store, 1, rows):.2%}", "100.00%"]
    (count,) = (line for line in lines if "rows flip" in line)
    assert "of 300 rows flip: " in count
    assert "0 become wrong" in count
    header = next(i for i, line in enumerate(lines) if line.startswith("ROW"))
    assert lines[header].split() == ["ROW", "form", "LABEL", "OLD", "NEW", "CONFIDENCE"]
    assert lines[-1].endswith("more: --flips lists them")
    assert len(lines) == header + 4


def test_diff_speaks_json(store: Store, run: Run, rows: Path) -> None:
    """One object; the matrix holds every row."""
    code, out, _ = run("diff", "digits@1", "digits@2", "--data", str(rows), "--json")
    found = json.loads(out)
    assert (code, out.count("\n")) == (0, 1)
    assert found["old"]["accuracy"] == pytest.approx(right_of(store, 1, rows))
    assert (found["new"]["accuracy"], found["rows_in"], found["label"]) == (1.0, 300, "label")
    assert found["old"]["bundle"]["version"] == "1"
    matrix = np.array(found["flip_matrix"])
    assert (matrix.sum(), matrix.sum() - np.trace(matrix)) == (300, found["flip_count"])
    assert len(found["flips"]) == 20
    flip = found["flips"][0]
    assert flip["columns"] == {"form": f"{flip['row'] - 1:05}"}
    assert flip["label"] == flip["new"] != flip["old"]


def test_diff_of_a_bundle_with_itself_has_no_flips(store: Store, run: Run, rows: Path) -> None:
    code, out, _ = run("diff", "digits@2", "digits@2", "--data", str(rows))
    assert (code, out.splitlines()[-1]) == (0, "0 of 300 rows flip")


def test_diff_without_labels_and_with_other_classes(store: Store, run: Run, rows: Path) -> None:
    """The flips alone; what the bundles do not share is said."""
    letters = Classes("string", ("1", "2", "x"))
    store.publish("digits", lambda version: make_bundle(letters, version=version))
    pq.write_table(pq.read_table(rows).drop_columns(["label"]), "bare.parquet")
    code, out, _ = run("diff", "digits@1", "digits@4", "--data", "bare.parquet")
    assert code == 0
    assert "no labels" in out
    assert "accuracy" not in out
    assert "classes of the old bundle only: 0" in out
    assert "classes of the new bundle only: 'x'" in out
    assert "predictions change their type from int64 to string" in out


def test_diff_reads_csv_as_predict_does(store: Store, run: Run, tmp_path: Path) -> None:
    pixels = make_pixels(20)
    lines = [";".join([*map(str, row * 2), str(i % 3)]) for i, row in enumerate(pixels)]
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n")
    flags = ("--no-header", "--delimiter", ";", "--scale", "32", "--label", "column_65")
    code, out, err = run("diff", "digits@1", "digits@2", "--data", "rows.csv", "--json", *flags)
    assert (code, err) == (0, "")
    assert json.loads(out)["old"]["rows_labelled"] == 20


def test_diff_imports_nothing_heavy(store: Store, rows: Path) -> None:
    """As predict, and pandas is not looked for either."""
    script = f"""
import sys
from batchdigits.bundles.__main__ import main
assert main(["diff", "digits@1", "digits@2", "--data", {str(rows)!r}, "--json"]) == 0
print(sorted({{"pandas", "sklearn", "keras", "tensorflow", "joblib"}} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=own_path()
    )
    assert done.stdout.splitlines()[-1] == "[]"


def own_path() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


# promote


def test_the_gate_lets_the_better_pass(store: Store, run: Run, rows: Path) -> None:
    """And says both accuracies."""
    promote(run, 1)
    code, out, err = promote(run, 2, "--data", str(rows), "--reason", "a better one")
    assert code == 0
    assert out.startswith("digits@production: version 2 (was 1)")
    assert err.startswith("accuracy 1.0000 on 300 rows of ")
    assert store.history("digits", "production").changes[-1].reason == "a better one"


def test_the_gate_stops_the_worse(store: Store, run: Run, rows: Path) -> None:
    """In one line, with exit code 78; the alias stays, and so does its history."""
    promote(run, 2)
    code, out, err = promote(run, 1, "--data", str(rows))
    assert (code, out, err.count("\n")) == (78, "", 1)
    accuracy = f"{right_of(store, 1, rows):.4f}"
    assert f"digits@1: accuracy {accuracy} on 300 rows of {rows}, 1.0000 with digits@2" in err
    assert "worse by more than --max-regression 0; digits@production stays at digits@2" in err
    assert store.aliases("digits") == {"production": 2}
    assert len(store.history("digits", "production").changes) == 1


def test_max_regression_is_a_share_or_a_percentage(store: Store, run: Run, rows: Path) -> None:
    promote(run, 2)
    wrong = round(300 * (1 - right_of(store, 1, rows)))
    too_strict = f"{(wrong - 1) / 3:.9f}%"
    assert promote(run, 1, "--data", str(rows), "--max-regression", too_strict)[0] == 78
    assert (
        promote(run, 1, "--data", str(rows), "--max-regression", f"{wrong / 300 + 1e-9:.12f}")[0]
        == 0
    )
    for odd in ("1", "101%", "-0.1", "some", "5"):
        code, _, err = promote(run, 2, "--data", str(rows), f"--max-regression={odd}")
        assert (code, "0.005 or 0.5%" in err) == (2, True)


def test_the_first_of_an_alias_has_nothing_to_be_compared_with(
    store: Store, run: Run, rows: Path
) -> None:
    """Its accuracy is told, and the data have to be usable all the same."""
    code, _, err = promote(run, 1, "--data", str(rows), "--label", "form")
    assert (code, "no label in column 'form'" in err) == (65, True)
    code, out, err = promote(run, 1, "--data", str(rows))
    assert (code, "(new)" in out, "digits@production is new, there is nothing" in err) == (
        0,
        True,
        True,
    )


def test_a_gate_without_labels_is_refused(store: Store, run: Run, rows: Path) -> None:
    promote(run, 1)
    pq.write_table(pq.read_table(rows).drop_columns(["label"]), "bare.parquet")
    code, _, err = promote(run, 2, "--data", "bare.parquet")
    assert (code, "name the column of true labels with --label" in err) == (65, True)
    for flags in (("--max-regression", "1%"), ("--label", "digit")):
        code, _, err = promote(run, 2, *flags)
        assert (code, "--data" in err) == (2, True)
    assert store.aliases("digits") == {"production": 1}


def test_a_damaged_incumbent_can_be_promoted_away_from(store: Store, run: Run, rows: Path) -> None:
    """It can't be measured, which is told with the way out."""
    promote(run, 1)
    store.path("digits", 1).write_bytes(b"damaged")
    code, _, err = promote(run, 2, "--data", str(rows))
    assert (code, "leave out --data to promote without comparing" in err) == (78, True)
    assert promote(run, 2)[0] == 0


def test_a_move_in_between_is_not_overrun(
    store: Store, run: Run, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was compared with is not what stands there any more: exit 75, try again."""
    promote(run, 1)
    monkeypatch.setattr(
        "batchdigits.bundles.promote._pass_gate",
        lambda *_: store.set_alias("digits", "production", 3),
    )
    code, out, err = promote(run, 2, "--data", str(rows))
    assert (code, out, "moved by someone else" in err) == (75, "", True)
    assert store.aliases("digits") == {"production": 3}


def test_concurrent_promotions_lose_no_history(store: Store) -> None:
    """Every one that says 0 is in the history, and each names the one before it."""
    command = [sys.executable, "-m", "batchdigits.bundles", "promote", "--alias", "production"]
    running = [
        subprocess.Popen(
            [*command, f"digits@{version}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=own_path(),
        )
        for version in (1, 2, 3, 1, 2, 3)
    ]
    codes = [process.wait(timeout=120) for process in running]
    moved = sum(b"version" in process.communicate()[0] for process in running)
    history = store.history("digits", "production").changes
    assert set(codes) <= {0, 75}
    assert len(history) == moved > 0
    assert [change.was for change in history] == [None, *(c.version for c in history[:-1])]


# rollback and history


def test_rollback_brings_back_what_stood_before(store: Store, run: Run) -> None:
    """Again, it goes further back, and never to what was rolled back from."""
    for version in (1, 2, 3):
        promote(run, version)
    code, out, _ = rollback(run, "--reason", "7 read as 1")
    assert code == 0
    assert out.startswith("digits@production: version 2 (rolled back from 3), sha256:")
    assert rollback(run)[1].startswith("digits@production: version 1 (rolled back from 2)")
    code, out, err = rollback(run)
    assert (code, out) == (78, "")
    assert "there is no version before 1 to go back to: promote another; versions: 1, 2, 3" in err
    promote(run, 3)
    assert rollback(run)[1].startswith("digits@production: version 1 (rolled back from 3)")
    changes = store.history("digits", "production").changes
    assert [change.version for change in changes] == [1, 2, 3, 2, 1, 3, 1]
    assert changes[3].reason == "7 read as 1"


def test_rollback_checks_what_it_brings_back(store: Store, run: Run) -> None:
    """A damaged bundle must not stand in for a bad one."""
    promote(run, 1)
    promote(run, 2)
    store.path("digits", 1).write_bytes(b"damaged")
    code, _, err = rollback(run)
    assert (code, "digits-1.bundle" in err) == (78, True)
    store.path("digits", 1).unlink()
    code, _, err = rollback(run)
    assert (code, "versions: 2, 3" in err) == (78, True)
    assert store.aliases("digits") == {"production": 2}


def test_rollback_of_what_is_not_there(store: Store, run: Run) -> None:
    promote(run, 1)
    code, _, err = run("rollback", "digits", "--alias", "staging")
    assert (code, "aliases: production (1)" in err) == (78, True)
    assert run("rollback", "letters", "--alias", "production")[0] == 78
    assert run("rollback", "digits@production", "--alias", "production")[0] == 2


def test_history_tells_every_move(store: Store, run: Run) -> None:
    """Oldest first, all aliases or one."""
    assert "has no alias" in run("history", "digits")[2]
    promote(run, 1)
    promote(run, 2, "--reason", "first try")
    run("promote", "digits@3", "--alias", "staging")
    rollback(run)
    code, out, _ = run("history", "digits")
    lines = out.splitlines()
    assert (code, len(lines)) == (0, 5)
    assert lines[0].split() == ["WHEN", "ALIAS", "WAS", "IS", "HOW", "BY", "WHY"]
    assert lines[2].split()[1:5] == ["production", "1", "2", "promote"]
    assert lines[2].endswith("first try")
    _, out, _ = run("history", "digits", "--alias", "production", "--json")
    moves = [json.loads(line) for line in out.splitlines()]
    assert [move["action"] for move in moves] == ["promote", "promote", "rollback"]
    assert [(move["was"], move["version"]) for move in moves] == [(None, 1), (1, 2), (2, 1)]
    assert run("history", "digits", "--alias", "nightly")[0] == 78


def test_a_history_of_before_is_read(store: Store, run: Run) -> None:
    """Its changes have no action and no reason: they were promotions."""
    folder = store.folder / "digits" / "aliases"
    folder.mkdir()
    old = [{"version": v, "at": "2026-01-31T02:00:00Z", "by": "ops@night"} for v in (1, 3)]
    (folder / "production.json").write_text(json.dumps({"history": old}))
    assert rollback(run)[1].startswith("digits@production: version 1 (rolled back from 3)")


def test_a_forged_rollback_is_damage(store: Store, run: Run) -> None:
    folder = store.folder / "digits" / "aliases"
    folder.mkdir()
    change = {"version": 2, "at": "", "by": "", "action": "rollback"}
    (folder / "production.json").write_text(json.dumps({"history": [change]}))
    code, _, err = run("history", "digits")
    assert (code, "is damaged" in err) == (78, True)


# prune


def test_prune_keeps_the_newest_and_what_aliases_need(store: Store, run: Run) -> None:
    """What an alias points at, and what its rollback would bring back; signatures go along."""
    for seed in range(3, 7):
        store.publish("digits", lambda version, seed=seed: bundle_of(seed, version))
    for version in (1, 2, 3):
        promote(run, version)
    run("promote", "digits@5", "--alias", "staging")
    for version in (1, 4, 7):
        path = store.path("digits", version)
        path.with_name(f"{path.name}.sig").write_text("a signature")
    code, out, _ = run("prune", "digits", "--keep", "1", "--dry-run")
    assert code == 0
    assert out.splitlines() == [
        "digits@1: would be removed",
        "digits@4: would be removed",
        "digits@6: would be removed",
        "digits@2: stays, before production",
        "digits@3: stays, production",
        "digits@5: stays, staging",
        "digits@7: stays, among the newest",
    ]
    assert store.versions("digits") == [1, 2, 3, 4, 5, 6, 7]
    _, out, _ = run("prune", "digits", "--keep", "1", "--json")
    assert json.loads(out)["removed"] == [1, 4, 6]
    assert store.versions("digits") == [2, 3, 5, 7]
    assert [path.name for path in (store.folder / "digits").glob("*.sig")] == [
        "digits-7.bundle.sig"
    ]
    assert rollback(run)[0] == 0


def test_a_pruned_version_is_never_used_again(store: Store, run: Run) -> None:
    run("prune", "digits", "--keep", "1")
    assert store.publish("digits", lambda version: bundle_of(0, version)).name == "digits-4.bundle"


def test_prune_refuses_what_it_can_not_know(store: Store, run: Run) -> None:
    """A damaged alias may need any version."""
    assert run("prune", "digits", "--keep", "0")[0] == 2
    assert run("prune", "letters", "--keep", "1")[0] == 78
    promote(run, 1)
    (store.folder / "digits" / "aliases" / "production.json").write_text("{")
    code, _, err = run("prune", "digits", "--keep", "1")
    assert (code, "production.json: is damaged" in err) == (78, True)
    assert store.versions("digits") == [1, 2, 3]


@pytest.mark.parametrize(
    "words",
    [
        ("prune", "digits@production", "--keep", "1"),
        ("prune", "digits@3", "--keep", "1", "--dry-run"),
        ("history", "digits@production"),
        ("history", "digits@production", "--alias", "production"),
        ("rollback", "digits@production", "--alias", "production"),
    ],
)
def test_what_is_done_to_a_name_takes_the_name_alone(
    store: Store, run: Run, words: tuple[str, ...]
) -> None:
    """And leaves nothing in the store."""
    promote(run, 1)
    before = sorted(store.folder.rglob("*"))
    code, out, err = run(*words)
    assert (code, out, "expected the name alone: digits" in err) == (2, "", True)
    assert sorted(store.folder.rglob("*")) == before


def test_a_dry_run_of_prune_needs_no_lock(store: Store, run: Run) -> None:
    """It works on a store that can't be written, and waits for nobody."""
    with hold_lock(store.folder / "digits"):
        code, out, _ = run("prune", "digits", "--keep", "1", "--dry-run")
    assert (code, out.count("would be removed")) == (0, 2)


def test_prune_waits_for_who_publishes(
    store: Store, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "LOCK_SECONDS", 0.2)
    with hold_lock(store.folder / "digits"):
        code, _, err = run("prune", "digits", "--keep", "1")
    assert (code, "try again" in err) == (75, True)
    assert store.versions("digits") == [1, 2, 3]


def _prune_forever(folder: str) -> None:
    from batchdigits.store.pruning import prune

    while True:
        prune(Store(folder), "digits", 1)


def test_prunes_that_are_killed_leave_a_sound_store(tmp_path: Path) -> None:
    """While others publish and promote; what the alias needs is there each time."""
    store = Store(tmp_path / "bundles")
    data = bundle_of(0, 1)
    for _ in range(2):
        store.publish("digits", lambda _: data)
    for _ in range(5):
        worker = multiprocessing.get_context("fork").Process(
            target=_prune_forever, args=(str(store.folder),)
        )
        worker.start()
        for _ in range(5):
            version = int(store.publish("digits", lambda _: data).stem.split("-")[1])
            store.set_alias("digits", "production", version)
        time.sleep(0.02)
        os.kill(worker.pid or 0, signal.SIGKILL)
        worker.join()
        needed = {change.version for change in store.history("digits", "production").changes[-2:]}
        assert needed <= set(store.versions("digits"))
        assert all(store.path("digits", v).read_bytes() == data for v in store.versions("digits"))
