"""Inputs that look scaled, inverted, turned or blank as a whole are found; handwriting is not."""

import itertools
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from paths import ROOT, SAMPLE_DATA

import batchdigits
from batchdigits.archive.bundle_file import read_bundle
from batchdigits.archive.reference import Reference, read_reference
from batchdigits.monitoring.suspicion import JUDGED_ROWS, Suspicion
from batchdigits.rows.memory import check_table, to_table
from batchdigits.rows.options import ReadOptions
from batchdigits.store.choice import packaged_bundle

Images = NDArray[Any]
Look = Callable[[Images], Images]

LOOKS: dict[str, tuple[Look, str]] = {
    "transposed": (lambda x: x.transpose(0, 2, 1), "--pixels"),
    "turned by 90 degrees counter-clockwise": (lambda x: np.rot90(x, 1, (1, 2)), "--pixels"),
    "turned by 90 degrees clockwise": (lambda x: np.rot90(x, 3, (1, 2)), "--pixels"),
    "turned by 180 degrees": (lambda x: np.rot90(x, 2, (1, 2)), "--pixels"),
    "mirrored left to right": (lambda x: x[:, :, ::-1], "--pixels"),
    "mirrored top to bottom": (lambda x: x[:, ::-1], "--pixels"),
    "mirrored on its rising diagonal": (
        lambda x: np.rot90(x, 2, (1, 2)).transpose(0, 2, 1),
        "--pixels",
    ),
    "inverted": (lambda x: 16 - x, "write 16 for ink"),
    "scaled to 0..1:": (lambda x: x / 16, "add --scale 1;"),
    "scaled to 0..255": (lambda x: np.rint(x * 255 / 16), "add --scale 255;"),
    "scaled to 0..100": (lambda x: x * 100 / 16, "add --scale 100,"),
    "scaled to 0..1023": (lambda x: x * 1023 / 16, "the largest value seen is 1023; add --scale"),
    "blank": (lambda x: x * 0, "check how the cells were cut out"),
}


@pytest.fixture(scope="module")
def reference() -> Reference:
    return read_reference(read_bundle(packaged_bundle()))


@pytest.fixture(scope="module")
def digits() -> tuple[Images, NDArray[np.int8]]:
    table = pq.read_table(SAMPLE_DATA / "digits.parquet")
    pixels = np.column_stack([table[f"pixel_{i}"].to_numpy() for i in range(64)])
    return pixels.reshape(-1, 8, 8).astype(np.float64), table["label"].to_numpy()


def judge(
    images: Images, reference: Reference, scale: float | None = None, cuts: Sequence[int] = ()
) -> tuple[str | None, str | None]:
    """The verdicts on the first rows and on all rows, for batches that are cut at `cuts`."""
    parts = np.split(images.reshape(-1, 64), sorted(cuts))
    evidence = Suspicion(reference, scale)
    first = None
    for part in parts:
        _, checked = check_table(to_table(part), ReadOptions(scale=scale), 1_000_000)
        for rows in checked:
            first = evidence.add(rows) or first
    return first, evidence.verdict()


def sampled(images: Images, count: int, seed: int = 0) -> Images:
    chosen: Images = images[np.random.default_rng(seed).integers(0, len(images), count)]
    return chosen


@pytest.mark.parametrize("look", LOOKS)
def test_a_look_is_named_with_its_fix(
    look: str, digits: tuple[Images, Any], reference: Reference
) -> None:
    change, fix = LOOKS[look]
    verdict = judge(change(digits[0]), reference)[1]
    assert verdict is not None
    assert look in f"{verdict};"
    assert fix in f"{verdict};"


def test_digits_are_not_suspicious(digits: tuple[Images, Any], reference: Reference) -> None:
    assert judge(digits[0], reference) == (None, None)


def shifted(x: Images, down: int, right: int) -> Images:
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    return padded[:, 1 - down : 9 - down, 1 - right : 9 - right]


def spread(x: Images, combine: Any) -> Images:
    around = [shifted(x, *by) for by in ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0))]
    return combine.reduce(around)  # type: ignore[no-any-return]


def jittered(x: Images) -> Images:
    noise = np.random.default_rng(1).integers(-2, 3, x.shape)
    return np.clip(x + noise, 0, 16)


