"""Prove that an imported model answers like the original does in an environment of its own.

    python benchmarks/importing.py [--only NAME,…] [--environments DIR] [--keep FOLDER]

Models are trained and saved by other versions of Keras, scikit-learn and joblib
(scripts/make_artefacts.py), each in its own environment, which is made on first use. There they
answer 1,797 digits and 10,000 random rows. Then `bundles import` packs each, and the bundle answers
the same rows here: it must give the same label wherever the two best classes differ by more than
1e-4, and every probability within 1e-4. The exit code is 1 if one does not.

--keep makes the small artefacts that the tests read, with answers for few rows, in FOLDER.
"""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from support.measure import SCRIPTS, finish, make_parser, make_ready, show, table

from batchdigits.archive.bundle_file import read_bundle
from batchdigits.engines.open import open_checked
from batchdigits.errors import BatchdigitsError
from batchdigits.training.importing.job import import_files
from batchdigits.training.importing.options import ImportOptions, Terms

ALLOWED = 1e-4
RANDOM_ROWS = 10_000
KEPT_ROWS = 150

# The Pythons that an environment can be made with, and what is installed there.
ENVIRONMENTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "keras2": (
        ("3.11", "3.10"),
        ("tensorflow-cpu==2.15.*", "scikit-learn==1.2.2", "joblib==1.2.0", "numpy<2", "pandas<2.2"),
    ),
    "keras30": (
        ("3.11", "3.12", "3.10"),
        ("tensorflow-cpu==2.16.*", "keras==3.0.5", "scikit-learn==1.4.*", "numpy<2", "pandas<3"),
    ),
    "today": (
        ("3.12", "3.13", "3.11"),
        ("tensorflow-cpu", "keras>=3.15.1", "scikit-learn", "joblib", "pandas"),
    ),
    "sklearn16": (("3.13", "3.12", "3.11"), ("scikit-learn==1.6.*", "joblib==1.4.*", "pandas")),
}


@dataclass(frozen=True, slots=True)
class Compared:
    """An imported bundle and its original on the same rows."""

    name: str
    written_by: str
    accuracy: float
    rows: int
    worst: float
    labels_differ: int

    @property
    def is_equal(self) -> bool:
        """Whether the bundle answers like the original."""
        return self.worst <= ALLOWED and not self.labels_differ


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = make_parser(__doc__)
    parser.add_argument("--only", help="names of artefacts, with commas (default: all)")
    default = Path(tempfile.gettempdir(), "batchdigits-importing")
    parser.add_argument("--environments", type=Path, default=default, help="where they are made")
    parser.add_argument("--keep", type=Path, help="make the small artefacts of the tests here")
    arguments = parser.parse_args(argv)
    before = make_ready()
    from scripts.make_artefacts import RECIPES

    names = arguments.only.split(",") if arguments.only else list(RECIPES)
    with tempfile.TemporaryDirectory(prefix="batchdigits-importing-") as folder:
        made = arguments.keep or Path(folder, "artefacts")
        make_artefacts(names, made, arguments.environments, few=arguments.keep is not None)
        compared = list(compare(names, made, Path(folder)))
    header = ["artefact", "written by", "accuracy, %", "rows", "worst", "labels differ"]
    print(table(header, [_line(one) for one in compared]))
    figures = {
        "artefacts": len(compared),
        "rows": compared[0].rows,
        "worst": max(one.worst for one in compared),
        "labels_differ": sum(one.labels_differ for one in compared),
    }
    finish("importing", figures, save=arguments.save, load_before=before, timed=False)
    return 0 if all(one.is_equal for one in compared) else 1


