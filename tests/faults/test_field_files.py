"""Files in the spellings of public ones: scored right with the flags that the message names.

The shared files are used where they are; files of the same kinds are made here.
"""

from __future__ import annotations

import io
import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from paths import shared_data

from batchdigits.predict import main

# For each shared file what its refusal says, None if it is scored as it is.
SHARED = {
    "785-columns.csv": ": its 785 columns look like images of 28x28 .*batchdigits forms cells",
    "aligned.txt": "use --delimiter whitespace --no-header$",
    "array-8x8.parquet": None,
    "comment-lines.csv": "use --comment '#'$",
    "cp1252.csv": "use --encoding cp1252$",
    "decimal-comma.csv": "use --delimiter ';' --decimal ','$",
    "empty-names.csv": "use --skip-lines 1 --no-header$",
    "int96.parquet": None,
    "label-first.csv": r"--no-header; with that: .* is a label: .*--pixels 'column_\{2\.\.65\}'",
    "leading-dot.csv": "add --scale 1; nothing was published",
    "lines.json": "is JSON, or lines of JSON; make it CSV or Parquet",
    "savetxt.csv": "use --no-header$",
    "semicolon-63-columns.csv": "--delimiter ';'; with that: 62 of the 64 .* missing 'a1', 'a40'",
    "title-line.csv": "use --skip-lines 1$",
    "trailing-delimiter.csv": None,
    "zero-padded.csv": r"use --pixels 'f\{000\.\.063\}'$",
}


@pytest.fixture
def predict(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, dict[str, object]]]:
    """Score a file and return exit code, error and summary."""

    def run(path: Path, *flags: str) -> tuple[int, str, dict[str, object]]:
        output = [] if "--output" in flags else ["--output", f"{tmp_path}/out/"]
        code = main([str(path), *output, *flags])
        ran = capfd.readouterr()
        return code, ran.err.strip(), json.loads(ran.out)

    return run


@pytest.mark.parametrize("name", SHARED)
def test_a_shared_file_is_scored_with_the_flags_that_its_message_names(
    name: str, predict: Callable[..., tuple[int, str, dict[str, object]]]
) -> None:
    path = shared_data() / "field" / name
    if not path.exists():
        pytest.skip(f"{path} is not there")
    code, error, summary = predict(path)
    message = SHARED[name]
    if message is None:
        assert (code, summary["rows_rejected"]) == (0, 0), error
        return
    assert code == 65
    assert re.search(message, error), error
    if name == "leading-dot.csv":
        code, error, summary = predict(path, "--scale", "1")
        assert (code, summary["rows_rejected"]) == (0, 0), error
    flags = re.search(r": use (--\S[^:;]*(?:'[^']*'[^:;]*)*)$", error)
    if flags or name in ("label-first.csv", "savetxt.csv"):
        words = shlex.split(flags.group(1)) if flags else ["--no-header"]
        more = ["--pixels", "column_{2..65}"] if name == "label-first.csv" else []
        code, error, summary = predict(path, *words, *more)
        assert (code, summary["rows_rejected"]) == (0, 0), error


def digits() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    data = load_digits()
    return data.data[:60], data.target[:60]


def saved(rows: np.ndarray, **how: str) -> str:
    text = io.StringIO()
    np.savetxt(text, rows, **how)
    return text.getvalue()


def r_table(rows: np.ndarray, labels: np.ndarray) -> str:
    names = " ".join(f'"V{i}"' for i in range(1, 65)) + ' "label"\n'
    lines = [
        " ".join([f'"{i}"', *(f"{v:g}" for v in row), f'"{label}"'])
        for i, (row, label) in enumerate(zip(rows, labels, strict=True), start=1)
    ]
    return names + "\n".join(lines) + "\n"


