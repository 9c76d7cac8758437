"""Drift in the receipt, in the summary, and as a limit."""

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from paths import ROOT

import batchdigits
from batchdigits.archive.bundle_file import MANIFEST, build_bundle, read_bundle
from batchdigits.archive.reference import REFERENCE, Reference, Unseen
from batchdigits.engines.onnx.engine import OnnxEngine
from batchdigits.errors import UsageError
from batchdigits.monitoring.drift import estimate_accuracy

OLD_BUNDLE = ROOT / "tests" / "data" / "digits-format-1.bundle"
NAMES = [f"pixel_{i}" for i in range(64)]
LIMIT = 0.1
PARTS = ("pixels", "classes", "confidence", "odd")

Pixels = NDArray[np.uint8]


def read_digits() -> tuple[Pixels, NDArray[np.int64]]:
    table = pq.read_table(ROOT / "sample_data" / "digits.parquet")
    return np.column_stack([table[name] for name in NAMES]).astype(np.uint8), table[
        "label"
    ].to_numpy()


DIGITS, LABELS = read_digits()
DRAWN = np.random.default_rng(0).integers(0, len(DIGITS), 3_000)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An old bundle with figures of unseen rows, which are those of its own digits."""
    old = read_bundle(OLD_BUNDLE)
    probabilities = OnnxEngine(old.members["model.onnx"], 10).probabilities(DIGITS)
    unseen = Unseen.measure(probabilities, LABELS)
    reference = Reference.measure(DIGITS.astype(float), LABELS, 10, unseen)
    text = reference.to_json(old.manifest.classes)
    members = {name: data for name, data in old.members.items() if name != MANIFEST}
    path = tmp_path_factory.mktemp("bundle") / "digits.bundle"
    path.write_bytes(build_bundle(replace(old.manifest, members={}), {**members, REFERENCE: text}))
    return path


def write(path: Path, pixels: NDArray[Any]) -> Path:
    table = pa.table({name: np.ascontiguousarray(pixels[:, i]) for i, name in enumerate(NAMES)})
    if path.suffix == ".csv":
        pc.write_csv(table, path)
    else:
        pq.write_table(table, path)
    return path


def receipt(path: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(path.with_name(f"{path.stem}.receipt.json").read_text())
    return facts


def thinner(pixels: Pixels) -> Pixels:
    """Take half of the ink from each pixel with an empty neighbour."""
    images = np.pad(pixels.reshape(-1, 8, 8), ((0, 0), (1, 1), (1, 1)))
    sides = (images[:, :-2, 1:-1], images[:, 2:, 1:-1], images[:, 1:-1, :-2], images[:, 1:-1, 2:])
    eroded = np.min([images[:, 1:-1, 1:-1], *sides], axis=0).reshape(-1, 64)
    return ((pixels.astype(int) + eroded) // 2).astype(np.uint8)


DRIFTED = {
    "a thinner pen": ("pixels", thinner(DIGITS[DRAWN])),
    "inverted": ("pixels", 16 - DIGITS[DRAWN]),
    "one class only": ("classes", DIGITS[LABELS == 1][DRAWN % 100]),
    "noise": (
        "confidence",
        np.clip(
            DIGITS[DRAWN] + np.random.default_rng(1).integers(-3, 4, (3_000, 64)), 0, 16
        ).astype(np.uint8),
    ),
}


@pytest.mark.parametrize("rows", [500, 3_000])
def test_rows_like_those_of_the_bundle_are_within_the_limit(
    tmp_path: Path, bundle: Path, rows: int
) -> None:
    path = write(tmp_path / "forms.parquet", DIGITS[DRAWN[:rows]])
    summary = batchdigits.score(path, bundle=bundle, max_drift=LIMIT)
    assert summary.exit_code == 0
    assert summary.inputs[0].drift == pytest.approx(0, abs=0.05)
    drift = receipt(path)["drift"]
    assert (drift["rows"], drift["pixels"]["rows"]) == (rows, rows)
    assert sum(drift["classes"]["counts"].values()) == rows


@pytest.mark.parametrize("kind", DRIFTED)
def test_other_rows_are_published_and_end_with_4(
    tmp_path: Path, bundle: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    part, pixels = DRIFTED[kind]
    path = write(tmp_path / "forms.parquet", pixels)
    summary = batchdigits.score(path, bundle=bundle, max_drift=LIMIT, allow_suspect=True)
    assert (summary.exit_code, receipt(path)["exit_code"]) == (4, 4)
    assert pq.read_table(path.with_name("forms.predictions.parquet")).num_rows == len(pixels)
    drift = receipt(path)["drift"]
    beyond = {name: beyond_chance(drift[name]) for name in PARTS}
    assert beyond[part] > LIMIT
    assert drift["value"] == pytest.approx(max(beyond.values()), abs=1e-5)
    assert beyond[drift["largest"]] == max(beyond.values())
    (line,) = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert f"forms.parquet: drift {drift['value']:.3f} ({drift['largest']}) is more than" in line


def beyond_chance(part: dict[str, float]) -> float:
    return float(np.sqrt(max(0, part["distance"] ** 2 - part["by_chance"] ** 2)))


def test_without_a_limit_large_drift_is_a_warning(
    tmp_path: Path, bundle: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path / "forms.parquet", DRIFTED["one class only"][1])
    assert batchdigits.score(path, bundle=bundle).exit_code == 0
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "forms.parquet: drift 0." in record.getMessage()


def test_batches_workers_and_formats_make_no_difference(tmp_path: Path, bundle: Path) -> None:
    """Also where only a sample of the rows is compared."""
    pixels = np.vstack([thinner(DIGITS), DIGITS])[
        np.random.default_rng(2).integers(0, 3594, 20_000)
    ]
    results = []
    for name, workers, rows in (("a.parquet", 1, 20_000), ("b.parquet", 2, 777), ("c.csv", 2, 1)):
        path = write(tmp_path / name, pixels)
        batchdigits.score(path, bundle=bundle, workers=workers, batch_size=rows)
        facts = receipt(path)
        results.append((facts["drift"], facts["estimated_accuracy"]))
    assert results[0] == results[1] == results[2]
    assert 4_096 <= results[0][0]["pixels"]["rows"] <= 8_192


def test_rejected_rows_and_scaled_pixels_do_not_change_the_drift(
    tmp_path: Path, bundle: Path
) -> None:
    plain = write(tmp_path / "plain.parquet", DIGITS[DRAWN])
    batchdigits.score(plain, bundle=bundle)
    bad = np.insert(DIGITS[DRAWN].astype(float) * 255 / 16, [0, 70, 2_999], 300.0, axis=0)
    scaled = write(tmp_path / "scaled.parquet", bad)
    assert batchdigits.score(scaled, bundle=bundle, scale=255).exit_code == 3
    assert receipt(scaled)["drift"]["pixels"] == receipt(plain)["drift"]["pixels"]
    assert receipt(scaled)["drift"]["classes"] == receipt(plain)["drift"]["classes"]


def test_few_rows_are_not_judged(tmp_path: Path, bundle: Path) -> None:
    path = write(tmp_path / "forms.parquet", DRIFTED["one class only"][1][:499])
    summary = batchdigits.score(path, bundle=bundle, max_drift=0)
    assert (summary.exit_code, summary.inputs[0].drift) == (0, None)
    facts = receipt(path)
    assert (facts["drift"]["value"], facts["estimated_accuracy"]) == (None, None)
    assert facts["drift"]["classes"]["counts"]["1"] > 450


def test_odd_rows_are_drift_in_any_number(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Three transposed rows are too few to be refused: the input is published with a warning."""
    rows = np.ascontiguousarray(DIGITS[:3].reshape(-1, 8, 8).transpose(0, 2, 1)).reshape(-1, 64)
    path = write(tmp_path / "forms.parquet", rows)
    summary = batchdigits.score(path)
    assert (summary.exit_code, summary.inputs[0].drift_of) == (0, "odd")
    assert summary.inputs[0].drift == pytest.approx((1 - 4 / 9) ** 0.5, abs=1e-5)
    (record,) = caplog.records
    assert (record.levelno, "(odd): the rows differ" in record.getMessage()) == (30, True)
    again = batchdigits.score(path, max_drift=0.7)
    assert (again.inputs[0].status, again.exit_code) == ("unchanged", 4)
    few = write(tmp_path / "few.parquet", np.vstack([rows[:2], DIGITS[:1]]))
    assert batchdigits.score(few, max_drift=0).inputs[0].drift is None


