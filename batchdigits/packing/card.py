"""The model card: Markdown, from the facts of the manifest and the scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from batchdigits.archive.manifest import Manifest
from batchdigits.files.digest import digest_bytes
from batchdigits.packing.contents import Scores
from batchdigits.text import count_of, markdown, printable

TUTORIAL_DIGITS = "sklearn.datasets.load_digits"
"""The manifest's `data.source` of a model that learned scikit-learn's digits."""

_TUTORIAL_LIMITS = """\
- The 1,797 digits were written by 13 people, and the held-out rows come from the same 13. Expect
  a lower accuracy for new writers: first measure it on labelled rows of your own."""
_DATA_LIMITS = """\
- The held-out rows come from the same source as the training rows. Expect a lower accuracy for
  rows of another source (other writers, another scanner): first measure it on labelled rows of that
  source."""
_IMPORTED_LIMITS = """\
- The model was trained elsewhere. Nothing here says which rows it learned from: if the labelled
  rows given to import were among them, the accuracy above is too high. Measure it on rows that
  nobody trained on."""
_LIMITS = """\
- Images are 8x8 with pixels 0..16 of ink: much of the difference between a 1 and a 7 is lost before
  the model sees it. Cells with no digit, two digits or a stain still get a label."""
_NOT_CALIBRATED = """\
- Confidence is the network's own, not calibrated: it ranks rows, but is not the share of rows that
  are right."""
_CALIBRATED = """\
- Confidence is calibrated on rows of the same source as the training rows. For rows of another
  source it is too high."""


def write_card(manifest: Manifest, scores: Scores, members: Mapping[str, bytes]) -> bytes:
    """The bytes of `card.md`: purpose, data, accuracy, how it was made, limits, digests.

    members  every member but the manifest and the card
    """
    calibration = manifest.metrics.get("calibration")
    limits = [
        _source_limits(manifest),
        _LIMITS,
        _CALIBRATED if calibration else _NOT_CALIBRATED,
    ]
    parts = [
        f"# {manifest.name} {manifest.version}",
        f"## What it is for\n\n{_purpose(manifest)}",
        f"## Data\n\n{_data(manifest)}",
        f"## Accuracy\n\n{_accuracy(manifest, scores)}",
        *([f"## Confidence\n\n{_confidence(calibration)}"] if calibration else []),
        f"## Accept or review\n\n{_review(manifest)}",
        f"## How it was made\n\n{_making(manifest)}",
        "\n".join(["## Limits\n", *limits]),
        f"## Digests\n\n{_digests(manifest, members)}",
    ]
    return ("\n\n".join(parts) + "\n").encode()


def is_imported(manifest: Manifest) -> bool:
    """Return whether the model was trained elsewhere, and import packed it."""
    return manifest.recipe.get("origin") == "imported"


def _source_limits(manifest: Manifest) -> str:
    if is_imported(manifest):
        return _IMPORTED_LIMITS
    is_tutorial = manifest.data.get("source") == TUTORIAL_DIGITS
    return _TUTORIAL_LIMITS if is_tutorial else _DATA_LIMITS


def _purpose(manifest: Manifest) -> str:
    labels = ", ".join(printable(str(label)) for label in manifest.classes.values[:20])
    more = len(manifest.classes) - 20
    return (
        "Reads a handwritten character cut out of a scanned form. Its input is 64 pixels of an 8x8 "
        "image, row by row, each 0 (paper) to 16 (ink). Its output is one of "
        f"{len(manifest.classes)} classes and its probability.\n\n"
        f"Classes ({manifest.classes.type}): {labels}{f' and {more} more' if more > 0 else ''}.\n\n"
        "Do not use it for images of another size or range, for characters outside the classes, or "
        "to decide alone where a wrong digit harms somebody."
    )


def _data(manifest: Manifest) -> str:
    data, split = manifest.data, manifest.split
    if is_imported(manifest):
        how = "They prove the model; what it learned from is not known."
    elif split["kind"] == "holdout":
        how = (
            f"{split['train']} rows trained the model and {split['held_out']} were held out "
            f"(random_state {split['random_state']}"
            f"{', stratified' if split['stratified'] else ''})."
        )
    else:
        how = f"All {split['train']} rows trained the model; none were held out."
    chosen = f" {_sentence(describe_chosen(data))}" if "chosen" in data else ""
    return f"{data['description']}. {data['rows']} rows, digest `{data['digest']}`. {how}{chosen}"


def describe_chosen(data: Mapping[str, Any]) -> str:
    """Say what it means that a review chose some of the rows, from the manifest's `data`."""
    chosen = data["chosen"]
    rows = sum(chosen.values())
    return (
        f"{rows} of {count_of(data['rows'], 'row')} were chosen by a review, "
        f"{chosen.get('doubtful', 0)} of them because the network was unsure: they are not a fair "
        "sample, so on all rows of their source the accuracy is higher than measured here, and a "
        "threshold for --max-error could accept more"
    )


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _accuracy(manifest: Manifest, scores: Scores) -> str:
    text = f"**{scores.accuracy:.4f}** on {scores.measured_on}."
    if "seen_in_training" in manifest.metrics:
        seen = manifest.metrics["seen_in_training"]
        text += (
            f" On the {seen['rows']} rows that it was trained on it is {seen['accuracy']:.4f}; "
            f"rows seen in training promise nothing.{_choosing(manifest)}"
        )
    tables = [markdown(scores.matrix.score_lines())]
    if matrix := scores.matrix.matrix_lines():
        tables.append("Confusion matrix (rows: true class, columns: predicted class):")
        tables.append(markdown(matrix))
    return "\n\n".join([text, *tables])


