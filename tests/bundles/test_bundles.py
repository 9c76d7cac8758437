from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bundle_store import Run
from paths import ROOT
from small_bundles import make_bundle

from batchdigits.archive.classes import Classes
from batchdigits.store.store import Store


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("STORE", "BUNDLE", "EXPECT_DIGEST", "LOG_FORMAT"):
        monkeypatch.delenv(f"BATCHDIGITS_{name}", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two sound versions in ./bundles."""
    store = Store(tmp_path / "bundles")
    for _ in range(2):
        store.publish("digits", lambda version: make_bundle(version=version))
    return store


def publish_bad(store: Store) -> None:
    """A third version whose golden rows belong to other classes."""
    other = Classes("int64", (2, 1, 0))
    store.publish("digits", lambda version: make_bundle(version=version, golden_classes=other))


def test_list_shows_every_bundle(store: Store, run: Run) -> None:
    """Name, version, creation, accuracy, aliases and the digest's beginning."""
    store.set_alias("digits", "production", 1)
    store.set_alias("digits", "best", 1)
    code, out, err = run("list")
    assert (code, err) == (0, "")
    lines = [line.split("  ") for line in out.splitlines()]
    cells = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    assert cells[0] == ["NAME", "VERSION", "CREATED", "ACCURACY", "ALIASES", "DIGEST"]
    facts = ["2026-01-31T02:00:00Z", "97.50%"]
    assert cells[1][:-1] == ["digits", "1", *facts, "best, production"]
    assert cells[2][:-1] == ["digits", "2", *facts, "-"]
    assert all(line[-1].startswith("sha256:") for line in cells[1:])


def test_list_shows_all_bundles_in_spite_of_a_damaged_alias(store: Store, run: Run) -> None:
    store.publish("letters", lambda version: make_bundle(version=version))
    store.set_alias("digits", "production", 1)
    store.set_alias("letters", "best", 1)
    (store.folder / "digits" / "aliases" / "production.json").write_text("{")
    code, out, err = run("list")
    assert code == 78
    assert [line.split()[0] for line in out.splitlines()[1:]] == ["digits", "digits", "letters"]
    assert "best" in out
    (line,) = err.splitlines()
    assert "production" in line
    code, out, _ = run("list", "--json")
    errors = [json.loads(line)["error"] for line in out.splitlines()]
    assert [error is None for error in errors] == [False, False, True]


def test_list_speaks_json(store: Store, run: Run) -> None:
    """One line a bundle, the digest in full."""
    _, out, _ = run("list", "digits", "--json")
    entries = [json.loads(line) for line in out.splitlines()]
    assert [entry["version"] for entry in entries] == [1, 2]
    assert set(entries[0]) == {
        *("name", "version", "aliases", "path", "created", "accuracy", "digest", "error"),
    }
    assert len(entries[0]["digest"]) == 71


def test_list_shows_the_good_beside_the_damaged(store: Store, run: Run) -> None:
    """Exit 78, the damaged one named on standard error."""
    path = store.path("digits", 1)
    path.write_bytes(path.read_bytes()[:-1])
    code, out, err = run("list")
    assert code == 78
    assert "damaged" in out.splitlines()[1]
    assert "97.50%" in out.splitlines()[2]
    assert err.count("\n") == 1
    assert path.name in err


def test_list_of_nothing(run: Run, store: Store) -> None:
    """No store yet is no error, a store or a name that is not there is one."""
    assert run("list", "--store", str(store.folder))[0] == 0
    code, out, err = run("list", "digits", "letters", "numbers")
    assert (code, out) == (78, "")
    assert "no bundle named 'letters' in bundles (it has digits)" in err
    code, _, err = run("list", "--store", "elsewhere")
    assert (code, "elsewhere: no such store" in err) == (78, True)


def test_list_without_a_store_says_how_to_get_one(run: Run) -> None:
    """On standard error, and with code 0."""
    code, out, err = run("list")
    assert (code, out) == (0, "")
    assert "no bundles in bundles" in err


def test_show_prints_the_card(store: Store, run: Run) -> None:
    """As it stands in the bundle."""
    assert run("show", "digits@1") == (0, "# digits\n\nA made-up model.\n", "")


def test_show_prints_the_manifest_as_json(store: Store, run: Run) -> None:
    """With the path and the digest, on one line."""
    code, out, _ = run("show", "digits", "--json")
    shown = json.loads(out)
    assert (code, out.count("\n")) == (0, 1)
    assert shown["path"] == "bundles/digits/digits-2.bundle"
    assert shown["digest"].startswith("sha256:")
    assert (shown["manifest"]["version"], shown["manifest"]["format"]) == (2, 1)


def test_show_of_what_is_not_there_lists_what_is(store: Store, run: Run) -> None:
    """Exit 78."""
    code, out, err = run("show", "digits@9")
    assert (code, out) == (78, "")
    assert "versions: 1, 2" in err


def test_verify_replays_the_golden_rows(store: Store, run: Run) -> None:
    """By name, by alias and by path, a line each."""
    store.set_alias("digits", "production", 1)
    path = str(store.path("digits", 2))
    code, out, err = run("verify", "digits@1", "digits@production", path)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert [line.split(": ")[0] for line in lines] == ["digits@1", "digits@production", path]
    assert all("ok, sha256:" in line and "40 golden rows" in line for line in lines)


def test_verify_goes_on_after_a_bad_one(store: Store, run: Run) -> None:
    """Every bundle gets its line, and the code is 78 if any failed."""
    publish_bad(store)
    code, out, _ = run("verify", "digits@3", "digits@7", "digits@1", "--json")
    results = [json.loads(line) for line in out.splitlines()]
    assert code == 78
    assert "golden rows differ" in results[0]["error"]
    assert "versions: 1, 2, 3" in results[1]["error"]
    assert (results[2]["error"], results[2]["golden_rows"]) == (None, 40)


def test_verify_enforces_the_expected_digest(
    store: Store, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By flag or by variable."""
    _, out, _ = run("list", "--json")
    first, second = (json.loads(line)["digest"] for line in out.splitlines())
    assert run("verify", "digits@1", "--expect-digest", first)[0] == 0
    code, out, _ = run("verify", "digits@1", "--expect-digest", second)
    assert (code, "not the bundle that you trust" in out) == (78, True)
    monkeypatch.setenv("BATCHDIGITS_EXPECT_DIGEST", second)
    assert run("verify", "digits@1")[0] == 78
    assert run("verify", "digits@1", "--expect-digest", "abc")[0] == 2


def test_a_bundle_under_a_false_name_is_refused(store: Store, run: Run) -> None:
    """A copy of version 1 in version 2's place is sound and still not version 2."""
    store.path("digits", 2).write_bytes(store.path("digits", 1).read_bytes())
    for arguments in (("verify", "digits@2"), ("promote", "digits@2", "--alias", "production")):
        code, out, err = run(*arguments)
        assert code == 78
        assert "holds digits@1" in out + err
    assert run("verify", str(store.path("digits", 2)))[0] == 0


def test_promote_moves_an_alias(store: Store, run: Run) -> None:
    """And says from where."""
    code, out, _ = run("promote", "digits@1", "--alias", "production")
    assert code == 0
    assert out.startswith("digits@production: version 1 (new), sha256:")
    code, out, _ = run("promote", "digits@2", "--alias", "production")
    assert out.startswith("digits@production: version 2 (was 1), sha256:")
    assert store.aliases("digits") == {"production": 2}
    assert len(store.history("digits", "production").changes) == 2


def test_promoting_again_changes_nothing(store: Store, run: Run) -> None:
    """The history does not grow."""
    run("promote", "digits@1", "--alias", "production")
    code, out, err = run("promote", "digits@1", "--alias", "production")
    assert (code, out) == (0, "")
    assert "points at version 1 already" in err
    assert len(store.history("digits", "production").changes) == 1


def test_promote_refuses_what_does_not_verify(store: Store, run: Run) -> None:
    """The alias stays where it was."""
    run("promote", "digits@1", "--alias", "production")
    publish_bad(store)
    code, out, err = run("promote", "digits@3", "--alias", "production")
    assert (code, out) == (78, "")
    assert "golden rows differ" in err
    assert store.aliases("digits") == {"production": 1}


@pytest.mark.parametrize(
    "arguments",
    [
        ("promote", "bundles/digits/digits-1.bundle", "--alias", "production"),
        ("promote", "digits@1", "--alias", "latest"),
        ("promote", "digits@1"),
        ("show", "--store", "bundles"),
        ("verify", "digits@1", "--engine", "torch"),
        ("delete", "digits@1"),
        (),
    ],
)
def test_what_can_not_be_asked_is_a_usage_error(
    arguments: tuple[str, ...], store: Store, run: Run
) -> None:
    """Exit 2 and one line."""
    code, out, err = run(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert store.aliases("digits") == {}


def test_listing_and_help_import_nothing_heavy(store: Store) -> None:
    """They answer at once."""
    script = """
import sys
from batchdigits.bundles.__main__ import main
try:
    main(["--help"])
except SystemExit:
    pass
main(["list"])
main(["show", "digits"])
heavy = {"numpy", "pyarrow", "onnxruntime", "zipfile", "tensorflow", "keras", "joblib"}
print(sorted(heavy & set(sys.modules)))
"""
    environment = {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env=environment,
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_module_runs(store: Store) -> None:
    """`python -m batchdigits.bundles`, as a process of its own."""
    command: list[Any] = [sys.executable, "-m", "batchdigits.bundles"]
    environment = {"PYTHONPATH": str(ROOT)}
    options: dict[str, Any] = {"capture_output": True, "text": True, "env": environment}
    assert "promote digits@3" in subprocess.run([*command, "--help"], **options, check=True).stdout
    done = subprocess.run([*command, "verify", "digits@2"], **options, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("digits@2: ok")
