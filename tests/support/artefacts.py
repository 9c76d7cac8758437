"""Models that other libraries saved, from tests/data/importing, and the rows that prove them."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
from paths import ROOT, SAMPLE_DATA

from batchdigits.training.importing.options import ImportOptions, Terms

ARTEFACTS = ROOT / "tests" / "data" / "importing"
NAMES = sorted(path.name for path in ARTEFACTS.iterdir() if path.is_dir())
WORDS = ["zero", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun"]


def options_for(artefact: str, folder: Path, **terms: Any) -> ImportOptions:
    """The options of importing an artefact, with its labelled rows and a store in `folder`."""
    given: dict[str, Any] = {}
    facts = json.loads((ARTEFACTS / artefact / "flags.json").read_text())
    words = [flag for flag in facts["flags"] if flag != "--logits"]
    for flag, value in zip(words[::2], words[1::2], strict=True):
        field = flag.removeprefix("--").replace("-", "_")
        plain = {"labels": str, "scaler_divide": float}
        given[field] = plain[field](value) if field in plain else str(ARTEFACTS / artefact / value)
    settings = {"store": str(folder / "store"), "logits": "--logits" in facts["flags"], **terms}
    data = str(write_labelled(folder / f"{facts['pick'] or 'digits'}.csv", facts["pick"]))
    return ImportOptions(data=data, terms=Terms(**settings), **given)


def write_labelled(path: Path, pick: str | None = None, rows: int = 300) -> Path:
    """The first digits of the sample data, labelled as `pick` says."""
    if path.exists():
        return path
    with (SAMPLE_DATA / "digits.csv").open(newline="") as source, path.open("w") as target:
        reader = csv.DictReader(source)
        pixels = [name for name in reader.fieldnames or () if name.startswith("pixel_")]
        print(",".join([*pixels, "label"]), file=target)
        for row, _ in zip(reader, range(rows), strict=False):
            digit = int(row["label"])
            label = {"words": WORDS[digit], "large": digit > 4}.get(pick or "", digit)
            print(",".join([*(row[name] for name in pixels), str(label)]), file=target)
    return path


def answers_of(name: str) -> tuple[np.ndarray[Any, Any], list[Any], np.ndarray[Any, Any]]:
    """The rows, the classes and the original's probabilities for the rows."""
    answers = np.load(ARTEFACTS / name / "answers.npz")
    return (
        np.load(ARTEFACTS / "rows.npz")["rows"],
        answers["classes"].tolist(),
        answers["probabilities"],
    )
