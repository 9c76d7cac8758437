"""Which bundle a command means: by path, by name, by variable, or the one in the package."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import pytest
from paths import FORMAT_1_BUNDLE, ROOT

from batchdigits.archive.signing import ANY_BUNDLE
from batchdigits.errors import BundleError, UsageError
from batchdigits.store.choice import BundleChoice, open_store, packaged_bundle
from batchdigits.store.store import Store


def content(version: int) -> bytes:
    return f"bundle {version}".encode()


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "deep" / "store")


def path_of(bundle: str | None, store: str | None) -> Path:
    return BundleChoice(bundle, store).find(open_store(store))


def test_without_anything_the_packaged_bundle_is_used() -> None:
    """The tool scores on a fresh machine."""
    assert path_of(None, None) == packaged_bundle()
    assert packaged_bundle().parts[-3:] == ("batchdigits", "data", "digits-3.bundle")


def test_a_store_without_a_bundle_is_a_usage_error(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No silent fallback to the packaged bundle, whether by flag or by variable."""
    store.publish("digits", content)
    with pytest.raises(UsageError, match="it has digits"):
        path_of(None, str(store.folder))
    monkeypatch.setenv("BATCHDIGITS_STORE", str(store.folder))
    with pytest.raises(UsageError, match="--bundle"):
        path_of(None, None)


def test_the_environment_stands_in_for_the_flags(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flag goes before its variable."""
    store.publish("digits", content)
    store.publish("letters", content)
    monkeypatch.setenv("BATCHDIGITS_STORE", str(store.folder))
    monkeypatch.setenv("BATCHDIGITS_BUNDLE", "digits@1")
    assert path_of(None, None) == store.path("digits", 1)
    assert path_of("letters", None) == store.path("letters", 1)
    with pytest.raises(BundleError, match="elsewhere"):
        path_of(None, "elsewhere")


def test_the_default_store_is_bundles(tmp_path: Path) -> None:
    """In the current folder."""
    Store("bundles").publish("digits", content)
    assert path_of("digits", None) == Path("bundles/digits/digits-1.bundle")


def test_a_path_is_told_from_a_name(tmp_path: Path, store: Store) -> None:
    """By its slash or its suffix, never by what happens to be in the folder."""
    store.publish("digits", content)
    (tmp_path / "digits").write_text("a file named like a bundle")
    (tmp_path / "mine.bundle").write_text("")
    assert path_of("digits", str(store.folder)) == store.path("digits", 1)
    assert path_of("./digits", str(store.folder)) == Path("./digits")
    assert path_of("mine.bundle", None) == Path("mine.bundle")
    with pytest.raises(BundleError, match=r"absent\.bundle: no such file.*it has digits"):
        path_of("absent.bundle", str(store.folder))
    with pytest.raises(BundleError, match="is not the name of a bundle"):
        path_of("", str(store.folder))


def test_flags_become_a_choice_and_other_flags_are_ignored() -> None:
    """A subcommand that calls its bundle REF hands it over by the field's name."""
    flags = argparse.Namespace(reference="digits@1", store="s", engine="keras", json=True)
    assert BundleChoice.of_flags(flags, bundle=flags.reference) == BundleChoice(
        "digits@1", "s", engine="keras"
    )


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (BundleChoice(store=""), "--store is empty"),
        (BundleChoice(expect_digest="abc"), "64 lower-case hexadecimal digits"),
        (BundleChoice(trusted_keys=""), "--trusted-keys is empty"),
        (BundleChoice(engine="torch"), "'torch' is unknown; use onnx or keras"),
    ],
)
def test_what_no_bundle_could_fit_is_refused_before_anything_is_read(
    choice: BundleChoice, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        choice.checked()


def test_a_file_of_the_store_must_hold_what_its_name_says(store: Store) -> None:
    """A path outside of the store may have any name."""
    store.publish("digits", lambda _: FORMAT_1_BUNDLE.read_bytes())
    choice = BundleChoice("digits", store.folder)
    assert choice.checked().load().facts["version"] == "1"
    store.path("digits", 1).rename(store.path("digits", 7))
    with pytest.raises(
        BundleError, match=r"digits-7\.bundle: holds digits@1: give the file its old name"
    ):
        choice.load()
    store.path("digits", 7).rename("other.bundle")
    assert BundleChoice("other.bundle", store.folder).load().path == Path("other.bundle")


def test_trust_of_the_caller_takes_the_place_of_the_variables(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BATCHDIGITS_REQUIRE_SIGNATURE", "1")
    with pytest.raises(BundleError, match="a signature is required"):
        BundleChoice(FORMAT_1_BUNDLE).load()
    assert BundleChoice(FORMAT_1_BUNDLE).load(ANY_BUNDLE).signed_by is None


def test_a_choice_imports_nothing_heavy() -> None:
    """Wrong usage is refused before NumPy is loaded."""
    script = """
import sys
from batchdigits.store.choice import BundleChoice
BundleChoice("digits", "store").checked()
print(sorted({"numpy", "pyarrow", "onnxruntime"} & set(sys.modules)))
"""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "[]\n"
