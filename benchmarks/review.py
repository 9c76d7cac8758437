"""Judge the choice between accept and review: what it catches, its promise, and its cost.

    python benchmarks/review.py [--bundle FILE] [--rows 1000000] [--pairs 5] [--resplits 100]

Without --bundle one is trained, with the tutorial's split and `--max-error 0.5%`.

- found: the share of rows of each kind that goes to review, by ink alone, with strangeness, and for
  any cause. `digits` are the tutorial's 540 held-out ones, and the other kinds are made from them.
  The false alarm is the bundle's own figure: digits that ink or strangeness would send to review,
  each judged by bounds and centroids of other rows.
- kept: every training digit is judged by a network that had not seen it (three folds, as in
  `train`), which gives a pool of confidences, right and wrong. The pool is split at random 100
  times; the threshold for 0.5 % is set on one half, and the errors among accepted rows are counted
  on the other. A half holds about 4 errors, so a count above the promise is sometimes chance. The
  same is therefore done with as many rows as the pool has, drawn with replacement, with the whole
  pool as the truth. The networks are not trained again each time.
- price: rows per second of `score` on Parquet, in one process and in turn, divided by those without
  decision, rules and drift. CPU time is measured too, because other work on the machine disturbs it
  less.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from support.bare import score_here
from support.measure import (
    finish,
    in_turn,
    make_data,
    make_parser,
    make_ready,
    ratios,
    run,
    show,
    table,
    target,
)
from support.strangers import strangers

from batchdigits import open_bundle
from batchdigits.archive.bundle_file import build_bundle, read_bundle
from batchdigits.archive.thresholds import Thresholds
from batchdigits.errors import UnusableInputError
from batchdigits.monitoring.counts import DriftEvidence
from batchdigits.monitoring.drift import NOT_MEASURED, DriftMeter
from batchdigits.packing.frameworks import prepare_frameworks
from batchdigits.scoring import one_input
from batchdigits.scoring.decision import CAUSES
from batchdigits.training.cross_validation import judge_training_rows
from batchdigits.training.data import load_tutorial_digits
from batchdigits.training.options import TrainOptions
from batchdigits.training.review_threshold import find_review_threshold
from batchdigits.training.settings import make_settings
from batchdigits.training.split import split_rows

MAX_ERROR = 0.005
PROMISED = (
    *("blank", "inverted", "noise", "thin noise", "shuffled", "transposed"),
    *("scaled to 0..1", "scaled to 0..4", "scaled to 0..8"),
)
BY_INK = ("little-ink", "much-ink", "pale")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = make_parser(__doc__, rows=1_000_000)
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--resplits", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=("found", "kept", "price"))
    arguments = parser.parse_args(argv)
    before = make_ready(arguments.wait)
    arguments.data_folder.mkdir(parents=True, exist_ok=True)
    bundle = arguments.bundle
    if bundle is None and arguments.only != "kept":
        bundle = _train(arguments.data_folder)
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "found": lambda: _found(bundle, arguments.seed),
        "kept": lambda: _kept(arguments.resplits, arguments.seed),
        "price": lambda: _price(bundle, arguments.data_folder, arguments.rows, arguments.pairs),
    }
    chosen = [arguments.only] if arguments.only else list(parts)
    figures = {name: parts[name]() for name in chosen}
    finish("review", figures, save=arguments.save, load_before=before)
    return 0


def _train(folder: Path) -> Path:
    path = folder / "review.bundle"
    show("training")
    command = [sys.executable, "-m", "batchdigits.train", "--max-error", f"{MAX_ERROR:.1%}"]
    run([*command, "--output", str(path), "--overwrite"])
    return path


def _found(bundle: Path, seed: int) -> dict[str, Any]:
    """Return the share of each kind that goes to review."""
    data = load_tutorial_digits()
    held = data.pixels[split_rows(data, 0.3, 0).held].astype(np.uint8)
    opened = open_bundle(bundle)
    shares: dict[str, dict[str, float]] = {}
    for name, cells in {"digits": held, **strangers(held, seed)}.items():
        causes = opened.predict(cells, strangeness=True)["cause"].to_pylist()
        by_ink = sum(cause in BY_INK for cause in causes)
        no_digit = by_ink + causes.count("strange")
        any_cause = len(causes) - causes.count(None)
        shares[name] = {
            "rows": len(causes),
            "ink": by_ink / len(causes),
            "ink_or_strange": no_digit / len(causes),
            "review": any_cause / len(causes),
        }
    columns = ("ink", "ink_or_strange", "review")
    lines = [[name, *(f"{share[key]:.2%}" for key in columns)] for name, share in shares.items()]
    print(table(["", "by ink", "with strangeness", "for any cause"], lines))
    false_alarm = float(opened.manifest.thresholds.facts["false_alarm"])
    least = min(shares[name]["review"] for name in PROMISED)
    return {
        "shares": shares,
        "causes": list(CAUSES),
        "false_alarm": {"value": false_alarm, **target(false_alarm, 0.01, at_most=True)},
        "least_of_promised": {"value": least, **target(least, 1.0)},
        "letters": {
            "value": shares["letters"]["review"],
            **target(shares["letters"]["review"], 0.9),
        },
    }


def _kept(resplits: int, seed: int) -> dict[str, Any]:
    """Count how often the promise is kept, on halves and on draws with replacement."""
    prepare_frameworks()
    data = load_tutorial_digits()
    settings = make_settings()
    rows = np.arange(len(data.targets))
    unseen = judge_training_rows(data, rows, settings, TrainOptions(), show)
    if unseen is None:
        raise SystemExit("the recipe has no calibration folds")
    confidence, is_right = unseen.probabilities.max(axis=1), unseen.is_right
    generator = np.random.default_rng(seed)
    halves, draws = [], []
    for _ in range(resplits):
        order = generator.permutation(len(rows))
        first, second = np.array_split(order, 2)
        halves.append(_checked(confidence, is_right, first, second))
        drawn = generator.integers(0, len(rows), len(rows))
        draws.append(_checked(confidence, is_right, drawn, rows))
    figures = {
        "errors_in_pool": int((~is_right).sum()),
        "halves": _summed(halves),
        "draws": _summed(draws),
    }
    lines = [
        [name, str(counts["kept"]), str(counts["unproven"]), f"{counts['coverage']:.1%}"]
        for name, counts in (("halves", figures["halves"]), ("draws", figures["draws"]))
    ]
    print(table([f"of {resplits}", "kept", "nothing proven", "coverage, mean"], lines))
    return figures


def _checked(
    confidence: NDArray[np.float64],
    is_right: NDArray[np.bool_],
    chosen: NDArray[np.int64],
    judged: NDArray[np.int64],
) -> tuple[float, float] | None:
    """Return the share of errors among accepted rows, and coverage; None if none is accepted."""
    try:
        threshold = find_review_threshold(confidence[chosen], is_right[chosen], MAX_ERROR)
    except UnusableInputError:
        return None
    accepted = confidence[judged] >= threshold.review_below
    return float((~is_right[judged])[accepted].mean()), float(accepted.mean())


def _summed(checked: list[tuple[float, float] | None]) -> dict[str, Any]:
    """Sum up the checks; a threshold that can't be proven accepts nothing and breaks no promise."""
    proven = [check for check in checked if check is not None]
    kept = sum(error <= MAX_ERROR for error, _ in proven) + len(checked) - len(proven)
    part = kept / len(checked)
    return {
        "kept": kept,
        "of": len(checked),
        "unproven": len(checked) - len(proven),
        "worst_error": max(error for error, _ in proven),
        "coverage": float(np.mean([coverage for _, coverage in proven])),
        **target(part, 0.95),
    }