STYLES: dict[str, Look] = {
    "as they are": lambda x: x,
    "jittered": jittered,
    "blurred": lambda x: spread(x, np.add) / 5,
    "thicker": lambda x: spread(x, np.maximum),
    "thinner": lambda x: np.minimum(x, np.maximum(shifted(x, 0, 1), shifted(x, 1, 0))),
    "fainter": lambda x: x * 0.6,
    "darker": lambda x: np.minimum(x * 1.3, 16),
    "black and white": lambda x: np.where(x > 7, 16.0, 0.0),
    **{
        f"shifted {down} {right}": lambda x, down=down, right=right: shifted(x, down, right)  # type: ignore[misc]
        for down, right in itertools.product((-1, 0, 1), repeat=2)
        if down or right
    },
}


@pytest.mark.parametrize("style", STYLES)
def test_no_style_of_one_class_or_two_is_suspicious(
    style: str, digits: tuple[Images, NDArray[np.int8]], reference: Reference
) -> None:
    """A file may hold one digit only: a 6 upside down looks like a 9, a transposed 0 like a 0."""
    images, labels = digits
    drawn = STYLES[style](images)
    groups = [*itertools.combinations(range(10), 1), *itertools.combinations(range(10), 2)]
    alarms = {
        group: verdict
        for group in groups
        if (verdict := judge(sampled(drawn[np.isin(labels, group)], 500), reference)[1])
    }
    assert alarms == {}


@pytest.mark.parametrize("digit", range(10))
def test_a_transposed_file_of_one_class_is_found(
    digit: int, digits: tuple[Images, NDArray[np.int8]], reference: Reference
) -> None:
    images = digits[0][digits[1] == digit].transpose(0, 2, 1)
    verdict = judge(sampled(images, 500), reference)[1]
    assert verdict is not None
    assert "training data" in verdict


def test_a_wrong_scale_is_found(digits: tuple[Images, Any], reference: Reference) -> None:
    """The input is judged after scaling, and the fix names the values in the file."""
    images = digits[0]
    assert judge(np.rint(images * 255 / 16), reference, scale=255) == (None, None)
    for data, scale, words in (
        (images, 255, "the largest pixel of 1,797 rows is 16, by --scale 255 1 of 16"),
        (images, 255, "leave --scale out"),
        (images / 16, 255, "give --scale 1"),
        (images, 1, "have a pixel above 1, the largest value seen is 16; leave --scale out"),
        (images * 255 / 16, 100, "give --scale 255"),
    ):
        assert words in str(judge(data, reference, scale=scale)[1])


def test_an_unusual_range_is_named_by_its_largest_value(reference: Reference) -> None:
    images = np.random.default_rng(0).integers(0, 900_000, (600, 8, 8))
    verdict = str(judge(images, reference)[1])
    assert "the largest value seen is 8" in verdict
    assert verdict.endswith("give the largest value that a pixel can have with --scale MAX")


@pytest.mark.parametrize("change", [lambda x: 16 - x, lambda x: x / 16, lambda x: x * 16])
def test_fewer_than_500_rows_are_not_judged(
    change: Look, digits: tuple[Images, Any], reference: Reference
) -> None:
    assert judge(change(digits[0][:499]), reference)[1] is None
    assert judge(change(digits[0][:500]), reference)[1] is not None


def test_a_few_blank_rows_are_fine_and_only_blank_rows_are_not(
    digits: tuple[Images, Any], reference: Reference
) -> None:
    images = np.zeros((3000, 8, 8))
    images[::100] = digits[0][:30]
    assert judge(images, reference)[1] is None
    images[1:] = 0
    assert "looks blank" in str(judge(images, reference)[1])


def test_mostly_blank_cells_do_not_hide_inverted_ones(
    digits: tuple[Images, Any], reference: Reference
) -> None:
    images = np.full((1000, 8, 8), 16.0)
    images[::5] = 16 - digits[0][:200]
    assert "looks inverted" in str(judge(images, reference)[1])


def test_rows_of_a_single_shade_have_no_look(reference: Reference) -> None:
    """Such a row is at the same distance from every class in every look."""
    assert judge(np.full((600, 8, 8), 9.0), reference)[1] is None


def test_the_first_rows_are_judged_separately(
    digits: tuple[Images, Any], reference: Reference
) -> None:
    """The verdict on the first 65,536 rows comes when they are complete, however they are cut."""
    good = sampled(digits[0], 30_000)
    images = np.concatenate([16 - sampled(digits[0], JUDGED_ROWS), good, good, good, good])
    expected = judge(images, reference)
    assert "looks inverted" in str(expected[0])
    assert expected[1] is None
    for cuts in ([JUDGED_ROWS], [JUDGED_ROWS - 1, JUDGED_ROWS + 1], range(7_000, 180_000, 7_000)):
        assert judge(images, reference, cuts=cuts) == expected