def test_the_accuracy_is_estimated_only_for_rows_like_those_it_was_measured_on(
    tmp_path: Path,
) -> None:
    """Not for rows that are upside down in part, faint, or empty in part."""
    digits = DIGITS[DRAWN[:1_000]]
    empty, faint, turned = digits.copy(), (digits * 0.5).astype(np.uint8), digits.copy()
    empty[::3] = 0
    turned[::4] = turned[::4, ::-1]
    named = {"digits": digits, "empty": empty, "faint": faint, "turned": turned}
    for name, rows in named.items():
        path = write(tmp_path / f"{name}.parquet", rows)
        summary = batchdigits.score(path, allow_suspect=True)
        assert (summary.inputs[0].estimated_accuracy is None) == (name != "digits"), name
        assert (receipt(path)["drift"]["odd"]["empty"] > 0) == (name == "empty")


def test_an_empty_input_has_no_drift(tmp_path: Path, bundle: Path) -> None:
    path = write(tmp_path / "forms.parquet", DIGITS[:0])
    assert batchdigits.score(path, bundle=bundle, max_drift=0).exit_code == 0
    assert receipt(path)["drift"]["confidence"]["mean"] is None


def test_a_bundle_of_an_older_version_compares_pixels_and_classes(tmp_path: Path) -> None:
    path = write(tmp_path / "forms.parquet", DRIFTED["one class only"][1])
    assert batchdigits.score(path, bundle=OLD_BUNDLE, max_drift=LIMIT).exit_code == 4
    facts = receipt(path)
    confidence = facts["drift"]["confidence"]
    assert (confidence["distance"], confidence["expected"]) == (None, None)
    assert facts["estimated_accuracy"] == confidence["mean"]


