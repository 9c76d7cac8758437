"""Inputs that look scaled, inverted, turned or blank as a whole are found; handwriting is not."""

import itertools
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from paths import ROOT, SAMPLE_DATA, shared_data

import batchdigits
from batchdigits.archive.bundle_file import read_bundle
from batchdigits.archive.reference import read_reference
from batchdigits.archive.thresholds import Thresholds
from batchdigits.engines.open import open_checked
from batchdigits.monitoring.judge import Judge
from batchdigits.monitoring.suspicion import JUDGED_ROWS, Suspicion
from batchdigits.rows.memory import check_table, to_table
from batchdigits.rows.options import ReadOptions
from batchdigits.scoring.watch import make_judge
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
    "sorted by column name": (
        lambda x: x.reshape(-1, 64)[:, sorted(range(64), key=str)].reshape(-1, 8, 8),
        "by number",
    ),
    "shifted by one pixel to the right": (lambda x: shifted(x, 0, 1), "such as a label"),
    "shifted by one pixel to the left": (lambda x: shifted(x, 0, -1), "such as a label"),
    "shifted by one pixel down": (lambda x: shifted(x, 1, 0), "how the cells were cut out"),
    "shifted by one pixel up": (lambda x: shifted(x, -1, 0), "how the cells were cut out"),
    "shifted by one pixel down and to the right": (lambda x: shifted(x, 1, 1), "cut out"),
    "shifted by one pixel down and to the left": (lambda x: shifted(x, 1, -1), "cut out"),
    "shifted by one pixel up and to the right": (lambda x: shifted(x, -1, 1), "cut out"),
    "shifted by one pixel up and to the left": (lambda x: shifted(x, -1, -1), "cut out"),
    "noise": (lambda x: noise(len(x)), "in which order"),
    "too bold": (lambda x: spread(spread(x, np.maximum), np.maximum), "how cells were made"),
    "inverted (white on black) and transposed": (
        lambda x: 16 - x.transpose(0, 2, 1),
        "write 16 for ink and 0 for paper, and write the pixels row by row",
    ),
    "inverted (white": (lambda x: 8 - x / 2, "write 16 for ink"),
    "shifted by two pixels to the left": (lambda x: shifted(x, 0, -2), "cut out"),
    "faint": (lambda x: 6 + x / 4, "--scale MAX"),
    "of a single shade": (lambda x: x * 0 + 7, "how the cells were cut out"),
    "scaled to 0..1:": (lambda x: x / 16, "add --scale 1;"),
    "scaled to 0..255": (lambda x: np.rint(x * 255 / 16), "add --scale 255;"),
    "scaled to 0..100": (lambda x: x * 100 / 16, "add --scale 100,"),
    "scaled to 0..1023": (lambda x: x * 1023 / 16, "the largest value seen is 1023; add --scale"),
    "blank": (lambda x: x * 0, "check how the cells were cut out"),
}


def noise(rows: int) -> Images:
    return np.random.default_rng(2).integers(0, 17, (rows, 8, 8)).astype(np.float64)


def shifted(x: Images, down: int, right: int) -> Images:
    padded = np.pad(x, ((0, 0), (2, 2), (2, 2)))
    return padded[:, 2 - down : 10 - down, 2 - right : 10 - right]


def packaged_judge() -> Judge:
    bundle = read_bundle(packaged_bundle())
    return make_judge(bundle, open_checked(bundle, "onnx"), read_reference(bundle))


@pytest.fixture(scope="module")
def usual() -> Judge:
    return packaged_judge()


@pytest.fixture(scope="module")
def digits() -> tuple[Images, NDArray[np.int8]]:
    table = pq.read_table(SAMPLE_DATA / "digits.parquet")
    pixels = np.column_stack([table[f"pixel_{i}"].to_numpy() for i in range(64)])
    return pixels.reshape(-1, 8, 8).astype(np.float64), table["label"].to_numpy()


def judge(
    images: Images, usual: Judge, scale: float | None = None, cuts: Sequence[int] = ()
) -> tuple[str | None, str | None]:
    """The verdicts on the first rows and on all rows, for batches that are cut at `cuts`."""
    parts = np.split(images.reshape(-1, 64), sorted(cuts))
    evidence = Suspicion(usual, scale)
    first = None
    for part in parts:
        _, checked = check_table(to_table(part), ReadOptions(scale=scale), 1_000_000)
        for rows in checked:
            first = evidence.add(rows) or first
    return first, evidence.verdict(evidence.evidence())


