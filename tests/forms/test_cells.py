"""The command `forms cells`: folders of crops to rows, rejects and a receipt."""

import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from crops import crop, label, png_bomb
from paths import DIGITS_2_BUNDLE
from PIL import Image
from processes import run_command

from batchdigits.files.digest import digest_file
from batchdigits.forms.__main__ import main
from batchdigits.forms.cell import normalise
from batchdigits.forms.columns import CELLS
from batchdigits.predict import main as predict


def save(path: Path, picture: np.ndarray, kind: str | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path, kind)


@pytest.fixture
def crops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Ten digits and a blank as PNG, BMP and TIFF, in `crops/`; we are beside it."""
    monkeypatch.chdir(tmp_path)
    for number in range(10):
        suffix = ("png", "bmp", "tif")[number % 3]
        save(tmp_path / "crops" / f"{number}.{suffix}", crop(number))
    save(tmp_path / "crops" / "blank.png", np.full((30, 30), 255, np.uint8))
    return tmp_path / "crops"


class Run:
    """Runs the command with one worker; keeps the summary and standard error."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.summary: dict[str, Any] = {}
        self.err = ""

    def __call__(self, *arguments: str, output: str = "rows.parquet") -> int:
        code = main(["cells", *arguments, "--output", output, "--workers", "1"])
        captured = self._capsys.readouterr()
        self.summary = json.loads(captured.out) if captured.out else {}
        self.err = captured.err
        return code


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(capsys)


def rejects() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table("rows.forms.rejects.parquet").to_pylist()
    return rows


def test_every_crop_of_a_folder_becomes_a_row_in_order(crops: Path, run: Run) -> None:
    assert run("crops") == 0
    table = pq.read_table("rows.parquet")
    assert table.schema.equals(CELLS)
    names = [f"crops/{number}.{('png', 'bmp', 'tif')[number % 3]}" for number in range(10)]
    assert table["file"].to_pylist() == [*names, "crops/blank.png"]
    assert table["pixels"][4].as_py() == normalise(crop(4) < 128).tolist()
    assert table["width"].to_pylist() == [80] * 10 + [30]
    assert table["blank"].to_pylist() == [False] * 10 + [True]
    assert table["ink"][0].as_py() == (crop(0) < 128).sum()
    picture = Image.open(io.BytesIO(table["image"][3].as_py()))
    assert (np.asarray(picture.convert("L")) == crop(3)).all()
    assert run.summary == {
        "exit_code": 0,
        "seconds": run.summary["seconds"],
        "output": "rows.parquet",
        "rejects": None,
        "receipt": "rows.forms.receipt.json",
        "status": "made",
        "crops_in": 11,
        "rows": 11,
        "blank": 1,
        "rejected": 0,
        "reasons": {},
    }
    assert sorted(path.name for path in Path().iterdir()) == [
        "crops",
        "rows.forms.receipt.json",
        "rows.parquet",
    ]


def test_the_rows_go_straight_into_predict(crops: Path, run: Run) -> None:
    run("crops/[0-9].*")
    assert predict(["rows.parquet", "--bundle", str(DIGITS_2_BUNDLE)]) == 0
    table = pq.read_table("rows.predictions.parquet")
    assert table["prediction"].to_pylist() == [label(number) for number in range(10)]
    assert table["file"].to_pylist()[0] == "crops/0.png"
    assert "image" in table.column_names


def test_a_folder_and_its_zip_give_the_same_rows(crops: Path, run: Run) -> None:
    with zipfile.ZipFile("crops.zip", "w") as archive:
        for path in sorted(crops.iterdir()):
            archive.write(path, path.name)
    run("crops")
    run("crops.zip", output="zipped.parquet")
    of_folder, zipped = pq.read_table("rows.parquet"), pq.read_table("zipped.parquet")
    names = [name.replace("crops/", "crops.zip/") for name in of_folder["file"].to_pylist()]
    assert zipped["file"].to_pylist() == names
    assert zipped.drop(["file"]).equals(of_folder.drop(["file"]))


@pytest.mark.parametrize(
    ("folders", "labels"),
    [
        (("3", "10"), pa.array([10, 3])),
        (("three", "10"), pa.array(["10", "three"])),
    ],
)
def test_subfolders_name_labels(
    folders: tuple[str, str], labels: pa.Array, crops: Path, run: Run
) -> None:
    for folder in folders:
        save(crops / "by label" / folder / "a.png", crop())
    assert run("crops/by label") == 0
    assert pq.read_table("rows.parquet")["label"].combine_chunks() == labels
    assert run("crops", "--overwrite") == 0
    assert "label" not in pq.read_table("rows.parquet").column_names


FAULTS = {
    "bomb.png": "too-large",
    "cut.tif": "damaged",
    "empty.png": "not-a-picture",
    "full.png": "all-ink",
    "many.tif": "several-pictures",
    "really-a-jpeg.png": "wrong-name",
    "text.png": "not-a-picture",
    "tiny.png": "too-small",
}