@settings(max_examples=20)
@given(cuts=st.lists(st.integers(0, 1_100), max_size=8), look=st.sampled_from(sorted(LOOKS)))
def test_the_verdict_does_not_depend_on_how_rows_are_cut_into_batches(
    cuts: list[int], look: str
) -> None:
    reference = read_reference(read_bundle(packaged_bundle()))
    table = pq.read_table(SAMPLE_DATA / "digits.parquet").slice(0, 1_100)
    images = np.column_stack([table[f"pixel_{i}"].to_numpy() for i in range(64)])
    changed = LOOKS[look][0](images.reshape(-1, 8, 8).astype(np.float64))
    changed[::7, 0, 0] = np.nan  # rejects between the rows
    assert judge(changed, reference, cuts=cuts) == judge(changed, reference)


@pytest.fixture
def inverted(tmp_path: Path) -> Path:
    table = pq.read_table(SAMPLE_DATA / "digits.parquet")
    pixels = {f"pixel_{i}": 16 - table[f"pixel_{i}"].to_numpy() for i in range(64)}
    path = tmp_path / "inverted.parquet"
    pq.write_table(pa.table(pixels), path)
    return path


def test_a_suspicious_input_is_refused_and_nothing_is_published(inverted: Path) -> None:
    summary = batchdigits.score(inverted)
    assert (summary.exit_code, summary.inputs[0].status) == (65, "refused")
    assert "inverted.parquet: looks inverted" in str(summary.inputs[0].error)
    assert "--allow-suspect" in str(summary.inputs[0].error)
    assert list(inverted.parent.iterdir()) == [inverted]


def test_a_suspicious_input_can_be_allowed_and_its_receipt_says_so(inverted: Path) -> None:
    command = [sys.executable, "-m", "batchdigits.predict", str(inverted), "--allow-suspect"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, json.loads(done.stdout)["rows_predicted"]) == (0, 1797)
    receipt = json.loads((inverted.parent / "inverted.receipt.json").read_text())
    assert receipt["suspicion"].startswith("looks inverted")
    (warning,) = done.stderr.splitlines()
    assert "predict: warning: " in warning
    assert receipt["suspicion"] in warning
    # The flag changes no output, so the input counts as done without it.
    assert batchdigits.score(inverted).inputs[0].status == "unchanged"


def test_an_input_without_suspicion_has_a_receipt_that_says_null(tmp_path: Path) -> None:
    batchdigits.score(SAMPLE_DATA / "digits.csv", output=tmp_path / "out.csv")
    assert json.loads((tmp_path / "out.receipt.json").read_text())["suspicion"] is None


def test_a_long_suspicious_input_is_stopped_early(inverted: Path) -> None:
    path = inverted.with_name("long.parquet")
    table = pq.read_table(inverted)
    pq.write_table(pa.concat_tables([table] * 120), path)
    seen: list[int] = []
    summary = batchdigits.score(path, workers=1, on_progress=lambda rows, *_: seen.append(rows))
    assert summary.exit_code == 65
    assert max(seen) < JUDGED_ROWS


def test_rows_that_are_all_above_the_range_get_a_scale_as_the_fix(inverted: Path) -> None:
    path = inverted.with_name("bytes.parquet")
    pixels = np.random.default_rng(0).integers(200, 256, (600, 64))
    pq.write_table(pa.table({f"pixel_{i}": pixels[:, i] for i in range(64)}), path)
    summary = batchdigits.score(path)
    assert summary.exit_code == 65
    assert "add --scale 255" in str(summary.inputs[0].error)
    assert "none of the 600 rows" in str(
        batchdigits.score(path, allow_suspect=True).inputs[0].error
    )


def test_a_number_after_thousands_of_blanks_is_judged_by_its_value(tmp_path: Path) -> None:
    """A reject keeps a part of the value, which must still be the number."""
    names = ",".join(f"pixel_{i}" for i in range(64))
    fine = ",".join(["5"] * 64)
    padded = ",".join([" " * 4100 + "17", *["5"] * 63])
    path = tmp_path / "forms.csv"
    path.write_text(f"{names}\n{fine}\n{padded}\n{fine}\n")
    summary = batchdigits.score(path, allow_suspect=True)
    assert (summary.exit_code, summary.reasons) == (3, {"out-of-range": 1})
