"""Addresses of objects: what is one, what is refused, and that no secret is repeated."""

import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT, SAMPLE_DATA

from batchdigits.errors import MissingExtraError, UsageError
from batchdigits.files.objects.address import Address, is_object, masked
from batchdigits.files.objects.path import ObjectPath, as_path
from batchdigits.predict import main


@pytest.mark.parametrize(
    ("url", "bucket", "key"),
    [
        ("s3://b/day=1/a.csv", "b", "day=1/a.csv"),
        ("gs://b.example/a b/ü%20#.parquet", "b.example", "a b/ü%20#.parquet"),
        ("az://c/", "c", ""),
        ("s3://b/folder/", "b", "folder"),
    ],
)
def test_an_address_has_a_bucket_and_a_key(url: str, bucket: str, key: str) -> None:
    address = Address.parse(url)
    assert (address.bucket, address.key) == (bucket, key)
    assert str(address) == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        "s3://user:hunter2@b/a.csv",
        "s3://b/a.csv?X-Amz-Signature=hunter2",
        "az://c/a.csv?sv=1&sig=hunter2",
        "s3://hunter2@b/a.csv",
    ],
)
def test_an_address_with_a_secret_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(UsageError, match="must hold no user, password or signature") as caught:
        Address.parse(url)
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in masked(url)


@pytest.mark.parametrize("url", ["s3://", "s3:///a", "s3://b//a", "s3://b/../a", "s3://b/./a"])
def test_an_address_that_is_not_one_object_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="s3://"):
        Address.parse(url)


def test_a_path_of_an_object_has_names_and_parents_and_no_local_file() -> None:
    path = ObjectPath("s3://b/day=1/a.csv")
    assert (path.name, str(path.parent)) == ("a.csv", "s3://b/day=1")
    assert str(path.with_name("x") / "y") == "s3://b/day=1/x/y"
    assert path.relative_to(path.parent.parent).as_posix() == "day=1/a.csv"
    with pytest.raises(UsageError, match="only a local file"):
        open(path)  # noqa: PTH123, SIM115  # it must not open


def test_a_folder_of_such_a_name_is_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_object("s3://b/x")
    Path("s3:").mkdir()
    assert not is_object("s3://b/x")
    assert as_path("s3://b/x") == Path("s3:/b/x")


@pytest.mark.parametrize("scheme", ["s3", "gs", "az"])
def test_without_the_extra_an_address_is_refused_with_its_name(
    scheme: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Such a name once became the local folder `s3:`, and the run ended with 0."""
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.chdir(tmp_path)
    sample, url = str(SAMPLE_DATA / "digits.parquet"), f"{scheme}://bucket/x"
    with pytest.raises(MissingExtraError):
        as_path(url)
    for arguments in (
        [f"{url}.parquet"],
        [sample, "--output", f"{url}/"],
        [sample, "--output", f"{url}.parquet"],
        [sample, "--output", "out/", "--bundle", f"{url}.bundle"],
        [sample, "--output", "out/", "--bundle", "digits", "--store", url],
    ):
        assert main(arguments) == 69
        error = capsys.readouterr().err
        assert "install the extra cloud: pip install '.[cloud]'" in error
        assert url in error
    assert list(tmp_path.iterdir()) == []


def test_a_run_on_local_files_imports_no_client_of_object_storage(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from batchdigits.predict import main\n"
        "code = main(sys.argv[1:])\n"
        "assert 'obstore' not in sys.modules and 'boto3' not in sys.modules\n"
        "sys.exit(code)"
    )
    arguments = [str(SAMPLE_DATA / "digits.parquet"), "--output", f"{tmp_path}/o.parquet"]
    done = subprocess.run([sys.executable, "-c", program, *arguments], cwd=ROOT, check=False)
    assert done.returncode == 0
