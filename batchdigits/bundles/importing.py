"""`bundles import`: a model that was trained elsewhere, proven and published."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from batchdigits.bundles.common import add_command, add_data_options
from batchdigits.cli.terminal import StatusLine, print_json, print_result

if TYPE_CHECKING:
    from batchdigits.training.importing.job import ImportResult

_FILES = (
    ("--keras", "FILE", "the Keras model: a .keras or .h5 file"),
    (
        "--sklearn",
        "FILE",
        (
            "or a joblib or pickle file of scikit-learn: an MLPClassifier, a LogisticRegression, "
            "or a Pipeline of scalers and one of these"
        ),
    ),
    ("--scaler", "FILE", "its fitted scaler, if it has one outside: a joblib or pickle file"),
    (
        "--label-binarizer",
        "FILE",
        "the LabelBinarizer, LabelEncoder or OneHotEncoder of its labels",
    ),
    ("--labels", "A,B,…", "or the labels of its outputs, in their order"),
)


def add_import(commands: Any) -> None:
    """Add the subcommand's parser."""
    command = add_command(
        commands, "import", "pack a model trained elsewhere, once labelled rows prove it", _import
    )
    group = command.add_argument_group("the model")
    for flag, metavar, text in _FILES:
        group.add_argument(flag, metavar=metavar, help=text)
    group.add_argument(
        "--scaler-divide",
        type=float,
        metavar="N",
        help="divide the pixels 0..16 by this number first, such as 16",
    )
    group.add_argument(
        "--logits", action="store_true", help="its last layer has no softmax: it gives logits"
    )
    add_data_options(command, "with labels, which prove the model", required=True)
    group = command.add_argument_group("terms")
    group.add_argument(
        "--min-accuracy",
        default="90%",
        metavar="P%",
        help="publish nothing if a smaller share of the rows is right (default: 90%%)",
    )
    group.add_argument(
        "--calibrate",
        action="store_true",
        help="after the proof, fit the temperature that makes confidence the share that is right",
    )
    group.add_argument("--name", default="digits", help="name of the bundle (default: digits)")
    command.add_argument(
        "--json", action="store_true", help="one line of JSON that describes the bundle"
    )


def _import(arguments: argparse.Namespace) -> int:
    from batchdigits.training.importing.options import ImportOptions

    options = ImportOptions.of_flags(arguments).checked()
    from batchdigits.training.importing.job import import_files

    line = StatusLine()
    try:
        result = import_files(options, line.show)
    finally:
        line.clear()
    if arguments.json:
        print_json(_as_json(result))
    else:
        print_result(_as_text(result))
    return 0


def _as_text(result: ImportResult) -> str:
    contents = result.contents
    return (
        f"{result.name}@{result.version}: {contents.scores.accuracy:.2%} of "
        f"{contents.data['rows']} labelled rows right, in {result.path}"
    )


def _as_json(result: ImportResult) -> dict[str, Any]:
    contents = result.contents
    return {
        "bundle": str(result.path),
        "name": result.name,
        "version": str(result.version),
        "digest": result.digest,
        "accuracy": contents.scores.accuracy,
        "rows": contents.data["rows"],
        "files": contents.recipe["files"],
        "seconds": round(result.seconds, 3),
    }