def test_a_finished_input_is_judged_by_the_limit_of_this_run(tmp_path: Path, bundle: Path) -> None:
    path = write(tmp_path / "forms.parquet", DRIFTED["one class only"][1])
    first = batchdigits.score(path, bundle=bundle)
    for check in (False, True):
        for limit, code in ((LIMIT, 4), (1.0, 0), (None, 0)):
            again = batchdigits.score(path, bundle=bundle, max_drift=limit, check=check)
            assert (again.inputs[0].status, again.exit_code) == ("unchanged", code)
            assert again.inputs[0].drift == first.inputs[0].drift


def test_every_input_is_judged_by_itself_and_rejects_come_first(
    tmp_path: Path, bundle: Path, caplog: pytest.LogCaptureFixture
) -> None:
    drifted = DRIFTED["one class only"][1]
    write(tmp_path / "a.parquet", DIGITS[DRAWN])
    write(tmp_path / "b.parquet", drifted)
    write(tmp_path / "c.parquet", np.vstack([drifted, np.full((1, 64), 17, np.uint8)]))
    summary = batchdigits.score(tmp_path, bundle=bundle, max_drift=LIMIT)
    assert [result.exit_code for result in summary.inputs] == [0, 4, 3]
    assert summary.exit_code == 3
    messages = [r.getMessage().removeprefix(f"{tmp_path}/")[:20] for r in caplog.records]
    assert messages == ["b.parquet: drift 0.8", "c.parquet: 1 of 3001", "c.parquet: drift 0.8"]


@pytest.mark.parametrize(
    ("change", "status"), [({"drift": None}, "unchanged"), ({"drift": []}, "refused")]
)
def test_a_receipt_may_lack_drift_but_not_hold_another_type(
    tmp_path: Path, bundle: Path, change: dict[str, Any], status: str
) -> None:
    path = write(tmp_path / "forms.parquet", DIGITS[:600])
    batchdigits.score(path, bundle=bundle)
    place = tmp_path / "forms.receipt.json"
    place.write_text(json.dumps(receipt(path) | change))
    summary = batchdigits.score(path, bundle=bundle, max_drift=0)
    assert summary.inputs[0].status == status


def test_a_receipt_with_other_classes_does_not_count_for_the_run(
    tmp_path: Path, bundle: Path
) -> None:
    for name in "ab":
        batchdigits.score(write(tmp_path / f"{name}.parquet", DIGITS[:600]), bundle=bundle)
    place = tmp_path / "a.receipt.json"
    facts = json.loads(place.read_text())
    facts["drift"]["classes"]["counts"] = {"0": 600}
    place.write_text(json.dumps(facts))
    summary = batchdigits.score(tmp_path, bundle=bundle)
    assert [each.status for each in summary.inputs] == ["unchanged", "unchanged"]
    assert summary.drift.counts is not None
    assert summary.drift.counts.rows == 600


@pytest.mark.parametrize("limit", [-0.1, 1.1, float("nan")])
def test_a_limit_is_a_number_from_0_to_1(limit: float) -> None:
    with pytest.raises(UsageError, match="max_drift"):
        batchdigits.score("forms.csv", max_drift=limit)


def test_the_estimated_accuracy_falls_as_far_as_the_mean_confidence() -> None:
    """On the unseen rows themselves it is exact, and it never leaves 0..1."""
    nothing = np.zeros(0, np.int64)
    unseen = Unseen(1_000, 980, nothing, nothing, 0.97)
    assert estimate_accuracy(0.97, unseen) == pytest.approx(0.98)
    assert estimate_accuracy(0.90, unseen) == pytest.approx(0.91)
    assert estimate_accuracy(1.0, unseen) == 1
    assert estimate_accuracy(0.9, None) == 0.9