def add_faults(folder: Path) -> None:
    save(folder / "really-a-jpeg.png", crop(), "JPEG")
    save(folder / "tiny.png", np.zeros((4, 4), np.uint8))
    save(folder / "full.png", np.zeros((40, 40), np.uint8))
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.png").write_text("no picture")
    pages = [Image.fromarray(crop(number)) for number in range(3)]
    pages[0].save(folder / "many.tif", save_all=True, append_images=pages[1:])
    (folder / "cut.tif").write_bytes((folder / "many.tif").read_bytes()[:3000])
    (folder / "bomb.png").write_bytes(png_bomb(10_000))


def test_a_crop_that_cannot_be_used_is_a_reject_and_the_others_go_on(crops: Path, run: Run) -> None:
    add_faults(crops)
    assert run("crops") == 3
    assert {Path(row["file"]).name: row["reason"] for row in rejects()} == FAULTS
    assert all(row["detail"] for row in rejects())
    assert run.summary["crops_in"] == run.summary["rows"] + run.summary["rejected"] == 19
    assert list(run.summary["reasons"]) == [
        *("not-a-picture", "wrong-name", "too-large", "damaged"),
        *("several-pictures", "too-small", "all-ink"),
    ]
    assert run.err.count("\n") == 1
    assert "8 of 19 crops were rejected (2 not-a-picture, 1 wrong-name" in run.err
    assert pq.read_table("rows.parquet").num_rows == 11
    assert run("crops", "--max-rejects", "50%") == 0
    assert run.err == ""


def test_several_processes_write_the_same_bytes(crops: Path, run: Run) -> None:
    add_faults(crops)
    for number in range(70):
        shutil.copy(crops / "1.bmp", crops / f"copy-{number:03}.bmp")
    run("crops")
    result = run_command(
        *("forms", "cells", "crops", "--output", "two.parquet", "--workers", "2"),
        cwd=Path(),
    )
    assert result.returncode == 3
    assert result.stderr.count("\n") == 1
    for one, two in (("rows", "two"), ("rows.forms.rejects", "two.forms.rejects")):
        assert Path(f"{one}.parquet").read_bytes() == Path(f"{two}.parquet").read_bytes()


def test_names_of_any_bytes_and_many_letters_are_kept(crops: Path, run: Run) -> None:
    """Bytes that are not UTF-8 become escapes, in rows, labels and rejects."""
    odd = os.fsdecode(b"b\xe4d, \n\xc3\xa4")
    (crops / odd).mkdir()
    shutil.copy(crops / "0.png", crops / odd / "ein ä.png")
    (crops / odd / "bad.png").write_text("no picture")
    assert run(str(crops / odd)) == 3
    assert run(f"crops/{odd}", "--max-rejects", "1", "--overwrite") == 0
    assert pq.read_table("rows.parquet")["file"].to_pylist() == ["crops/b\\xe4d, \nä/ein ä.png"]
    assert rejects()[0]["file"] == "crops/b\\xe4d, \nä/bad.png"
    assert run(f"crops/{odd}", "--max-rejects", "1") == 0
    assert run.summary["status"] == "unchanged"


def test_an_input_that_a_glob_finds_is_never_overwritten(crops: Path, run: Run) -> None:
    shutil.copy(crops / "0.png", "rows.parquet")
    before = Path("rows.parquet").read_bytes()
    assert run("row*", "--overwrite") == 2
    assert "rows.parquet: is an input" in run.err
    assert Path("rows.parquet").read_bytes() == before


@pytest.mark.parametrize("name", ["rows.parquet", "link.parquet"])
def test_an_input_is_never_overwritten(name: str, crops: Path, run: Run) -> None:
    run("crops")
    Path("link.parquet").symlink_to("rows.parquet")
    before = Path("rows.parquet").read_bytes()
    assert run(name, "--overwrite") == 2
    assert f"{name}: is an input, and rows.parquet would overwrite it" in run.err
    assert Path("rows.parquet").read_bytes() == before


def test_without_any_usable_crop_nothing_is_published(tmp_path: Path, run: Run) -> None:
    folder = tmp_path / "crops"
    save(folder / "a.png", np.zeros((40, 40), np.uint8))
    assert run(str(folder), output=str(tmp_path / "rows.parquet")) == 65
    assert "none of the 1 crops can be used, 1 are all-ink (nearly all of" in run.err
    assert "a.png: is nearly all ink; cut it with some paper around it\n" in run.err
    assert [path.name for path in tmp_path.iterdir()] == ["crops"]