def sampled(images: Images, count: int, seed: int = 0) -> Images:
    chosen: Images = images[np.random.default_rng(seed).integers(0, len(images), count)]
    return chosen


@pytest.mark.parametrize("look", LOOKS)
def test_a_look_is_named_with_its_fix(look: str, digits: tuple[Images, Any], usual: Judge) -> None:
    change, fix = LOOKS[look]
    verdict = judge(change(digits[0]), usual)[1]
    assert verdict is not None
    assert look in f"{verdict};"
    assert fix in f"{verdict};"


def test_digits_are_not_suspicious(digits: tuple[Images, Any], usual: Judge) -> None:
    assert judge(digits[0], usual) == (None, None)


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
    "half a pixel to the right": lambda x: (x + shifted(x, 0, 1)) / 2,
    "half a pixel up": lambda x: (x + shifted(x, -1, 0)) / 2,
}


@pytest.mark.parametrize("style", STYLES)
def test_no_style_of_one_class_or_two_is_suspicious(
    style: str, digits: tuple[Images, NDArray[np.int8]], usual: Judge
) -> None:
    """A file may hold one digit only: a 6 upside down looks like a 9, a transposed 0 like a 0."""
    images, labels = digits
    drawn = STYLES[style](images)
    groups = [*itertools.combinations(range(10), 1), *itertools.combinations(range(10), 2)]
    alarms = {
        group: verdict
        for group in groups
        if (verdict := judge(sampled(drawn[np.isin(labels, group)], 500), usual)[1])
    }
    assert alarms == {}


@pytest.mark.parametrize("digit", range(10))
def test_a_transposed_file_of_one_class_is_found(
    digit: int, digits: tuple[Images, NDArray[np.int8]], usual: Judge
) -> None:
    images = digits[0][digits[1] == digit].transpose(0, 2, 1)
    verdict = judge(sampled(images, 500), usual)[1]
    assert verdict is not None
    assert "training data" in verdict


def test_a_wrong_scale_is_found(digits: tuple[Images, Any], usual: Judge) -> None:
    """The input is judged after scaling, and the fix names the values in the file."""
    images = digits[0]
    assert judge(np.rint(images * 255 / 16), usual, scale=255) == (None, None)
    for data, scale, words in (
        (images, 255, "the largest pixel of 1,797 rows is 16, by --scale 255 1 of 16"),
        (images, 255, "leave --scale out"),
        (images / 16, 255, "give --scale 1"),
        (images, 1, "have a pixel above 1, the largest value seen is 16; leave --scale out"),
        (images * 255 / 16, 100, "give --scale 255"),
    ):
        assert words in str(judge(data, usual, scale=scale)[1])


def test_an_unusual_range_is_named_by_its_largest_value(usual: Judge) -> None:
    images = np.random.default_rng(0).integers(0, 900_000, (600, 8, 8))
    verdict = str(judge(images, usual)[1])
    assert "the largest value seen is 8" in verdict
    assert verdict.endswith("give the largest value that a pixel can have with --scale MAX")


def first_proof(images: Images, usual: Judge) -> int:
    """Return the fewest of the first rows that are proof."""
    return next(n for n in range(1, len(images)) if judge(images[:n], usual)[1])


@pytest.mark.parametrize(
    ("look", "rows"),
    [
        ("transposed", 11),
        ("turned by 90 degrees clockwise", 11),
        ("inverted", 11),
        ("sorted by column name", 11),
        ("scaled to 0..1:", 11),
        ("blank", 11),
        ("of a single shade", 11),
        ("turned by 180 degrees", 20),
        ("mirrored left to right", 20),
        ("shifted by one pixel to the right", 30),
        ("shifted by one pixel to the left", 30),
        ("scaled to 0..255", 30),
        ("noise", 30),
    ],
)
def test_a_few_rows_are_proof_and_fewer_are_not(
    look: str, rows: int, digits: tuple[Images, Any], usual: Judge
) -> None:
    """At 15 % by chance eleven rows are: 0.15 ** 11 is less than a billionth."""
    assert 10 < first_proof(LOOKS[look][0](digits[0][:60]), usual) <= rows