def make_artefacts(names: Sequence[str], folder: Path, environments: Path, *, few: bool) -> None:
    """Train, save and ask each model, in the environment that its name begins with."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = folder / "rows.npz"
    np.savez_compressed(rows, **_data(few=few))
    for environment in dict.fromkeys(name.partition("-")[0] for name in names):
        own = [name for name in names if name.startswith(f"{environment}-")]
        show(f"{environment}: {', '.join(own)}")
        command = [str(_python_of(environment, environments)), str(SCRIPTS / "make_artefacts.py")]
        subprocess.run([*command, str(rows), str(folder), *own], check=True, stdout=sys.stderr)


def compare(names: Sequence[str], folder: Path, scratch: Path) -> Iterator[Compared]:
    """Import each artefact, and compare the bundle's answers with those of the original."""
    data = np.load(folder / "rows.npz")
    for name in names:
        artefact = folder / name
        labelled = write_labelled(artefact, data, scratch / f"{name}.csv")
        result = import_files(options_of(artefact, labelled, scratch / "store"))
        bundle = read_bundle(result.path)
        answers = np.load(artefact / "answers.npz")
        order = np.argsort(answers["classes"])
        expected = answers["probabilities"][:, order]
        actual = open_checked(bundle).probabilities(data["rows"].astype(np.float32))
        if list(bundle.manifest.classes.values) != answers["classes"][order].tolist():
            raise BatchdigitsError(f"{name}: the classes are {bundle.manifest.classes.values}")
        writers = [facts.get("written_by", "") for facts in result.contents.recipe["files"]]
        yield Compared(
            name,
            ", ".join(dict.fromkeys(filter(None, writers))),
            result.contents.scores.accuracy,
            len(expected),
            float(np.abs(actual - expected).max()),
            labels_that_differ(expected, actual),
        )


def labels_that_differ(expected: NDArray[Any], actual: NDArray[Any]) -> int:
    """The number of rows with another label although the two best differ by more than 1e-4."""
    second, best = np.sort(expected, axis=1)[:, -2:].T
    differs = actual.argmax(axis=1) != expected.argmax(axis=1)
    return int((differs & (best - second > ALLOWED)).sum())


def options_of(artefact: Path, labelled: Path, store: Path) -> ImportOptions:
    """The options that the artefact's flags mean."""
    flags = json.loads((artefact / "flags.json").read_text())["flags"]
    given: dict[str, Any] = {}
    terms = Terms(artefact.name, str(store), logits="--logits" in flags)
    words = [flag for flag in flags if flag != "--logits"]
    for flag, value in zip(words[::2], words[1::2], strict=True):
        name = flag.removeprefix("--").replace("-", "_")
        is_file = name not in ("labels", "scaler_divide")
        given[name] = str(artefact / value) if is_file else value
    if "scaler_divide" in given:
        given["scaler_divide"] = float(given["scaler_divide"])
    return ImportOptions(data=str(labelled), terms=terms, **given)


def write_labelled(artefact: Path, data: Any, path: Path) -> Path:
    """The digits with the labels that the artefact learned, as a CSV file."""
    from scripts.make_artefacts import picked

    labels = picked(json.loads((artefact / "flags.json").read_text())["pick"], data["labels"])
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*(f"pixel_{number}" for number in range(64)), "label"])
        for pixels, label in zip(data["digits"].tolist(), labels.tolist(), strict=True):
            writer.writerow([*(f"{pixel:g}" for pixel in pixels), label])
    return path


def _data(*, few: bool) -> dict[str, NDArray[Any]]:
    from sklearn.datasets import load_digits

    digits, labels = load_digits(return_X_y=True)
    random, half = np.random.default_rng(0), (KEPT_ROWS if few else RANDOM_ROWS) // 2
    whole = random.integers(0, 17, (half, 64)).astype(np.float32)
    some = random.integers(0, 256, (half, 64)).astype(np.float32) / 16
    asked = digits[:KEPT_ROWS] if few else digits
    rows = np.concatenate([asked.astype(np.float32), whole, some])
    return {"digits": digits.astype(np.uint8), "labels": labels, "rows": rows}


def _python_of(environment: str, folder: Path) -> Path:
    """The Python of the environment, which is made on first use."""
    path = folder / environment
    if not (path / "ready").exists():
        versions, requirements = ENVIRONMENTS[environment]
        show(f"making the environment {environment} in {path}")
        python = _find_python(versions)
        subprocess.run([python, "-m", "venv", "--clear", str(path)], check=True)
        command = [str(path / "bin" / "python"), "-m", "pip", "install", "--quiet", *requirements]
        subprocess.run(command, check=True, stdout=sys.stderr)
        (path / "ready").touch()
    return path / "bin" / "python"


def _find_python(versions: Sequence[str]) -> str:
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    for version in versions:
        found = sys.executable if version == own else shutil.which(f"python{version}")
        works = found and subprocess.run([found, "-c", ""], check=False, capture_output=True)
        if found and works and works.returncode == 0:
            return found
    raise SystemExit(f"no Python {' or '.join(versions)} here")


def _line(one: Compared) -> list[str]:
    figures = [f"{one.accuracy:.2%}", str(one.rows), f"{one.worst:.1e}", str(one.labels_differ)]
    return [one.name, one.written_by, *figures]


if __name__ == "__main__":
    sys.exit(main())