NAMES = ",".join(f"pixel_{i}" for i in range(64))
MADE: dict[str, Callable[[np.ndarray, np.ndarray], tuple[str, list[str]]]] = {
    "numpy.savetxt": lambda x, y: (saved(x), ["--delimiter", " ", "--no-header"]),
    "numpy.savetxt with a header": lambda x, y: (
        saved(x, delimiter=",", header=NAMES, comments=""),
        [],
    ),
    "MATLAB": lambda x, y: (
        saved(x, fmt="%16.7e", delimiter=""),
        ["--delimiter", "whitespace", "--no-header"],
    ),
    "R's write.table": lambda x, y: (r_table(x, y), ["--delimiter", " "]),
    "German Excel": lambda x, y: (
        "sep=;\n"
        + NAMES.replace(",", ";")
        + "\n"
        + saved(x, fmt="%.2f", delimiter=";").replace(".", ","),
        ["--skip-lines", "1", "--delimiter", ";", "--decimal", ","],
    ),
    "ARFF": lambda x, y: (
        "% made by Weka\n@relation digits\n"
        + "@attribute a numeric\n" * 65
        + "@data\n"
        + saved(np.c_[x, y], fmt="%d", delimiter=","),
        ["--skip-lines", "68", "--no-header"],
    ),
    "libsvm's counts": lambda x, y: (
        "60,64\n" + saved(x, fmt="%g", delimiter=","),
        ["--skip-lines", "1", "--no-header"],
    ),
    "labels in front": lambda x, y: (
        saved(np.c_[y, x], fmt="%d", delimiter=","),
        ["--no-header", "--pixels", "column_{2..65}"],
    ),
    "semicolons at the end": lambda x, y: (
        NAMES + "\n" + saved(x, fmt="%d", delimiter=",", newline=",\n"),
        [],
    ),
}


@pytest.mark.parametrize("kind", MADE)
def test_a_file_of_another_tool_gives_the_digits_of_the_plain_one(
    kind: str, tmp_path: Path, predict: Callable[..., tuple[int, str, dict[str, object]]]
) -> None:
    rows, labels = digits()
    text, flags = MADE[kind](rows, labels)
    path = tmp_path / "in.csv"
    path.write_text(text)
    if flags:
        code, error, _ = predict(path)
        assert code == 65
        for word in flags:
            assert word in error, (word, error)
    code, error, summary = predict(path, *flags, "--output", str(tmp_path / "out.parquet"))
    assert (code, summary["rows_in"], summary["rows_rejected"]) == (0, 60, 0), error
    predicted = pq.read_table(tmp_path / "out.parquet")["prediction"].to_pylist()
    assert np.mean([int(p) == y for p, y in zip(predicted, labels, strict=True)]) > 0.95


def test_images_as_lists_of_rows_give_the_digits_of_the_plain_file(
    tmp_path: Path, predict: Callable[..., tuple[int, str, dict[str, object]]]
) -> None:
    rows, labels = digits()
    lists = pa.array(rows.reshape(-1, 8, 8).tolist(), pa.list_(pa.list_(pa.float32())))
    pq.write_table(pa.table({"pixels": lists}), tmp_path / "in.parq")
    code, error, _ = predict(tmp_path / "in.parq", "--output", str(tmp_path / "out.parquet"))
    assert code == 0, error
    predicted = pq.read_table(tmp_path / "out.parquet")["prediction"].to_pylist()
    assert np.mean([int(p) == y for p, y in zip(predicted, labels, strict=True)]) > 0.95


@pytest.mark.parametrize("share", [0.1, 1.0])
def test_values_above_the_range_are_data_whatever_their_decimal_sign(
    share: float, tmp_path: Path, predict: Callable[..., tuple[int, str, dict[str, object]]]
) -> None:
    rows, _ = digits()
    rows = rows.copy()
    rows[: int(60 * share), 20] = 255.5
    text = saved(rows, fmt="%.2f", delimiter=";").replace(".", ",")
    path = tmp_path / "in.csv"
    path.write_text(NAMES.replace(",", ";") + "\n" + text)
    code, error, summary = predict(path, "--delimiter", ";", "--decimal", ",")
    assert code in (3, 65), error
    assert "out-of-range" in error or "scaled" in error
    assert share == 1 or summary["reasons"] == {"out-of-range": 6}


def test_rows_are_grouped_by_times_of_a_zone_that_does_not_exist(tmp_path: Path) -> None:
    from batchdigits.api import evaluate

    rows, labels = digits()
    pixels = {f"pixel_{i}": rows[:, i].astype(np.uint8) for i in range(64)}
    times = pa.array([0] * 60, pa.timestamp("us", "Mars/Olympus_Mons"))
    path = tmp_path / "in.parquet"
    pq.write_table(pa.table({**pixels, "at": times, "label": labels}), path)
    (group,) = evaluate(path, by=["at"]).groups
    assert group.values == ("1970-01-01 00:00:00.000000",)