def test_the_same_work_is_not_done_twice(crops: Path, run: Run) -> None:
    run("crops")
    before = Path("rows.parquet").stat().st_mtime_ns
    first = run.summary
    assert run("crops") == 0
    assert run.summary["status"] == "unchanged"
    assert {**run.summary, "status": "made", "seconds": first["seconds"]} == first
    assert Path("rows.parquet").stat().st_mtime_ns == before


@pytest.mark.parametrize("change", ["another crop", "other bytes", "another option", "no receipt"])
def test_other_work_does_not_replace_rows_without_overwrite(
    change: str, crops: Path, run: Run
) -> None:
    run("crops")
    before = Path("rows.parquet").read_bytes()
    options = []
    if change == "another crop":
        save(crops / "z.png", crop(12))
    elif change == "other bytes":
        save(crops / "0.png", crop(12))
    elif change == "another option":
        options = ["--ink", "dark"]
    else:
        Path("rows.forms.receipt.json").unlink()
    assert run("crops", *options) == 73
    assert "rows.parquet: exists already, from other pictures or options; move it" in run.err
    assert Path("rows.parquet").read_bytes() == before
    assert run("crops", *options, "--overwrite") == 0
    assert run.summary["status"] == "made"


def test_rejects_of_an_earlier_run_do_not_outlive_it(crops: Path, run: Run) -> None:
    (crops / "bad.png").write_text("no picture")
    assert run("crops") == 3
    (crops / "bad.png").unlink()
    assert run("crops", "--overwrite") == 0
    assert not Path("rows.forms.rejects.parquet").exists()


def test_the_receipt_says_what_went_in_and_came_out(crops: Path, run: Run) -> None:
    (crops / "bad.png").write_text("no picture")
    run("crops", "--ink", "dark")
    receipt = json.loads(Path("rows.forms.receipt.json").read_text())
    assert (receipt["format"], receipt["kind"], receipt["command"]) == (1, "forms", "cells")
    assert (receipt["exit_code"], receipt["options"]) == (3, {"light_ink": False})
    assert receipt["inputs"]["arguments"] == ["crops"]
    assert receipt["inputs"]["files"] == receipt["crops_in"] == 12
    assert receipt["outputs"]["rows"]["sha256"] == digest_file("rows.parquet")
    assert receipt["outputs"]["rejects"]["path"] == "rows.forms.rejects.parquet"


@pytest.mark.parametrize("damage", [{"rejected": None}, {"blank": "0"}, {"crops_in": 12}])
def test_a_receipt_without_counts_that_add_up_is_of_no_finished_work(
    damage: dict[str, Any], crops: Path, run: Run
) -> None:
    run("crops")
    receipt = Path("rows.forms.receipt.json")
    receipt.write_text(json.dumps({**json.loads(receipt.read_text()), **damage}))
    assert run("crops") == 73
    assert "rows.parquet: exists already" in run.err


def test_a_run_that_was_killed_while_it_published_is_completed(crops: Path, run: Run) -> None:
    """The next run finds the commit, and gives the files their names."""
    run("crops")
    receipt = Path("rows.forms.receipt.json").read_bytes()
    Path("rows.parquet").rename(".rows.parquet.tmp")
    Path("rows.forms.receipt.json").unlink()
    commit = {"receipt": json.loads(receipt), "replaced": [], "overwrite": False}
    Path(".rows.forms.receipt.json.commit").write_text(json.dumps(commit))
    assert run("crops") == 0
    assert run.summary["status"] == "unchanged"
    assert json.loads(Path("rows.forms.receipt.json").read_bytes()) == json.loads(receipt)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["absent.png"], 66, "absent.png: no such file or folder; check the path"),
        (["crops", "--output", "rows.csv"], 2, "--output rows.csv: expected the name of a file th"),
        (["crops", "--output", "no/rows.parquet", "--max-rejects", "x"], 2, "--max-rejects 'x': e"),
        (["crops", "--ink", "blue"], 2, "argument --ink: invalid choice: 'blue'"),
        (["crops", "--output", "crops/0.png/rows.parquet"], 73, "is not a folder"),
    ],
)
def test_an_error_is_one_line(
    arguments: list[str], code: int, message: str, crops: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = [] if "--output" in arguments else ["--output", "rows.parquet"]
    assert main(["cells", *arguments, *output]) == code
    captured = capsys.readouterr()
    assert message in captured.err
    assert (captured.err.count("\n"), captured.out) == (1, "")


def test_without_pillow_the_extra_is_named(
    crops: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert run("crops") == 69
    assert "pictures need Pillow, which is not installed: install the extra forms" in run.err


def test_help_names_every_subcommand_without_numpy_or_pillow() -> None:
    """`--help` imports neither, so that it answers at once."""
    code = (
        "import sys\n"
        "from batchdigits.forms.__main__ import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print({'numpy', 'PIL', 'pyarrow', 'onnxruntime'} & set(sys.modules))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.endswith("set()\n")
    assert "cells" in result.stdout