@pytest.mark.parametrize("step", [2, 3])
def test_a_half_or_a_third_of_turned_rows_is_proof(
    step: int, digits: tuple[Images, Any], usual: Judge
) -> None:
    images = digits[0].copy()
    images[::step] = images[::step].transpose(0, 2, 1)
    assert "looks transposed" in str(judge(images, usual)[1])


def test_a_part_of_faint_rows_is_proof(digits: tuple[Images, Any], usual: Judge) -> None:
    images = digits[0][:400].copy()
    images[::3] *= 0.2
    assert "looks faint" in str(judge(images, usual)[1])


def test_a_single_row_of_another_kind_in_ten_is_no_proof(
    digits: tuple[Images, Any], usual: Judge
) -> None:
    for change, _ in LOOKS.values():
        images = digits[0].copy()
        changed = change(images)
        for n in (3, 10, 1_000):
            mixed = images[:n].copy()
            mixed[::10] = changed[:n:10]
            assert judge(mixed, usual)[1] is None


def groups_of(labels: NDArray[Any], random: np.random.Generator) -> Iterator[NDArray[np.intp]]:
    """Yield places as files have them: few rows in any number, one class, sorted, all."""
    yield from (random.integers(0, len(labels), n) for n in range(1, 51))
    for digit in range(10):
        places = np.flatnonzero(labels == digit)
        yield places
        yield from (random.choice(places, n) for n in (1, 5, 11, 12, 20, 30, 50, 100, 500))
    yield np.argsort(labels, kind="stable")
    yield from (random.choice(len(labels), n, replace=False) for n in (100, 300, 700, 1_000))


def test_real_digits_are_never_suspicious_in_any_number(
    digits: tuple[Images, NDArray[np.int8]], usual: Judge
) -> None:
    for places in groups_of(digits[1], np.random.default_rng(3)):
        assert judge(digits[0][places], usual)[1] is None, len(places)


@pytest.mark.parametrize("thickness", ["as written", "in a smaller box"])
def test_digits_of_another_collection_are_never_suspicious(thickness: str, usual: Judge) -> None:
    """They are cut in another way: nearly all are strange, three of four are read right."""
    stored = np.load(shared_data() / "semeion.npz")
    bits = np.unpackbits(stored["bits"], axis=1).reshape(-1, 16, 16)
    if thickness == "in a smaller box":
        bits = np.pad(bits, ((0, 0), (2, 2), (2, 2)))[:, ::1, ::1]
        bits = bits.repeat(2, axis=1).repeat(2, axis=2)
        images = bits.reshape(-1, 8, 5, 8, 5).sum(axis=(2, 4)) * 16 / 25
    else:
        images = bits.reshape(-1, 8, 2, 8, 2).sum(axis=(2, 4)) * 4.0
    for places in groups_of(stored["digits"], np.random.default_rng(4)):
        assert judge(images[places], usual)[1] is None, len(places)