def _price(bundle: Path, folder: Path, rows: int, pairs: int) -> dict[str, Any]:
    source = make_data(folder, rows, "parquet")
    plain = folder / "plain.bundle"
    file = read_bundle(bundle)
    members = {name: data for name, data in file.members.items() if name != "manifest.json"}
    plain.write_bytes(build_bundle(replace(file.manifest, thresholds=Thresholds()), members))
    output = folder / "review-out.parquet"
    sides = {
        "without": _no_drift()(partial(score_here, source, output, plain)),
        "rules, decision, drift": partial(score_here, source, output, bundle),
        "and strangeness": partial(score_here, source, output, bundle, strangeness=True),
    }
    sides["without"]()  # imports and caches
    runs = in_turn(pairs, sides)
    clock = {name: [run.seconds for run in side] for name, side in runs.items()}
    cpu = {name: [run.cpu_seconds for run in side] for name, side in runs.items()}
    figures, lines = {}, []
    for name, wanted in (("rules, decision, drift", 0.9), ("and strangeness", 0.6)):
        by_clock, by_cpu = (ratios(times["without"], times[name]) for times in (clock, cpu))
        figures[name] = {"ratio": by_clock, "by_cpu": by_cpu, **target(by_clock.median, wanted)}
        lines.append([name, by_clock.text(), by_cpu.text(), f">= {wanted}"])
    print(table(["rows/s over without", "by the clock", "by CPU time", "wanted"], lines))
    return {"rows": rows, "pairs": pairs, **figures}


@contextmanager
def _no_drift() -> Iterator[None]:
    """Runs within gather no evidence of drift: no flag of the product does this."""
    with (
        patch.object(one_input, "count_predictions", lambda *_: None),
        patch.object(DriftEvidence, "add", lambda *_: None),
        patch.object(DriftMeter, "measure", lambda *_, **__: NOT_MEASURED),
    ):
        yield


if __name__ == "__main__":
    sys.exit(main())
