"""The bundle that ships, and earlier ones: made by the command that the card names, still read."""

import numpy as np
import pytest
from paths import DIGITS_2_BUNDLE, FORMAT_1_BUNDLE, ROOT

from batchdigits.archive.bundle_file import BundleFile, read_bundle
from batchdigits.engines.open import open_checked, replay_bundle
from batchdigits.store.choice import packaged_bundle
from batchdigits.training.data import load_tutorial_digits

VERSIONS = {FORMAT_1_BUNDLE: 1, DIGITS_2_BUNDLE: 2, packaged_bundle(): 3}
OLDER = "--arch mlp --test-share 0 --folds 10"
PACKAGED = "--arch mlp --redrawn 0.5 --shapes 400 --test-share 0 --folds 10 --max-error 0.5%"


@pytest.fixture(scope="module", params=VERSIONS, ids=lambda path: f"digits-{VERSIONS[path]}")
def bundle(request: pytest.FixtureRequest) -> BundleFile:
    return read_bundle(request.param)


def test_it_is_small_and_named(bundle: BundleFile) -> None:
    assert bundle.path.stat().st_size < 2 * 1024 * 1024
    manifest = bundle.manifest
    assert (manifest.name, manifest.version) == ("digits", VERSIONS[bundle.path])


def test_its_golden_rows_hold(bundle: BundleFile) -> None:
    assert replay_bundle(bundle).differing == 0


def test_its_accuracy_is_of_rows_not_seen(bundle: BundleFile) -> None:
    """Ten-fold: the accuracy on the training rows is listed separately, marked as such."""
    least, most = (0.985, 0.995) if bundle.path == FORMAT_1_BUNDLE else (0.994, 0.998)
    assert least < bundle.manifest.accuracy < most
    assert "10-fold cross-validation" in bundle.manifest.metrics["measured_on"]
    card = bundle.members["card.md"].decode()
    flags = PACKAGED if bundle.path == packaged_bundle() else OLDER
    assert f"python -m batchdigits.train {flags}\n" in card
    assert "seen in training" in card


def test_the_confidence_of_the_packaged_one_is_honest() -> None:
    """Over rows not seen: what it promises and what it keeps differ by less than 1 %."""
    calibration = read_bundle(packaged_bundle()).manifest.metrics["calibration"]
    assert calibration["after"]["calibration_error"] <= 0.01
    assert calibration["after"]["log_loss"] < calibration["before"]["log_loss"]


def test_the_pages_tell_the_figures_of_its_card() -> None:
    """The changelog and the page about accuracy, and the card itself."""
    kept, packaged = (read_bundle(path) for path in (FORMAT_1_BUNDLE, packaged_bundle()))
    errors = packaged.manifest.metrics["calibration"]
    after, before = (errors[when]["calibration_error"] for when in ("after", "before"))
    accuracy = packaged.manifest.accuracy
    assert f"**{accuracy:.4f}** on all 1797 rows" in packaged.members["card.md"].decode()
    changes = " ".join((ROOT / "CHANGELOG.md").read_text("utf-8").split())
    assert f"version 3, {accuracy:.2%}".replace("%", " %") in changes
    assert f"(version 1: {kept.manifest.accuracy:.2%}".replace("%", " %") in changes
    assert f"out of fold of {after:.2%} ({before:.2%}".replace("%", " %") in changes
    page = " ".join((ROOT / "docs" / "accuracy.md").read_text("utf-8").split())
    assert (
        f"Its accuracy, {accuracy:.2%}, and its calibration error, {after:.2%}, come".replace(
            "%", " %"
        )
        in page
    )


def test_it_reads_the_tutorials_digits(bundle: BundleFile) -> None:
    data = load_tutorial_digits()
    probabilities = open_checked(bundle).probabilities(data.pixels.astype(np.uint8))
    labels = np.array(bundle.manifest.classes.values)[probabilities.argmax(axis=1)]
    right = (labels == data.binarizer.classes_[data.targets]).mean()
    assert right == bundle.manifest.metrics["seen_in_training"]["accuracy"]