@pytest.mark.parametrize("pen", ["thick", "thin", "slanted", "a quarter of a pixel off"])
def test_other_pens_and_cuts_are_not_suspicious(pen: str, usual: Judge) -> None:
    """Made from the scans of the digits themselves, 32x32 pixels each."""
    stored = np.load(shared_data() / "bitmaps.npz")
    bits = np.unpackbits(stored["bits"], axis=1).reshape(-1, 32, 32).astype(bool)
    wide = np.pad(bits, ((0, 0), (1, 1), (1, 1)))
    if pen == "thick":
        bits = wide[:, :-2, 1:-1] | wide[:, 2:, 1:-1] | wide[:, 1:-1, :-2] | wide[:, 1:-1, 2:]
    elif pen == "thin":
        bits = bits & wide[:, :-2, 1:-1] & wide[:, 1:-1, :-2]
    elif pen == "slanted":
        bits = np.stack([np.roll(bits[:, y], (16 - y) // 5, axis=1) for y in range(32)], axis=1)
    else:
        bits = wide[:, :-2, :-2]
    images = bits.reshape(-1, 8, 4, 8, 4).sum(axis=(2, 4)).astype(np.float64)
    for places in groups_of(stored["digits"], np.random.default_rng(5)):
        assert judge(images[places], usual)[1] is None, len(places)


LABEL_AS_PIXEL = {"header": False, "pixels": "column_{1..64}"}


@pytest.mark.parametrize(
    ("name", "read", "says"),
    [
        ("label-first.csv", LABEL_AS_PIXEL, "looks shifted by one pixel to the right"),
        ("785-columns.csv", {"header": False, "pixels": "column_{2..65}"}, "looks blank"),
        ("785-columns.csv", {"header": False, "pixels": "column_{1..64}", "scale": 255}, "scaled"),
        ("785-columns.csv", {"header": False, "pixels": "column_{1..64}", "scale": 1}, "scaled"),
        ("scaled-0-1.csv", {}, "add scale=1"),
    ],
)
def test_files_as_people_sent_them_are_refused_with_the_cause(
    name: str, read: dict[str, Any], says: str, tmp_path: Path
) -> None:
    path = shared_data() / "field" / name
    summary = batchdigits.score(path, output=tmp_path / "out.csv", **read)
    assert summary.exit_code == 65
    assert says in str(summary.inputs[0].error)
    assert list(tmp_path.iterdir()) == []


def test_empty_boxes_are_fine_and_hardly_anything_else_is_not(
    digits: tuple[Images, Any], usual: Judge
) -> None:
    """Three of four boxes of a form may be empty, 99 of 100 are too many."""
    images = np.zeros((3000, 8, 8))
    images[::4] = digits[0][:750]
    assert judge(images, usual)[1] is None
    images[np.arange(3000) % 100 > 0] = 0
    assert "looks blank" in str(judge(images, usual)[1])
    images[::3, 4, 4] = 2  # specks of dust
    assert "looks blank" in str(judge(images, usual)[1])


def test_mostly_blank_cells_do_not_hide_inverted_ones(
    digits: tuple[Images, Any], usual: Judge
) -> None:
    images = np.full((1000, 8, 8), 16.0)
    images[::5] = 16 - digits[0][:200]
    assert "looks inverted" in str(judge(images, usual)[1])


def test_the_first_rows_are_judged_separately(digits: tuple[Images, Any], usual: Judge) -> None:
    """The verdict on the first 65,536 rows comes when they are complete, however they are cut."""
    good = sampled(digits[0], 100_000)
    images = np.concatenate([16 - sampled(digits[0], JUDGED_ROWS), *[good] * 6])
    expected = judge(images, usual)
    assert "looks inverted" in str(expected[0])
    assert expected[1] is None
    for cuts in ([JUDGED_ROWS], [JUDGED_ROWS - 1, JUDGED_ROWS + 1], range(7_000, 600_000, 150_000)):
        assert judge(images, usual, cuts=cuts) == expected


@settings(max_examples=20)
@given(cuts=st.lists(st.integers(0, 1_100), max_size=8), look=st.sampled_from(sorted(LOOKS)))
def test_the_verdict_does_not_depend_on_how_rows_are_cut_into_batches(
    cuts: list[int], look: str
) -> None:
    usual = packaged_judge()
    table = pq.read_table(SAMPLE_DATA / "digits.parquet").slice(0, 1_100)
    images = np.column_stack([table[f"pixel_{i}"].to_numpy() for i in range(64)])
    changed = LOOKS[look][0](images.reshape(-1, 8, 8).astype(np.float64))
    changed[::7, 0, 0] = np.nan  # rejects between the rows
    assert judge(changed, usual, cuts=cuts) == judge(changed, usual)


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
    assert "allow_suspect=True" in str(summary.inputs[0].error)
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
    assert "add scale=255" in str(summary.inputs[0].error)
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


def test_a_bundle_without_centroids_judges_by_its_class_means(
    digits: tuple[Images, NDArray[np.int8]],
) -> None:
    """As bundles of format 1 and the keras engine do. Shifts are then not recognised."""
    means = Judge(read_reference(read_bundle(packaged_bundle())), Thresholds(), None)
    for places in groups_of(digits[1], np.random.default_rng(6)):
        assert judge(digits[0][places], means)[1] is None, len(places)
    for look in ("transposed", "turned by 90 degrees clockwise", "inverted", "noise", "blank"):
        assert look in str(judge(LOOKS[look][0](digits[0][:40]), means)[1])
    assert judge(LOOKS["shifted by one pixel to the right"][0](digits[0]), means)[1] is None
