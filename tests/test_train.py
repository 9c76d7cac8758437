import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from batchdigits import train
from batchdigits.errors import UsageError
from batchdigits.training.options import TrainOptions

HEAVY = ("tensorflow", "keras", "sklearn", "pandas", "joblib", "onnx", "pyarrow", "numpy")


def run(*words: str, store: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "batchdigits.train", *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "BATCHDIGITS_STORE": str(store)},
    )


def test_help_answers_without_heavy_imports() -> None:
    code = (
        "import sys; from batchdigits import train\n"
        "try: train.main(['--help'])\n"
        "except SystemExit: pass\n"
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert "examples:\n  python -m batchdigits.train\n" in done.stdout


def test_the_flags_are_the_options() -> None:
    """No flag gives the defaults of `TrainOptions`, and every option but `created` has a flag."""
    assert train._options(train.parser().parse_args([])) == TrainOptions()
    words = "--arch cnn --layers 3 --early-stopping 4 --scale 255 --no-header --overwrite"
    options = train._options(train.parser().parse_args(words.split()))
    assert options.settings == {"arch": "cnn", "layers": 3, "early_stopping": 4}
    assert (options.rows.scale, options.rows.header, options.overwrite) == (255, False, True)


def test_shares_are_written_either_way() -> None:
    arguments = train.parser().parse_args(["--test-share", "25%", "--dropout", "0.2"])
    options = train._options(arguments)
    assert (options.test_share, options.settings["dropout"]) == (0.25, 0.2)
    for flag in ("--test-share", "--dropout"):
        for wrong in ("5,5%", "half", "101%"):
            with pytest.raises(UsageError, match=f"argument {flag}: '{wrong}' is"):
                train.parser().parse_args([flag, wrong])


@pytest.mark.parametrize(
    "words",
    [
        ["--delimiter", "xx"],
        ["--scale", "-1"],
        ["--pixels", "a,b"],
        ["--split-seed", "-1"],
        ["--test-share", "1"],
        ["--test-share", "0", "--folds", "1"],
        ["--units", "0"],
        ["--max-error", "half"],
        ["--study", "x.study"],
    ],
)
def test_wrong_usage_is_refused_before_a_framework_is_imported(
    words: list[str], tmp_path: Path
) -> None:
    code = (
        "import sys; from batchdigits import train\n"
        f"code = train.main({[*words, '--output', str(tmp_path / 'b.bundle')]})\n"
        "heavy = {'tensorflow', 'sklearn', 'onnx', 'numpy', 'pyarrow'} & set(sys.modules)\n"
        "print(code, sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "2 []\n", done.stderr
    assert done.stderr.startswith(f"batchdigits.train: error: {words[-2]}")


def test_folds_without_a_use_are_refused(tmp_path: Path) -> None:
    """With rows held out they would change nothing: also the default when it is spelt out."""
    for words in (["--folds", "10"], ["--folds", "5", "--test-share", "0.2"]):
        done = run(*words, store=tmp_path)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert "add --test-share 0, or leave --folds out" in done.stderr
    words = ["--test-share", "0", "--folds", "5"]
    assert train._options(train.parser().parse_args(words)).folds == 5


def test_a_run_prints_one_json_line_and_no_framework_noise(tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    done = run("--epochs", "2", "--units", "16", "--copies", "1", store=tmp_path / "bundles")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert done.stdout.count("\n") == 1
    assert summary["bundle"] == str(tmp_path / "bundles" / "digits" / "digits-1.bundle")
    assert (summary["name"], summary["version"], summary["rows"]) == ("digits", "1", 1797)
    lines = done.stderr.splitlines()
    assert lines[0] == f"accuracy {summary['accuracy']:.4f} on 540 held-out rows"
    assert lines[-1].startswith("trained digits 1: 2 epochs on 1257 of 1797 rows")
    # One line of accuracy, a table of ten classes, a matrix of ten, what was done: nothing else.
    assert len(lines) == 1 + 1 + 11 + 1 + 1 + 11 + 1


def test_an_unusable_file_is_one_line_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first in a process of its own, where TensorFlow could print something on its import."""
    data, store = tmp_path / "rows.csv", tmp_path / "bundles"
    data.write_text(",".join(f"pixel_{i}" for i in range(64)) + ",digit\n")
    done = run("--data", str(data), store=store)
    ended = [(done.returncode, 65, done.stdout, done.stderr)]
    for words, code in (
        (("--data", str(tmp_path / "none.csv")), 66),
        (("--arch", "lenet"), 2),
        (("--scale", "-1"), 2),
    ):
        returned = train.main([*words, "--store", str(store)])
        ended.append((returned, code, *capsys.readouterr()))
    for returned, code, stdout, stderr in ended:
        assert (returned, stdout) == (code, ""), stderr
        assert stderr.count("\n") == 1
        assert stderr.startswith("batchdigits.train: error: ")
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


def test_shapes_of_digits_need_the_labels_of_digits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where 1 and 7 alone are classes, a drawn 3 would be of none."""
    data = tmp_path / "rows.csv"
    header = ",".join([*(f"pixel_{i}" for i in range(64)), "label"])
    rows = [",".join([str(i), *["8"] * 63, label]) for i, label in enumerate("1717")]
    data.write_text("\n".join([header, *rows]) + "\n")
    words = ["--data", str(data), "--shapes", "2", "--store", str(tmp_path / "bundles")]
    assert train.main(words) == 2
    stdout, stderr = capsys.readouterr()
    assert stdout == ""
    assert stderr == (
        "batchdigits.train: error: --shapes 2: needs the labels 0 to 9, all ten; leave it out\n"
    )


def test_the_data_are_read_before_the_frameworks_are_imported(tmp_path: Path) -> None:
    """A file that is missing or bad is named at once, not after seconds of imports."""
    (tmp_path / "bad.csv").write_text("a,label\n1,2\n")
    code = (
        "import sys\n"
        "from batchdigits import train\n"
        "codes = [train.main(['--data', name, '--output', 'b.bundle']) for name in sys.argv[1:]]\n"
        "print(codes, 'tensorflow' in sys.modules)"
    )
    command = [sys.executable, "-c", code, "none.csv", "bad.csv"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "[66, 65] False\n"
    assert [line.split(": ")[2] for line in done.stderr.splitlines()] == ["none.csv", "bad.csv"]


def test_a_missing_extra_names_what_to_install(tmp_path: Path) -> None:
    """As on a machine that only predicts."""
    code = (
        "import importlib.util, sys\n"
        "real = importlib.util.find_spec\n"
        "importlib.util.find_spec = "
        "lambda name, *rest: None if name in ('keras', 'tf2onnx') else real(name, *rest)\n"
        "from batchdigits import train\n"
        f"sys.exit(train.main(['--output', {str(tmp_path / 'b.bundle')!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 69
    assert done.stderr == (
        "batchdigits.train: error: training needs keras, tf2onnx: "
        "install the extra train: pip install '.[train]' in batchdigits' checkout\n"
    )


def test_an_unknown_flag_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="--help"):
        train.parser().parse_args(["--epoch", "3"])
