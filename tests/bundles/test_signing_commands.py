"""Signing from the command line: keys, signatures, and what predict makes of them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from paths import ROOT

import batchdigits
from batchdigits import predict, receipts
from batchdigits.bundles import __main__ as bundles
from batchdigits.errors import BundleError
from batchdigits.store.store import Store

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command of a module; gives exit code, standard output and standard error."""

    def run(module: object, *arguments: object) -> tuple[int, str, str]:
        code = module.main([str(argument) for argument in arguments])  # type: ignore[attr-defined]
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a store of one bundle, rows, and ops.key, whose ops.pub is in trusted/."""
    monkeypatch.chdir(tmp_path)
    first = ROOT / "tests" / "data" / "digits-format-1.bundle"
    Store("bundles").publish("digits", lambda _: first.read_bytes())
    shutil.copy(ROOT / "sample_data" / "digits.parquet", tmp_path / "forms.parquet")
    Path("trusted").mkdir(mode=0o755)
    assert bundles.main(["keygen", "ops"]) == 0
    Path("ops.pub").rename("trusted/ops.pub")
    return tmp_path


@pytest.fixture
def key(here: Path, run: Run) -> str:
    """The id of ops.key, which has signed digits@1."""
    code, out, err = run(bundles, "sign", "digits@1", "--key", "ops.key", "--comment", "for 2027")
    assert (code, err) == (0, "")
    document = json.loads(Path("bundles/digits/digits-1.bundle.sig").read_text())
    assert document["comment"] == "for 2027"
    assert document["key"][:23] in out
    text: str = document["key"]
    return text


def test_keygen_says_what_it_wrote(here: Path, run: Run) -> None:
    """The id, and which file is for whom."""
    Path("keys").mkdir()
    code, out, err = run(bundles, "keygen", "night", "--output", "keys")
    assert (code, err) == (0, "")
    assert out.startswith("key sha256:")
    assert "keys/night.key signs" in out
    assert sorted(path.name for path in Path("keys").iterdir()) == ["night.key", "night.pub"]
    code, _, err = run(bundles, "keygen", "night", "--output", "keys")
    assert (code, "never overwritten" in err) == (73, True)
    code, _, err = run(bundles, "keygen", "night", "--output", "absent")
    assert (code, "absent: is not a folder" in err) == (2, True)


def test_a_signed_bundle_scores_and_its_receipt_names_the_key(
    here: Path, key: str, run: Run
) -> None:
    code, out, err = run(
        *(predict, "forms.parquet", "--bundle", "digits@1"),
        *("--require-signature", "--trusted-keys", "trusted"),
    )
    assert (code, err) == (0, "")
    assert set(json.loads(out)["bundle"]) == {"name", "version", "digest"}
    assert json.loads(Path("forms.receipt.json").read_text())["bundle"]["signed_by"] == key


def test_the_environment_requires_a_signature_of_everybody(
    here: Path, key: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of predict, of verify, of receipts and of Python."""
    monkeypatch.setenv("BATCHDIGITS_REQUIRE_SIGNATURE", "1")
    monkeypatch.setenv("BATCHDIGITS_TRUSTED_KEYS", "trusted")
    assert run(predict, "forms.parquet", "--bundle", "digits")[0] == 0
    assert run(bundles, "verify", "digits")[0] == 0
    assert run(receipts, "verify", "forms.receipt.json")[0] == 0
    assert batchdigits.open_bundle("digits").signed_by == key
    Path("bundles/digits/digits-1.bundle.sig").unlink()
    assert run(predict, "forms.parquet", "--bundle", "digits")[0] == 78
    assert run(bundles, "verify", "digits")[0] == 78
    assert run(receipts, "verify", "forms.receipt.json")[0] == 78
    with pytest.raises(BundleError, match="is not signed"):
        batchdigits.open_bundle("digits")
    assert batchdigits.open_bundle("digits", require_signature=False).signed_by is None