def _confidence(calibration: Mapping[str, Any]) -> str:
    """The figures before and after the temperature, and the rows by confidence."""
    before, after = calibration["before"], calibration["after"]
    figures = [
        [words, f"{before[name]:.4f}", f"{after[name]:.4f}"]
        for words, name in (
            ("expected calibration error", "calibration_error"),
            ("log loss", "log_loss"),
        )
    ]
    bins = [
        [
            f"{bin_['low']:.3f} to {bin_['high']:.3f}",
            str(bin_["rows"]),
            f"{bin_['confidence']:.4f}",
            f"{bin_['accuracy']:.4f}",
        ]
        for bin_ in after["bins"]
    ]
    fitted = (
        f"Temperature {calibration['temperature']:.4f}, fitted on {calibration['fitted_on']}, "
        f"is part of the last layer's weights. On {calibration['measured_on']}:"
    )
    tables = [
        markdown([["", "before", "after"], *figures]),
        "Rows by confidence, after:",
        markdown([["confidence", "rows", "mean confidence", "share right"], *bins]),
    ]
    return "\n\n".join([fitted, *tables])


def _review(manifest: Manifest) -> str:
    """The thresholds, and the figures measured at each."""
    facts = manifest.thresholds.facts
    lines = []
    if "review_below" in facts:
        lines.append(
            f"Predictions with a confidence of {facts['review_below']:.6g} or more are accepted: "
            f"{facts['coverage']:.1%} of rows. With {facts['level']:.0%} confidence, at most "
            f"{facts['max_error']:.3%} of the accepted rows are wrong. Of {facts['rows']} rows "
            f"judged by networks that had not seen them, {facts['accepted']} were accepted and "
            f"{facts['errors']} of those were wrong. This holds for rows of the same source; for "
            "digits of new writers expect one to three times the error."
        )
    else:
        lines.append("The bundle has no confidence threshold (`train --max-error` finds one).")
    rows = "labelled" if is_imported(manifest) else "training"
    lines.append(
        "Rows that do not look like a digit go to review too, for one of the causes below. Judged "
        f"by the look of the other rows, so would {facts['false_alarm']:.2%} of the {rows} rows."
    )
    far = f"it is further than {facts['strange_above']:g} from the nearest of "
    far += f"{facts['strange_centres']} centroids (`predict --strangeness`)"
    causes = [
        ["cause", "a row where"],
        ["`little-ink`", f"the pixels' sum is below {facts['least_ink']:g}"],
        ["`much-ink`", f"it is above {facts['most_ink']:g}"],
        ["`pale`", f"the darkest pixel is below {facts['least_darkest']:g}"],
        ["`strange`", far],
    ]
    return "\n\n".join([*lines, markdown(causes)])


def _choosing(manifest: Manifest) -> str:
    """The sweep that chose the settings; empty without one."""
    if "sweep" not in manifest.metrics:
        return ""
    sweep = manifest.metrics["sweep"]
    chosen = ", ".join(f"{name} {value}" for name, value in sweep["chosen"].items())
    return (
        f" The settings are the best of {sweep['combinations']} combinations ({chosen}) by "
        f"{sweep['folds']}-fold cross-validation of the training rows. Their accuracy there was "
        f"{sweep['accuracy']:.4f}, a little too high, as the best of many. The held-out rows had "
        "no influence on the choice."
    )


def _making(manifest: Manifest) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in manifest.libraries.items())
    if is_imported(manifest):
        made = f"Created {manifest.created}. {_origin(manifest)}\n\nLibraries: {versions}."
    else:
        facts = ", ".join(f"{name} {value}" for name, value in manifest.recipe.items())
        made = (
            f"Created {manifest.created}. Settings: {facts}. Libraries: {versions}. The same "
            "command with the same libraries on the same machine gives the same weights."
        )
    agreement = manifest.metrics["onnx_agreement"]
    return (
        f"    {manifest.command}\n\n{made}\n\n"
        "The ONNX graph holds both scaler and network. Its probabilities differ from those of "
        f"scikit-learn and Keras by at most {agreement['data_worst']:.2g} on "
        f"{agreement['data_rows']} rows of the data and {agreement['random_worst']:.2g} on "
        f"{agreement['random_rows']} random ones.{_multiplications(manifest)}"
    )


def _multiplications(manifest: Manifest) -> str:
    """The multiplications a row that the graph leaves out; empty if it leaves out none."""
    count = manifest.architecture.get("multiplications")
    if count is None or count["compiled"] >= count["network"]:
        return ""
    return (
        f" It does {count['compiled']:,} of the network's {count['network']:,} multiplications a "
        "row: the others are by blocks of zeros."
    )


def _origin(manifest: Manifest) -> str:
    """The files that an imported model came from."""
    files = [["part", "file", "digest", "written by"]]
    for facts in manifest.recipe["files"]:
        if "digest" in facts:
            files.append(
                [facts["part"], facts["name"], f"`{facts['digest']}`", facts["written_by"]]
            )
        else:
            files.append([facts["part"], f"pixels divided by {facts['divides_by']:g}", "", ""])
    layers = ", ".join(manifest.architecture["hyperparameters"]["layers"])
    return (
        "Origin: imported. The model was trained elsewhere, and its files were rewritten as this "
        f"scaler and network: {layers}.\n\n{markdown(files)}"
    )


def _digests(manifest: Manifest, members: Mapping[str, bytes]) -> str:
    lines = [f"- the data: `{manifest.data['digest']}`"]
    lines += [f"- `{name}`: `{digest_bytes(members[name])}`" for name in sorted(members)]
    return "\n".join([*lines, "", "`sha256sum` of the bundle file gives the digest of the bundle."])