def test_the_environment_ties_predict_to_one_digest(
    here: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As --expect-digest does, which goes before it."""
    _, out, _ = run(bundles, "verify", "digits", "--json")
    digest = json.loads(out)["digest"]
    monkeypatch.setenv("BATCHDIGITS_EXPECT_DIGEST", "sha256:" + "0" * 64)
    code, _, err = run(predict, "forms.parquet", "--bundle", "digits")
    assert (code, "not the bundle that you trust" in err) == (78, True)
    assert run(predict, "forms.parquet", "--bundle", "digits", "--expect-digest", digest)[0] == 0


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize(
    ("spoil", "flags", "told"),
    [
        ("rm bundles/digits/*.sig", ("--trusted-keys", "trusted"), "is not signed"),
        ("true", (), "no trusted keys are known"),
        ("rm trusted/ops.pub", ("--trusted-keys", "trusted"), "holds no trusted key"),
        ("mv trusted gone", ("--trusted-keys", "trusted"), "trusted: can't be read"),
        ("chmod g+w trusted", ("--trusted-keys", "trusted"), "chmod go-w trusted"),
        (
            "printf x >> bundles/digits/digits-1.bundle",
            ("--trusted-keys", "trusted"),
            "other content than key",
        ),
    ],
)
def test_predict_ends_with_78_and_one_line(
    spoil: str, flags: tuple[str, ...], told: str, run: Run
) -> None:
    """Nothing is written; the line says what is wrong."""
    subprocess.run(["sh", "-c", spoil], check=True)
    before = sorted(Path().rglob("*"))
    code, out, err = run(
        predict, "forms.parquet", "--bundle", "digits@1", "--require-signature", *flags
    )
    assert (code, out) == (78, "")
    (line,) = err.splitlines()
    assert told in line
    assert sorted(Path().rglob("*")) == before


def test_another_key_is_refused_until_it_is_trusted(here: Path, key: str, run: Run) -> None:
    """The rotation of docs/trust.md."""
    assert run(bundles, "keygen", "new")[0] == 0
    code, _, err = run(bundles, "sign", "digits@1", "--key", "new.key")
    assert (code, "--overwrite" in err) == (73, True)
    assert run(bundles, "sign", "digits@1", "--key", "new.key", "--overwrite")[0] == 0
    check = (bundles, "verify", "digits@1", "--trusted-keys", "trusted")
    code, out, _ = run(*check)
    assert (code, "none of those trusted" in out) == (78, True)
    shutil.copy("new.pub", "trusted")
    code, out, _ = run(*check)
    assert (code, "signed by key sha256:" in out) == (0, True)


def test_verify_tells_what_became_of_the_signature(here: Path, key: str, run: Run) -> None:
    """Checked, there and not checked, or none."""

    def told(*flags: str) -> tuple[str, str | None]:
        code, out, _ = run(bundles, "verify", "digits", "--json", *flags)
        assert code == 0
        result = json.loads(out)
        return result["signature"], result["signed_by"]

    assert told("--trusted-keys", "trusted") == ("trusted", key)
    assert told() == ("unchecked", None)
    assert "not checked: give --trusted-keys" in run(bundles, "verify", "digits")[1]
    Path("bundles/digits/digits-1.bundle.sig").unlink()
    assert told("--trusted-keys", "trusted") == ("none", None)
    assert "not signed" in run(bundles, "verify", "digits")[1]


def test_only_a_sound_bundle_is_signed(here: Path, run: Run) -> None:
    """And only the one that was meant."""
    path = Path("bundles/digits/digits-1.bundle")
    zeros = "sha256:" + "0" * 64
    sign = (bundles, "sign", "digits@1", "--key", "ops.key")
    code, _, err = run(*sign, "--expect-digest", zeros)
    assert (code, "not the bundle that you trust" in err) == (78, True)
    path.write_bytes(path.read_bytes()[:-1])
    assert run(*sign)[0] == 78
    assert [entry.name for entry in path.parent.glob("*.sig")] == []


def test_an_unsigned_bundle_can_be_shown_and_signed_where_signatures_are_required(
    here: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody must be able to sign the first bundle, and to replace another key's signature."""
    monkeypatch.setenv("BATCHDIGITS_REQUIRE_SIGNATURE", "1")
    monkeypatch.setenv("BATCHDIGITS_TRUSTED_KEYS", "trusted")
    assert run(bundles, "verify", "digits")[0] == 78
    assert run(bundles, "show", "digits")[0] == 0
    assert run(bundles, "keygen", "stranger")[0] == 0
    for name, verified in (("stranger", 78), ("ops", 0)):
        sign = (bundles, "sign", "digits", "--key", f"{name}.key", "--overwrite")
        assert run(*sign)[0] == 0
        assert run(bundles, "verify", "digits")[0] == verified


def test_a_key_with_a_passphrase_signs_with_it_alone(here: Path, run: Run) -> None:
    Path("phrase").touch(mode=0o600)
    Path("phrase").write_text("open sesame\n")
    assert run(bundles, "keygen", "locked", "--passphrase-file", "phrase")[0] == 0
    sign = (bundles, "sign", "digits@1", "--key", "locked.key")
    code, _, err = run(*sign)
    assert (code, "give its --passphrase-file" in err) == (2, True)
    assert run(*sign, "--passphrase-file", "phrase")[0] == 0


def test_a_checked_signature_changes_no_output(here: Path, key: str, run: Run) -> None:
    """A file that was scored without one stays unchanged, and so does its receipt."""
    score = (predict, "forms.parquet", "--bundle", "digits@1")
    assert run(*score)[0] == 0
    receipt = Path("forms.receipt.json").read_bytes()
    code, out, _ = run(*score, "--require-signature", "--trusted-keys", "trusted")
    assert (code, json.loads(out)["inputs"][0]["status"]) == (0, "unchanged")
    assert Path("forms.receipt.json").read_bytes() == receipt


def test_a_receipt_from_before_signatures_still_counts(here: Path, run: Run) -> None:
    """It has no `signed_by`; its input is unchanged all the same, and it can be verified."""
    score = (predict, "forms.parquet", "--bundle", "digits@1")
    assert run(*score)[0] == 0
    receipt = Path("forms.receipt.json")
    document = json.loads(receipt.read_text())
    del document["bundle"]["signed_by"]
    receipt.write_text(json.dumps(document))
    _, out, _ = run(*score)
    assert json.loads(out)["inputs"][0]["status"] == "unchanged"
    assert run(receipts, "verify", receipt)[0] == 0


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        ((), 0),
        (("--bundle", "digits@1"), 0),
        (("--bundle", "digits@1", "--require-signature", "--trusted-keys", "trusted"), 69),
    ],
)
def test_without_cryptography_only_signatures_are_missing(
    flags: tuple[str, ...], code: int, here: Path, key: str
) -> None:
    """The base install scores signed and unsigned bundles until it must check a signature."""
    script = (
        "import sys; sys.modules['cryptography'] = None; from batchdigits import predict; "
        "sys.exit(predict.main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "forms.parquet", *flags],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert ("pip install '.[sign]'" in done.stderr) == (code == 69)


def test_nothing_of_it_is_imported_for_a_plain_run(here: Path) -> None:
    """Neither for help nor for scoring without keys."""
    script = (
        "import sys; from batchdigits import predict; code = predict.main(['forms.parquet']); "
        "sys.exit(code or 'cryptography' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], env=ENVIRONMENT, check=False)
    assert done.returncode == 0
